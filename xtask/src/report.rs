//! What came of the scenarios, in words and colours.

use std::time::Duration;

use console::{Style, style};
use scenarios::scenario::Scenario;
use scenarios::verdict::Verdict;

use crate::terminal::seconds;

/// What came of a scenario.
#[derive(Debug, Clone)]
pub struct Report {
    /// `FAMILY/NAME`.
    pub scenario: String,
    /// What is said of it.
    pub verdict: Verdict,
    /// How long it took, the start of a guest included.
    pub took: Duration,
}

/// The words in the order in which a summary counts them.
const WORDS: [&str; 6] = ["passed", "failed", "crashed", "hung", "broken", "skipped"];

impl Report {
    /// One line, shown as soon as the verdict is there.
    pub fn line(&self, scenario: &Scenario) -> String {
        let (_, name) = self.scenario.split_once('/').unwrap_or(("", &self.scenario));
        let colour = colour(self.verdict.word());
        let verdict = match &self.verdict {
            Verdict::Passed => String::new(),
            Verdict::Skipped(why) => format!("  skipped: {why}"),
            verdict => format!("  {}", verdict.word()),
        };
        let time = format!("{:>6.2} s", self.took.as_secs_f64());
        format!(
            "    {} {name:<32} {}  {}{}",
            colour.apply_to(mark(&self.verdict)),
            style(time).dim(),
            style(&scenario.title).dim(),
            colour.apply_to(verdict),
        )
    }

    /// All that there is to say; nothing for a scenario that passed or was skipped.
    pub fn details(&self) -> Option<String> {
        if matches!(self.verdict, Verdict::Passed | Verdict::Skipped(_)) {
            return None;
        }
        let word = self.verdict.word();
        let heading = format!("{} {} {word}", mark(&self.verdict), self.scenario);
        let body = self.verdict.details();
        let body: Vec<String> =
            body.trim_end().lines().map(|line| format!("    {}", painted(line))).collect();
        Some(format!("\n{}\n{}", colour(word).bold().apply_to(heading), body.join("\n")))
    }
}

/// How many of each, and how long it took.
pub fn summary(reports: &[Report], took: Duration) -> String {
    let count = |word: &str| reports.iter().filter(|report| report.verdict.word() == word).count();
    let counts: Vec<String> = WORDS
        .into_iter()
        .filter(|word| count(word) > 0)
        .map(|word| colour(word).apply_to(format!("{} {word}", count(word))).to_string())
        .collect();
    let scenarios = if reports.len() == 1 { "scenario" } else { "scenarios" };
    let time = style(format!("· {}", seconds(took))).dim();
    format!("{} {scenarios}: {} {time}", reports.len(), counts.join(", "))
}

/// The exit code: the testbed's own fault (2) outweighs the kernel's (1).
pub fn exit_code(reports: &[Report]) -> u8 {
    let code = |report: &Report| match report.verdict {
        Verdict::Passed | Verdict::Skipped(_) => 0,
        Verdict::Failed(_) | Verdict::Crashed(_) | Verdict::Hung(_) => 1,
        Verdict::Broken(_) => 2,
    };
    reports.iter().map(code).max().unwrap_or(0)
}

fn mark(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Passed => "✓",
        Verdict::Failed(_) => "✗",
        Verdict::Crashed(_) => "‼",
        Verdict::Hung(_) => "…",
        Verdict::Broken(_) => "?",
        Verdict::Skipped(_) => "–",
    }
}

fn colour(word: &str) -> Style {
    match word {
        "passed" => Style::new().green(),
        "failed" | "crashed" | "hung" => Style::new().red(),
        "broken" => Style::new().yellow(),
        _ => Style::new().dim(),
    }
}

/// A diff's lines in a diff's colours.
fn painted(line: &str) -> String {
    match line.as_bytes().first() {
        Some(b'+') => style(line).green().to_string(),
        Some(b'-') => style(line).red().to_string(),
        Some(b'@') => style(line).cyan().to_string(),
        _ => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reports(verdicts: &[Verdict]) -> Vec<Report> {
        let report = |verdict: &Verdict| Report {
            scenario: "family/name".into(),
            verdict: verdict.clone(),
            took: Duration::ZERO,
        };
        verdicts.iter().map(report).collect()
    }

    #[test]
    fn the_exit_code_tells_failed_from_broken() {
        let [skipped, hung, broken] =
            [Verdict::Skipped(String::new()), Verdict::Hung(String::new()), Verdict::Broken(String::new())];
        assert_eq!(exit_code(&reports(&[Verdict::Passed, skipped])), 0);
        assert_eq!(exit_code(&reports(&[hung.clone(), Verdict::Passed])), 1);
        assert_eq!(exit_code(&reports(&[broken, hung])), 2);
    }

    #[test]
    fn the_summary_counts_each_kind_by_itself() {
        let reports = reports(&[Verdict::Hung(String::new()), Verdict::Passed, Verdict::Passed]);
        let summary = console::strip_ansi_codes(&summary(&reports, Duration::from_secs(2))).into_owned();
        assert_eq!(summary, "3 scenarios: 2 passed, 1 hung · 2.0 s");
    }
}
