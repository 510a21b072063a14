//! Outcomes for programs: an array with an object for each mutant.

use anyhow::Result;
use kernel::MutantSet;
use serde::Serialize;

use super::{Judgement, Outcome};

#[derive(Serialize)]
struct Row<'a> {
    mutant: u32,
    file: &'a str,
    line: usize,
    column: usize,
    function: &'a str,
    operator: &'a str,
    original: &'a str,
    changed: &'a str,
    #[serde(flatten)]
    outcome: &'a Outcome,
    seconds: f64,
}

/// Returns the document.
pub fn text(set: &MutantSet, judgements: &[Judgement]) -> Result<String> {
    let rows: Vec<Row<'_>> = judgements
        .iter()
        .filter_map(|judgement| {
            let mutant = set.get(judgement.mutant)?;
            Some(Row {
                mutant: mutant.id,
                file: &mutant.file,
                line: mutant.line,
                column: mutant.column,
                function: &mutant.function,
                operator: &mutant.operator,
                original: &mutant.original,
                changed: &mutant.changed,
                outcome: &judgement.outcome,
                seconds: judgement.seconds,
            })
        })
        .collect();
    Ok(serde_json::to_string_pretty(&rows)? + "\n")
}
