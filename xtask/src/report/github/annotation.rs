//! Annotations of failures, on the line of the failed step in the scenario's file.

use scenarios::scenario::{Position, Scenario};
use scenarios::verdict::{FailedStep, Verdict};

use crate::host::workspace;
use crate::runner::run_results::RunResults;
use crate::runner::scenario_result::ScenarioResult;

/// Maximum number of annotations, by GitHub's limit for a step; the summary has the rest.
const MOST: usize = 10;

const LINES: usize = 30;

/// Returns the workflow commands for annotations: an error for each bad verdict, a warning for each
/// flaky scenario.
pub(super) fn lines(entries: &RunResults) -> Vec<String> {
    let mut lines = Vec::new();
    for part in entries.counted() {
        for report in entries.complete(part).iter().filter(|report| report.has_details()) {
            let scenario = entries.scenarios.iter().find(|scenario| scenario.name == report.scenario);
            lines.push(annotation(&part.about.full_title(), scenario, report));
        }
    }
    // Errors come first, so that warnings do not displace them.
    lines.sort_by_key(|line| line.starts_with("::warning"));
    lines.truncate(MOST);
    lines
}

fn annotation(column: &str, scenario: Option<&Scenario>, report: &ScenarioResult) -> String {
    let title = format!("{} {} on {column}", report.scenario, report.word());
    let place = scenario.map(|scenario| {
        let file = scenario.path.strip_prefix(workspace::root()).unwrap_or(&scenario.path).to_string_lossy();
        let first = report.earlier.first().filter(|_| !report.is_bad());
        let judged = first.map_or(&report.verdict, |attempt| &attempt.verdict);
        let Position { line, column } = failed_step(judged).map_or(scenario.title_position, |it| it.position);
        format!("file={},line={line},col={column},", property(&file))
    });
    let details = report.body();
    let level = if report.is_bad() { "error" } else { "warning" };
    let shown: Vec<&str> = details.lines().take(LINES).collect();
    format!(
        "::{level} {}title={}::{}",
        place.unwrap_or_default(),
        property(&title),
        message(&shown.join("\n"))
    )
}

fn failed_step(verdict: &Verdict) -> Option<&FailedStep> {
    let Verdict::Failed(failure) = verdict else { return None };
    failure.mismatches.iter().find_map(|mismatch| mismatch.step.as_ref())
}

fn message(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    message(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use scenarios::verdict::{Failure, Mismatch};

    use super::*;
    use crate::runner::scenario_result::Attempt;

    #[test]
    fn failure_is_shown_at_its_step_and_otherwise_at_the_title() {
        let file = workspace::root().join("scenarios/suite/f/n.toml");
        let text = "# why\ntitle = \"t\"\nrules = []\n[process.box]\n[[step]]\nsteps = [\n  { box.read = { key = \"@s\" } },\n]\n";
        let scenario = scenarios::parse::scenarios("f/n", &file, text).unwrap().remove(0);
        let position = scenario.expectations[0].position;
        let step = Some(FailedStep { number: 1, process: "box".into(), file, position });
        let mismatches = vec![Mismatch { step, complaint: "no answer".into() }];
        let failed = Verdict::Failed(Failure { mismatches, ..Failure::default() });
        for (verdict, place) in [(failed, "line=7,col=9"), (Verdict::Hung("no end".into()), "line=2,col=9")] {
            let line = annotation("6.12", Some(&scenario), &ScenarioResult::new("f/n", verdict));
            assert!(
                line.starts_with(&format!("::error file=scenarios/suite/f/n.toml,{place},title=")),
                "{line}"
            );
        }
    }

    #[test]
    fn flaky_scenario_is_a_warning_with_its_failed_attempt() {
        let attempt = Attempt { verdict: Verdict::Hung("step 2".into()), took: Duration::ZERO };
        let flaky = ScenarioResult { earlier: vec![attempt], ..ScenarioResult::new("f/n", Verdict::Passed) };
        let line = annotation("6.12", None, &flaky);
        assert_eq!(line, "::warning title=f/n flaky on 6.12::attempt 1 hung:%0Astep 2");
    }

    #[test]
    fn workflow_command_characters_are_escaped() {
        assert_eq!(message("50 %\nnext"), "50 %25%0Anext");
        assert_eq!(property("f/n[a=1,b=2]: x"), "f/n[a=1%2Cb=2]%3A x");
    }
}
