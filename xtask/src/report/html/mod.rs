//! HTML report: one self-contained page, with no script but its filter.

mod failure;
mod row;
mod sequence;

use anyhow::{Context, Result};
use askama::Template;

use crate::host::terminal::seconds;
use crate::runner::result_word::Word;
use crate::runner::run_results::{ColumnResults, RunResults};
use crate::runner::scenario_result::{ScenarioResult, Tally};
use failure::FailureView;
use row::Row;

/// Maximum number of bad rows that are shown unfolded; more would be hard to survey.
const UNFOLDED: usize = 12;

#[derive(Template)]
#[template(path = "report.html")]
struct Page {
    headline: String,
    when: String,
    took: String,
    cut_short: Option<String>,
    columns: Vec<ColumnSummary>,
    counts: Vec<Count>,
    /// Number of rows to look at.
    bad: usize,
    families: Vec<Family>,
}

struct ColumnSummary {
    title: String,
    short: String,
    counts: Vec<Count>,
    lost: Option<String>,
}

struct Count {
    number: usize,
    word: Word,
}

struct Family {
    name: String,
    rows: Vec<Row>,
}

pub(super) fn text(entries: &RunResults) -> Result<String> {
    let parts: Vec<(&ColumnResults, Vec<ScenarioResult>)> =
        entries.counted().map(|part| (part, entries.complete(part))).collect();
    let mut rows = row::rows(entries, &parts);
    let bad = rows.iter().filter(|row| row.is_bad()).count();
    if bad <= UNFOLDED {
        rows.iter_mut().for_each(|row| row.open = row.is_bad());
    }
    let counts = counts(parts.iter().flat_map(|(_, reports)| reports));
    let columns = parts.iter().map(|(part, reports)| ColumnSummary {
        title: part.about.full_title(),
        short: part.about.short_title(),
        counts: self::counts(reports),
        lost: part.lost.clone(),
    });
    let page = Page {
        headline: counts
            .iter()
            .map(|count| format!("{} {}", count.number, count.word))
            .collect::<Vec<_>>()
            .join(", "),
        when: super::when(entries).format("%Y-%m-%d %H:%M UTC").to_string(),
        took: seconds(entries.age()),
        cut_short: entries.cut_short.clone(),
        columns: columns.collect(),
        counts,
        bad,
        families: families(rows),
    };
    page.render().context("can't write HTML")
}

fn counts<'a>(reports: impl IntoIterator<Item = &'a ScenarioResult>) -> Vec<Count> {
    Tally::of(reports).counts().map(|(word, number)| Count { number, word }).collect()
}

fn families(rows: Vec<Row>) -> Vec<Family> {
    let mut families: Vec<Family> = Vec::new();
    for row in rows {
        match families.last_mut().filter(|family| family.name == row.family) {
            Some(family) => family.rows.push(row),
            None => families.push(Family { name: row.family.clone(), rows: vec![row] }),
        }
    }
    families
}
