//! Annotations of failures, on the line of the failed step in the scenario's file.

use std::fs;

use scenarios::scenario::Scenario;
use scenarios::verdict::Verdict;

use crate::host::workspace;
use crate::runner::result::ScenarioResult;
use crate::runner::results::RunResults;

/// Maximum number of annotations, by GitHub's limit for a step; the summary has the rest.
const MOST: usize = 10;

/// Maximum number of lines in an annotation.
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
        // If the file can't be read, the annotation is on its first line.
        let text = fs::read_to_string(&scenario.path).unwrap_or_default();
        let first = report.earlier.first().filter(|_| !report.is_bad());
        let judged = first.map_or(&report.verdict, |attempt| &attempt.verdict);
        let line = step(judged).and_then(|step| line_of_step(&text, step));
        let line = line.unwrap_or_else(|| line_of_title(&text));
        format!("file={},line={line},", property(&file))
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

/// Returns the number of the first step that failed.
fn step(verdict: &Verdict) -> Option<usize> {
    let Verdict::Failed(failure) = verdict else { return None };
    failure.mismatches.iter().find_map(|mismatch| Some(mismatch.step.as_ref()?.number))
}

/// Returns the line of a step, from 1: its `[[step]]`, or its own line among the `steps` of a
/// block.
fn line_of_step(text: &str, number: usize) -> Option<usize> {
    let mut places: Vec<usize> = Vec::new();
    let mut in_block = false;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim_start();
        if line.starts_with("[[step]]") {
            places.push(index + 1);
        } else if line.starts_with("steps") && line.contains('[') {
            // The block itself is not a step.
            places.pop();
            in_block = true;
        } else if in_block && line.starts_with('{') {
            places.push(index + 1);
        }
        in_block &= !line.starts_with(']');
    }
    places.get(number.checked_sub(1)?).copied()
}

/// Returns the line of the title, for failures that belong to no single step.
fn line_of_title(text: &str) -> usize {
    text.lines().position(|line| line.starts_with("title")).unwrap_or(0) + 1
}

fn message(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    message(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_of_a_step_is_found_alone_and_in_a_block() {
        let text = "title = \"t\"\n[[step]]\nbox.x = {}\n[[step]]\norder = [2, 1]\nsteps = [\n    { box.y = {} },\n    \
                    { box.z = {} },\n]\n[[step]]\nbox.w = {}\n";
        let lines: Vec<_> = (0..6).map(|number| line_of_step(text, number)).collect();
        assert_eq!(lines, [None, Some(2), Some(7), Some(8), Some(10), None]);
        assert_eq!(line_of_title("# why\ntitle = \"t\""), 2);
    }

    #[test]
    fn flaky_scenario_is_a_warning_with_its_failed_attempt() {
        let took = std::time::Duration::ZERO;
        let attempt = crate::runner::result::Attempt { verdict: Verdict::Hung("step 2".into()), took };
        let (scenario, verdict) = ("f/n".to_owned(), Verdict::Passed);
        let flaky = ScenarioResult { scenario, verdict, took, vm: None, earlier: vec![attempt] };
        let line = annotation("6.12", None, &flaky);
        assert_eq!(line, "::warning title=f/n flaky on 6.12::attempt 1 hung:%0Astep 2");
    }

    #[test]
    fn workflow_command_characters_are_escaped() {
        assert_eq!(message("50 %\nnext"), "50 %25%0Anext");
        assert_eq!(property("f/n[a=1,b=2]: x"), "f/n[a=1%2Cb=2]%3A x");
    }
}
