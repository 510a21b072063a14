//! JSON report.

use anyhow::{Context, Result};
use scenarios::verdict::Verdict;
use serde::Serialize;

use crate::runner::run_results::{ColumnResults, RunResults};
use crate::runner::scenario_result::ScenarioResult;

#[derive(Serialize)]
struct Row<'a> {
    scenario: String,
    verdict: &'static str,
    kernel: &'a str,
    profile: &'static str,
    vm: String,
    seconds: f64,
    /// Reason of a skipped scenario.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// All attempts, if the scenario was retried.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attempts: Vec<Attempt>,
}

#[derive(Serialize)]
struct Attempt {
    verdict: &'static str,
    seconds: f64,
    #[serde(skip_serializing_if = "String::is_empty")]
    detail: String,
}

pub(super) fn text(entries: &RunResults) -> Result<String> {
    let rows: Vec<Row<'_>> = entries
        .counted()
        .flat_map(|part| entries.complete(part).into_iter().map(move |report| row(part, report)))
        .collect();
    let text = serde_json::to_string_pretty(&rows).context("can't write JSON")?;
    Ok(text + "\n")
}

fn row(part: &ColumnResults, report: ScenarioResult) -> Row<'_> {
    Row {
        verdict: report.word().name(),
        reason: match &report.verdict {
            Verdict::Skipped(why) => Some(why.clone()),
            _ => None,
        },
        attempts: attempts(&report),
        kernel: &part.about.kernel,
        profile: part.about.profile.name(),
        vm: report.vm.map_or_else(|| part.about.vm.clone(), |kind| kind.to_string()),
        seconds: super::seconds(report.took),
        scenario: report.scenario,
    }
}

fn attempts(report: &ScenarioResult) -> Vec<Attempt> {
    if report.earlier.is_empty() {
        return Vec::new();
    }
    let earlier = report.earlier.iter().map(|it| (&it.verdict, it.took));
    let all = earlier.chain([(&report.verdict, report.took)]);
    all.map(|(verdict, took)| Attempt {
        verdict: verdict.word(),
        seconds: super::seconds(took),
        detail: verdict.details(),
    })
    .collect()
}
