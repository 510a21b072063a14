//! Row of the matrix: a scenario, its result in each column, and the details.

use scenarios::explain::{Explanation, Sequence};
use scenarios::scenario::Scenario;
use scenarios::snapshot;

use super::failure::FailureView;
use super::sequence;
use crate::runner::result_word::Word;
use crate::runner::run_results::{ColumnResults, RunResults};
use crate::runner::scenario_result::ScenarioResult;

/// A scenario and its results by column.
pub(super) struct Row {
    pub(super) id: String,
    pub(super) family: String,
    pub(super) name: String,
    pub(super) title: String,
    pub(super) rules: Vec<RuleLine>,
    pub(super) cast: Vec<String>,
    pub(super) cells: Vec<Cell>,
    pub(super) told: Vec<FailureView>,
    pub(super) trace: Option<String>,
    pub(super) trace_title: &'static str,
    pub(super) worst: Word,
    pub(super) open: bool,
    /// Text that the filter searches.
    pub(super) words: String,
    /// Verdict words, for the filter.
    pub(super) verdicts: String,
}

pub(super) struct Cell {
    pub(super) column: String,
    pub(super) word: Word,
    pub(super) time: String,
}

pub(super) struct RuleLine {
    pub(super) name: String,
    pub(super) title: String,
}

/// Returns a row for each scenario, and one for kernel reports from shutdowns.
pub(super) fn rows(entries: &RunResults, parts: &[(&ColumnResults, Vec<ScenarioResult>)]) -> Vec<Row> {
    let of = |index: usize| -> Vec<(&ColumnResults, &ScenarioResult)> {
        parts.iter().filter_map(|(part, reports)| Some((*part, reports.get(index)?))).collect()
    };
    let scenarios = entries.scenarios.iter().enumerate();
    let mut rows: Vec<Row> =
        scenarios.map(|(index, scenario)| Row::of(&scenario.name, Some(scenario), &of(index))).collect();
    let ends = parts.iter().flat_map(|(part, _)| part.ends.iter().map(move |end| (*part, end)));
    rows.extend(ends.map(|(part, end)| Row::of(&end.scenario, None, &[(part, end)])));
    rows
}

impl Row {
    fn of(
        full_name: &str,
        scenario: Option<&Scenario>,
        reports: &[(&ColumnResults, &ScenarioResult)],
    ) -> Self {
        let (family, name) = full_name.split_once('/').unwrap_or(("", full_name));
        let words: Vec<Word> = reports.iter().map(|(_, report)| report.word()).collect();
        let explanation = scenario.and_then(|scenario| Explanation::of(scenario, 100).ok());
        let rules: Vec<RuleLine> = explanation
            .iter()
            .flat_map(|it| &it.rules)
            .map(|rule| RuleLine { name: rule.to_string(), title: rule.title().to_owned() })
            .collect();
        let title = scenario.map_or("Kernel report during the shutdown of a guest", |it| &it.title);
        let rule_names: Vec<&str> = rules.iter().map(|rule| rule.name.as_str()).collect();
        let trace = scenario.and_then(|scenario| {
            let trace = snapshot::read(scenario).ok().flatten()?;
            Some(sequence::html(&Sequence::of(scenario, &trace)))
        });
        let told = reports
            .iter()
            .flat_map(|(part, report)| FailureView::all_of(&part.about.short_title(), scenario, report));
        let told = FailureView::merged(told);
        // A trace that a failure shows already is not repeated.
        let trace = trace.filter(|trace| told.iter().all(|told| told.trace.as_ref() != Some(trace)));
        let has_passed = words.contains(&Word::Passed) || words.contains(&Word::Flaky);
        Self {
            id: full_name.replace(char::is_whitespace, "-"),
            family: family.to_owned(),
            name: name.to_owned(),
            title: title.to_owned(),
            cast: explanation.map(|it| [it.processes, it.conditions].concat()).unwrap_or_default(),
            cells: reports.iter().map(|(part, report)| Cell::of(part, report)).collect(),
            told,
            trace,
            trace_title: if has_passed { "Trace" } else { "Trace of the snapshot" },
            worst: words.iter().copied().max_by_key(|word| word.severity()).unwrap_or(Word::Skipped),
            open: false,
            words: format!("{full_name} {title} {}", rule_names.join(" ")).to_lowercase(),
            verdicts: words.iter().map(|word| word.name()).collect::<Vec<_>>().join(" "),
            rules,
        }
    }

    pub(super) fn is_bad(&self) -> bool {
        self.worst.severity() > Word::Skipped.severity()
    }
}

impl Cell {
    fn of(part: &ColumnResults, report: &ScenarioResult) -> Self {
        let word = report.word();
        // The virtual machine is left out if the column's title names it.
        let vm = report.vm.map(|kind| kind.to_string()).filter(|vm| *vm != part.about.vm);
        let vm = vm.map(|vm| format!(" {vm}")).unwrap_or_default();
        let ran = !report.took.is_zero();
        Self {
            column: part.about.short_title(),
            word,
            time: if ran { format!("{:.2} s{vm}", report.took.as_secs_f64()) } else { String::new() },
        }
    }
}
