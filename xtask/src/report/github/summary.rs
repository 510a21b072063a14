//! Summary of the job: the counts of each column, and each failure with its diff.

use crate::host::terminal::seconds;
use crate::runner::result_word::Word;
use crate::runner::run_results::RunResults;
use crate::runner::scenario_result::{ScenarioResult, Tally};

/// Maximum size. GitHub rejects the whole summary of a step above 1 MiB.
const MOST_BYTES: usize = 900 << 10;

/// Maximum number of lines for each failure; the report has the rest.
const LINES: usize = 150;

pub(super) fn markdown(entries: &RunResults) -> String {
    let mut text = String::from("## Scenarios\n\n");
    if let Some(why) = &entries.cut_short {
        text.push_str(&format!("> [!WARNING]\n> {}\n\n", plain(why)));
    }
    let mut failures = Vec::new();
    text.push_str("| on | verdicts |\n|---|---|\n");
    for part in entries.counted() {
        let title = part.about.full_title();
        let reports = entries.complete(part);
        let tally = Tally::of(&reports).to_string();
        text.push_str(&format!("| {} | {} |\n", plain(&title), console::strip_ansi_codes(&tally)));
        failures.extend(reports.iter().filter(|report| report.has_details()).map(|it| failure(&title, it)));
    }
    text.push_str(&format!("\nTook {}.\n\n", seconds(entries.age())));
    for (index, one) in failures.iter().enumerate() {
        if text.len() + one.len() > MOST_BYTES {
            text.push_str(&format!(
                "\n{} more are not shown here: see the report.\n",
                failures.len() - index
            ));
            break;
        }
        text.push_str(one);
    }
    text
}

fn failure(column: &str, report: &ScenarioResult) -> String {
    let word = report.word();
    let details = report.body();
    let mut lines: Vec<&str> = details.trim_end().lines().collect();
    let more = lines.len().saturating_sub(LINES);
    lines.truncate(LINES);
    let mut body = lines.join("\n");
    if more > 0 {
        body.push_str(&format!("\n… {more} more lines"));
    }
    let fence = fence(&body);
    let language = if word == Word::Failed { "diff" } else { "text" };
    let heading = format!("{} {} {word} on {column}", word.mark(), report.scenario);
    let open = if report.is_bad() { " open" } else { "" };
    format!(
        "<details{open}><summary>{}</summary>\n\n{fence}{language}\n{body}\n{fence}\n\n</details>\n\n",
        plain(&heading)
    )
}

/// Returns a code fence longer than any in the text.
fn fence(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    "`".repeat(longest.max(2) + 1)
}

/// Escapes markup.
fn plain(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('|', "\\|").replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fence_is_longer_than_any_in_the_text() {
        assert_eq!(fence("plain"), "```");
        assert_eq!(fence("a ```` b"), "`````");
    }

    #[test]
    fn heading_is_escaped() {
        assert_eq!(plain("<b>|x\ny"), "&lt;b>\\|x y");
    }
}
