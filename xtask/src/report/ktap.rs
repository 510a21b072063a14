//! KTAP report (Documentation/dev-tools/ktap.rst): columns with families with scenarios.

use scenarios::verdict::Verdict;

use crate::runner::result_word::Word;
use crate::runner::run_results::{ColumnResults, RunResults};
use crate::runner::scenario_result::ScenarioResult;

const VERSION: &str = "KTAP version 1";

/// A KTAP test, with or without subtests.
struct Test {
    name: String,
    lines: Vec<String>,
    ok: bool,
    /// Text after the `#`.
    directive: Option<String>,
}

pub(super) fn text(entries: &RunResults) -> String {
    let columns = entries.counted().map(|part| column(entries, part)).collect();
    block(None, columns).join("\n") + "\n"
}

fn column(entries: &RunResults, part: &ColumnResults) -> Test {
    let reports = entries.complete(part);
    let families = reports.chunk_by(|one, other| family(one) == family(other));
    let families = families.map(|reports| group(family(&reports[0]), reports.iter().map(scenario).collect()));
    group(&part.about.full_title(), families.collect())
}

fn family(report: &ScenarioResult) -> &str {
    report.family_and_name().0
}

/// Returns a test with subtests: it fails if one of them does, and is skipped if all are.
fn group(name: &str, parts: Vec<Test>) -> Test {
    let ok = parts.iter().all(|part| part.ok);
    let is_skip =
        |part: &Test| part.directive.as_ref().is_some_and(|directive| directive.starts_with("SKIP"));
    let skipped = !parts.is_empty() && parts.iter().all(is_skip);
    let lines = block(Some(name), parts).into_iter().map(|line| format!("  {line}")).collect();
    Test { name: name.to_owned(), lines, ok, directive: skipped.then(|| "SKIP".to_owned()) }
}

fn scenario(report: &ScenarioResult) -> Test {
    let (_, name) = report.family_and_name();
    let lines = if report.has_details() {
        let body = report.body();
        let notes = body.trim_end().lines().map(|line| format!("# {line}"));
        [format!("# {name}: {}", report.word())].into_iter().chain(notes).collect()
    } else {
        Vec::new()
    };
    let summary = || report.verdict.summary();
    let directive = match &report.verdict {
        Verdict::Passed if report.word() == Word::Flaky => Some(format!("flaky: {}", report.attempts())),
        Verdict::Passed | Verdict::Failed(_) => None,
        Verdict::Crashed(_) => Some(format!("crashed: {}", summary())),
        Verdict::Hung(_) => Some(format!("TIMEOUT {}", summary())),
        Verdict::Broken(_) => Some(format!("ERROR {}", summary())),
        Verdict::Skipped(why) => Some(format!("SKIP {why}")),
    };
    Test { name: name.to_owned(), lines, ok: !report.is_bad(), directive }
}

/// Returns version, name (as KUnit prints it), plan, and the numbered tests.
fn block(about: Option<&str>, tests: Vec<Test>) -> Vec<String> {
    let mut lines = vec![VERSION.to_owned()];
    lines.extend(about.map(|name| format!("# Subtest: {name}")));
    lines.push(format!("1..{}", tests.len()));
    for (index, test) in tests.into_iter().enumerate() {
        lines.extend(test.lines);
        let word = if test.ok { "ok" } else { "not ok" };
        // A `#` would end the name.
        let name = test.name.replace('#', "_");
        let directive = test.directive.map(|directive| format!(" # {directive}")).unwrap_or_default();
        lines.push(format!("{word} {} {name}{directive}", index + 1));
    }
    lines
}
