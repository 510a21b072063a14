//! Differences between a snapshot and the trace of a run, line by line.

use similar::{ChangeTag, TextDiff};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiffLine {
    pub kind: DiffKind,
    /// The line with its sign.
    pub text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiffKind {
    /// The name of a side, or the place of a hunk.
    Header,
    Same,
    Removed,
    Added,
}

pub(super) fn unified(snapshot: &str, run: &str) -> Vec<DiffLine> {
    let header = |text: String| DiffLine { kind: DiffKind::Header, text };
    let mut lines = vec![header("--- snapshot".to_owned()), header("+++ this run".to_owned())];
    let diff = TextDiff::from_lines(snapshot, run);
    for hunk in diff.unified_diff().iter_hunks() {
        lines.push(header(hunk.header().to_string()));
        lines.extend(hunk.iter_changes().map(|change| {
            let kind = match change.tag() {
                ChangeTag::Equal => DiffKind::Same,
                ChangeTag::Delete => DiffKind::Removed,
                ChangeTag::Insert => DiffKind::Added,
            };
            DiffLine { kind, text: format!("{}{}", change.tag(), change.value().trim_end_matches('\n')) }
        }));
    }
    lines
}

/// Returns the trace of a scenario that has no snapshot yet.
pub(super) fn of_new(run: &str) -> Vec<DiffLine> {
    let line = |text: &str| DiffLine { kind: DiffKind::Same, text: text.to_owned() };
    std::iter::once("there is no snapshot yet").chain(run.lines()).map(line).collect()
}
