//! HTML page of the sources with the count of each line. One file, and no script.

use std::collections::BTreeSet;
use std::time::SystemTime;

use anyhow::{Context, Result};
use askama::Template;
use chrono::{DateTime, Utc};

use super::{Coverage, Share, State};

/// Number of context lines around the changes of the series in an existing file.
const CONTEXT: usize = 3;

#[derive(Template)]
#[template(path = "coverage.html")]
struct Page<'a> {
    headline: String,
    about: &'a str,
    when: String,
    remarks: &'a [String],
    files: Vec<File<'a>>,
}

struct File<'a> {
    source: &'a super::File,
    id: String,
    missed: Vec<usize>,
    rows: Vec<Row<'a>>,
}

struct Row<'a> {
    /// True if lines before it are left out.
    gap: bool,
    number: usize,
    text: &'a str,
    class: &'static str,
    count: String,
    /// Branches taken, if some were not.
    branches: Option<Share>,
    reason: Option<&'a str>,
}

/// Renders the page. `about` describes the run; `remarks` has further notes.
pub fn text(coverage: &Coverage, about: &str, remarks: &[String]) -> Result<String> {
    let lines = coverage.lines();
    let files = coverage.files.iter().enumerate().map(|(index, file)| {
        let missed: Vec<usize> = file
            .lines
            .iter()
            .filter(|(_, line)| line.state == State::Missed)
            .map(|(number, _)| *number)
            .collect();
        File { source: file, id: format!("f{index}"), missed, rows: rows(file) }
    });
    let now: DateTime<Utc> = SystemTime::now().into();
    let page = Page {
        headline: format!("{} of {} lines reached", lines.reached, lines.of),
        about,
        when: now.format("%Y-%m-%d %H:%M UTC").to_string(),
        remarks,
        files: files.collect(),
    };
    page.render().context("can't write HTML")
}

/// Returns all rows of a new file, or the context of the series' lines in an existing one.
fn rows(file: &super::File) -> Vec<Row<'_>> {
    let all = 1..=file.text.len();
    let shown: BTreeSet<usize> = match file.is_new {
        true => all.collect(),
        false => {
            let around = |number: &usize| number.saturating_sub(CONTEXT).max(1)..=number + CONTEXT;
            file.lines.keys().flat_map(around).filter(|number| all.contains(number)).collect()
        }
    };
    let mut before = 0;
    let row = |number: usize| {
        let gap = number != before + 1;
        before = number;
        let (class, count, reason) = match file.lines.get(&number).map(|line| &line.state) {
            None => ("", String::new(), None),
            Some(State::Reached(count)) => ("hit", count.to_string(), None),
            Some(State::Missed) => ("miss", "0".into(), None),
            Some(State::Unreachable(reason)) => ("out", "–".into(), Some(reason.as_str())),
        };
        let branches = file
            .lines
            .get(&number)
            .filter(|_| class == "hit")
            .map(|line| line.branches.iter().map(|count| Share::one(*count > 0)).sum::<Share>());
        let text = file.text[number - 1].as_str();
        Row { gap, number, text, class, count, branches: branches.filter(|it| it.reached < it.of), reason }
    };
    shown.into_iter().map(row).collect()
}
