//! A report for programs.

use anyhow::{Context, Result};
use serde::Serialize;

use crate::ledger::{Entries, Part};
use crate::report::Report;

#[derive(Serialize)]
struct Row<'a> {
    scenario: String,
    verdict: &'static str,
    kernel: &'a str,
    profile: &'static str,
    vm: String,
    seconds: f64,
}

/// An array with a row for each scenario in each column.
pub(super) fn text(entries: &Entries) -> Result<String> {
    let rows: Vec<Row<'_>> = entries
        .counted()
        .flat_map(|part| entries.complete(part).into_iter().map(move |report| row(part, report)))
        .collect();
    let text = serde_json::to_string_pretty(&rows).context("can't write JSON")?;
    Ok(text + "\n")
}

fn row(part: &Part, report: Report) -> Row<'_> {
    Row {
        verdict: report.verdict.word(),
        kernel: &part.about.kernel,
        profile: part.about.profile.name(),
        vm: report.vm.map_or_else(|| part.about.vm.clone(), |kind| kind.to_string()),
        // To the millisecond: less is chance.
        seconds: report.took.as_millis() as f64 / 1000.0,
        scenario: report.scenario,
    }
}
