//! HTML page of the sources with the outcomes of each line's mutants. One file, and no script.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use anyhow::{Context, Result};
use askama::Template;
use chrono::{DateTime, Utc};
use kernel::{Mutant, MutantSet, SourceFile};

use super::{Judgement, Outcome, table};

/// Number of context lines around lines with mutants.
const CONTEXT: usize = 3;

#[derive(Template)]
#[template(path = "mutants.html")]
struct Page<'a> {
    headline: String,
    about: &'a str,
    when: String,
    files: Vec<File<'a>>,
}

struct File<'a> {
    path: &'a str,
    id: String,
    /// Numbers of mutants that were noticed, of those that could be, and of holes.
    noticed: usize,
    of: usize,
    holes: Vec<(u32, usize)>,
    rows: Vec<Row<'a>>,
}

struct Row<'a> {
    /// True if lines before it are left out.
    gap: bool,
    number: usize,
    text: &'a str,
    class: &'static str,
    count: String,
    /// The line's mutants that need a look: holes and equivalents.
    shown: Vec<Shown<'a>>,
}

struct Shown<'a> {
    mutant: &'a Mutant,
    is_hole: bool,
    words: &'static str,
    /// The scenarios that passed, or the reason.
    why: String,
}

/// Renders the page. `about` describes the run.
pub fn text(set: &MutantSet, judgements: &[Judgement], about: &str) -> Result<String> {
    let outcomes: BTreeMap<u32, &Outcome> = judgements.iter().map(|it| (it.mutant, &it.outcome)).collect();
    let files = set.files.iter().enumerate().map(|(index, file)| File::of(index, file, set, &outcomes));
    let now: DateTime<Utc> = SystemTime::now().into();
    let page = Page {
        headline: table::summary(judgements),
        about,
        when: now.format("%Y-%m-%d %H:%M UTC").to_string(),
        files: files.filter(|file| !file.rows.is_empty()).collect(),
    };
    page.render().context("can't write HTML")
}

impl<'a> File<'a> {
    fn of(
        index: usize,
        file: &'a SourceFile,
        set: &'a MutantSet,
        outcomes: &BTreeMap<u32, &'a Outcome>,
    ) -> Self {
        let mut by_line: BTreeMap<usize, Vec<(&'a Mutant, &'a Outcome)>> = BTreeMap::new();
        for mutant in set.mutants.iter().filter(|mutant| mutant.file == file.path) {
            if let Some(outcome) = outcomes.get(&mutant.id) {
                by_line.entry(mutant.line).or_default().push((mutant, outcome));
            }
        }
        let all = || by_line.values().flatten();
        let is_open =
            |outcome: &Outcome| !matches!(outcome, Outcome::Equivalent { .. } | Outcome::DidNotCompile);
        let holes: Vec<_> =
            all().filter(|(_, outcome)| outcome.is_hole()).map(|(it, _)| (it.id, it.line)).collect();
        let of = all().filter(|(_, outcome)| is_open(outcome)).count();
        Self {
            path: &file.path,
            id: format!("f{index}"),
            noticed: of - holes.len(),
            of,
            holes,
            rows: rows(file, &by_line),
        }
    }
}

fn rows<'a>(file: &'a SourceFile, by_line: &BTreeMap<usize, Vec<(&'a Mutant, &'a Outcome)>>) -> Vec<Row<'a>> {
    let text: Vec<&str> = file.text.lines().collect();
    let around = |number: &usize| number.saturating_sub(CONTEXT).max(1)..=(number + CONTEXT).min(text.len());
    let shown: BTreeSet<usize> = by_line.keys().flat_map(around).collect();
    let mut before = 0;
    let row = |number: usize| {
        let gap = number != before + 1;
        before = number;
        let mutants = by_line.get(&number).map(Vec::as_slice).unwrap_or_default();
        let holes = mutants.iter().filter(|(_, outcome)| outcome.is_hole()).count();
        let (class, count) = match (mutants.len(), holes) {
            (0, _) => ("", String::new()),
            (of, 0) => ("hit", format!("{of}/{of}")),
            (of, holes) => ("miss", format!("{}/{of}", of - holes)),
        };
        let shown = mutants.iter().filter_map(|(mutant, outcome)| Shown::of(mutant, outcome));
        Row { gap, number, text: text[number - 1], class, count, shown: shown.collect() }
    };
    shown.into_iter().map(row).collect()
}

impl<'a> Shown<'a> {
    fn of(mutant: &'a Mutant, outcome: &Outcome) -> Option<Self> {
        let why = match outcome {
            Outcome::Survived { passed } => format!("passed: {}", passed.join(", ")),
            Outcome::NotReached => String::new(),
            Outcome::Equivalent { reason } => reason.clone(),
            Outcome::Killed { .. } | Outcome::TimedOut { .. } | Outcome::DidNotCompile => return None,
        };
        Some(Self { mutant, is_hole: outcome.is_hole(), words: outcome.words(), why })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutants::selection::tests::set;

    #[test]
    fn page_shows_survivors_at_their_lines_and_counts_what_was_noticed() {
        let judgements = [
            Judgement::unrun(1, Outcome::Killed { by: "a/b".into(), why: "failed: <x>".into() }),
            Judgement::unrun(2, Outcome::Survived { passed: vec!["a/passes".into()] }),
            Judgement::unrun(3, Outcome::Equivalent { reason: "it is < 3".into() }),
        ];
        let page = text(&set(), &judgements, "kernel 7.3").unwrap();
        assert!(page.contains("3 mutants: 1 survived · 1 killed · 1 equivalent"), "{page}");
        assert!(page.contains("1/2 noticed") && page.contains("passed: a/passes"), "{page}");
        assert!(page.contains("it is &#60; 3") && !page.contains("&#60;x"), "{page}");
        assert!(!page.contains("kernel/b.c"), "{page}");
    }
}
