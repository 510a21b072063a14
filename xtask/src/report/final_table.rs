//! Table of several columns: scenarios against kernels, profiles and virtual machines, differences
//! first.

use std::collections::BTreeSet;

use console::{measure_text_width, style};

use crate::runner::result_word::Word;
use crate::runner::run_results::ColumnResults;
use crate::runner::scenario_result::ScenarioResult;

/// Verdict words of one scenario by column; `None` without a verdict.
struct Row<'a> {
    scenario: &'a str,
    words: Vec<Option<Word>>,
}

impl Row<'_> {
    /// Sort key of the row. 0: a bad column differs from the others; 1: all are bad; 2: some are
    /// flaky or skipped; 3: all passed.
    fn rank(&self) -> u8 {
        let words: BTreeSet<Word> = self.words.iter().flatten().copied().collect();
        match (words.iter().any(|word| word.is_bad()), words.len()) {
            (true, 2..) => 0,
            (true, _) => 1,
            (false, _) if words.iter().any(|word| *word != Word::Passed) => 2,
            (false, _) => 3,
        }
    }
}

/// Returns the table. Scenarios that passed in every column are only counted.
pub fn table(columns: &[&ColumnResults]) -> String {
    let mut rows = rows(columns);
    rows.sort_by_key(Row::rank);
    let shown: Vec<&Row<'_>> = rows.iter().filter(|row| row.rank() < 3).collect();
    let passed = rows.len() - shown.len();
    let fold = match (passed, shown.len()) {
        (0, _) => None,
        (count, 0) => Some(format!("all {count} scenarios passed everywhere")),
        (count, _) => Some(format!("{count} more passed everywhere")),
    };
    let first = shown.iter().map(|row| row.scenario).chain(fold.as_deref());
    let width = first.map(measure_text_width).max().unwrap_or(0);

    let mut lines =
        vec![line(width, "", columns.iter().map(|it| style(&it.about.title).bold().to_string()), columns)];
    for row in &shown {
        let cells = row.words.iter().map(|word| word.map_or(String::new(), cell));
        lines.push(line(width, row.scenario, cells, columns));
    }
    if let Some(fold) = fold {
        let cells = columns
            .iter()
            .map(|column| if column.lost.is_none() { cell(Word::Passed) } else { String::new() });
        lines.push(line(width, &fold, cells, columns));
    }
    lines.join("\n")
}

fn rows<'a>(columns: &[&'a ColumnResults]) -> Vec<Row<'a>> {
    let mut names: Vec<&str> = Vec::new();
    for report in columns.iter().flat_map(|column| column.results()) {
        if !names.contains(&report.scenario.as_str()) {
            names.push(&report.scenario);
        }
    }
    let row = |scenario| {
        let word = |column: &&ColumnResults| {
            column.results().find(|report| report.scenario == scenario).map(ScenarioResult::word)
        };
        Row { scenario, words: columns.iter().map(word).collect() }
    };
    names.into_iter().map(row).collect()
}

fn cell(word: Word) -> String {
    match word {
        Word::Passed => word.coloured_mark().to_string(),
        other => other.colour().apply_to(format!("{} {other}", other.mark())).to_string(),
    }
}

/// Formats a line whose cells are as wide as the columns' titles, or the longest word.
fn line(
    width: usize,
    first: &str,
    cells: impl Iterator<Item = String>,
    columns: &[&ColumnResults],
) -> String {
    const WORD: usize = "x crashed".len();
    let mut line = format!("  {first}{}", " ".repeat(width - measure_text_width(first)));
    for (cell, column) in cells.zip(columns) {
        let room = measure_text_width(&column.about.title).max(WORD);
        let pad = room.saturating_sub(measure_text_width(&cell));
        line.push_str(&format!("  {cell}{}", " ".repeat(pad)));
    }
    line.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use scenarios::verdict::Verdict;

    use super::*;
    use crate::runner::fixtures;
    use crate::runner::scenario_result::Attempt;

    fn column(title: &str, verdicts: &[Verdict]) -> ColumnResults {
        let names = ["f/0", "f/1", "f/2", "f/3", "f/4"];
        let verdicts: Vec<_> = names.into_iter().zip(verdicts.iter().cloned().map(Some)).collect();
        let mut column = fixtures::run("6.12", &verdicts).entries().parts.remove(0);
        column.about.title = title.to_owned();
        column
    }

    #[test]
    fn differences_come_first_and_passed_scenarios_are_counted() {
        let [hung, skipped] = [Verdict::Hung(Default::default()), Verdict::Skipped(String::new())];
        let passed = || Verdict::Passed;
        let columns = [
            column("6.12 tcg", &[passed(), hung.clone(), passed(), passed(), skipped]),
            column("7.3 tcg", &[passed(), hung.clone(), hung, passed(), passed()]),
        ];
        let table = console::strip_ansi_codes(&table(&columns.each_ref())).into_owned();
        let expected = [
            "                            6.12 tcg   7.3 tcg",
            "  f/2                       ✓          … hung",
            "  f/1                       … hung     … hung",
            "  f/4                       – skipped  ✓",
            "  2 more passed everywhere  ✓          ✓",
        ];
        assert_eq!(table.lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn flaky_scenario_is_shown_after_the_differences() {
        let mut columns = [column("6.12", &[Verdict::Passed]), column("7.3", &[])];
        let attempt = Attempt { verdict: Verdict::Hung(Default::default()), took: Duration::ZERO };
        let flaky = ScenarioResult { earlier: vec![attempt], ..ScenarioResult::new("f/0", Verdict::Passed) };
        columns[1].ends.push(flaky);
        assert_eq!(rows(&columns.each_ref())[0].rank(), 2);
        let table = console::strip_ansi_codes(&table(&columns.each_ref())).into_owned();
        assert_eq!(table.lines().nth(1), Some("  f/0  ✓          ~ flaky"));
    }
}
