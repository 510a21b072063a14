//! Differences between the series of two kernels, beyond context and line numbers.

use std::collections::BTreeMap;

use similar::{ChangeTag, TextDiff};

use crate::{KernelSpec, Patch, Result};

/// Difference between the patches of the same title in two series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The file name of the patch.
    pub patch: String,
    /// The lines that only one of them adds or removes.
    pub lines: Vec<UnlikeLine>,
    /// The paragraph of the patch that explains it; `None` if there is none.
    pub explanation: Option<String>,
}

/// A line that a patch adds or removes for one kernel and not for the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnlikeLine {
    pub file: String,
    pub kernel: String,
    /// The line, with `+` or `-`.
    pub line: String,
}

/// Returns the beginning of the paragraph with which a patch explains its difference from the
/// primary kernel's.
pub fn explanation(primary: &KernelSpec) -> String {
    format!("Differs from {}:", primary.name)
}

/// Compares a kernel's series with the primary one. A patch that only one of them has differs as a
/// whole. It is explained by `Differs from …:`, or by `Not in …:` in a patch that is only in the
/// primary series.
pub fn differences(primary: &KernelSpec, other: &KernelSpec) -> Result<Vec<Difference>> {
    let names = [primary.name.as_str(), other.name.as_str()];
    let (ours, theirs) = (primary.series()?, other.series()?);
    let find = |patches: &[Patch], title: &str| patches.iter().find(|patch| patch.title == title).cloned();
    let mut found = Vec::new();
    for patch in theirs.patches() {
        let lines = unlike(names, find(ours.patches(), &patch.title).as_ref(), Some(patch));
        let explanation = patch.paragraph(&explanation(primary));
        found.push(Difference { patch: patch.name.clone(), lines, explanation });
    }
    for patch in ours.patches().iter().filter(|patch| find(theirs.patches(), &patch.title).is_none()) {
        let lines = unlike(names, Some(patch), None);
        let explanation = patch.paragraph(&format!("Not in {}:", other.name));
        found.push(Difference { patch: patch.name.clone(), lines, explanation });
    }
    found.retain(|difference| !difference.lines.is_empty());
    Ok(found)
}

fn unlike(kernels: [&str; 2], ours: Option<&Patch>, theirs: Option<&Patch>) -> Vec<UnlikeLine> {
    let diffs = [ours, theirs].map(|patch| {
        patch.map(|patch| String::from_utf8_lossy(&patch.diff).into_owned()).unwrap_or_default()
    });
    let [ours, theirs] = [&diffs[0], &diffs[1]].map(|diff| diff_lines(diff));
    let mut files: Vec<&str> = ours.keys().chain(theirs.keys()).copied().collect();
    files.sort_unstable();
    files.dedup();
    let mut lines = Vec::new();
    for file in files {
        let [ours, theirs] = [&ours, &theirs].map(|all| all.get(file).map_or(&[][..], Vec::as_slice));
        for change in TextDiff::from_slices(ours, theirs).iter_all_changes() {
            let kernel = match change.tag() {
                ChangeTag::Equal => continue,
                ChangeTag::Delete => kernels[0].to_owned(),
                ChangeTag::Insert => kernels[1].to_owned(),
            };
            lines.push(UnlikeLine { file: file.to_owned(), kernel, line: change.value().to_owned() });
        }
    }
    lines
}

/// Returns the added and removed lines of each file of a diff.
fn diff_lines(diff: &str) -> BTreeMap<&str, Vec<&str>> {
    let mut files: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let (mut file, mut is_in_hunk) = ("", false);
    for line in diff.lines() {
        if let Some(paths) = line.strip_prefix("diff --git ") {
            (file, is_in_hunk) = (paths.rsplit_once(" b/").map_or(paths, |(_, path)| path), false);
        } else if line.starts_with("@@ ") {
            is_in_hunk = true;
        } else if is_in_hunk && line.starts_with(['+', '-']) {
            files.entry(file).or_default().push(line);
        }
    }
    files
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    /// Writes a patch with that hunk, and with these words behind `---`.
    fn write(place: &Path, name: &str, title: &str, notes: &str, hunk: &str) {
        let mail = format!(
            "From: Z <z@example.org>\nDate: Fri, 1 Jul 2022 10:00:00 +0200\nSubject: [PATCH] {title}\n\nWhy.\n---\n{notes} a.c | 2 +-\n\n\
             diff --git a/a.c b/a.c\n--- a/a.c\n+++ b/a.c\n{hunk}\n"
        );
        fs::create_dir_all(place).unwrap();
        fs::write(place.join(name), mail).unwrap();
    }

    fn compare(prepare: impl Fn(&Path, &Path)) -> Vec<Difference> {
        let place = tempfile::tempdir().unwrap();
        let spec = |name: &str| -> KernelSpec {
            let text = format!("name = '{name}'\nseries = '{}/{name}'\norigins = []", place.path().display());
            toml::from_str(&text).unwrap()
        };
        prepare(&place.path().join("2"), &place.path().join("1"));
        differences(&spec("2"), &spec("1")).unwrap()
    }

    fn line(kernel: &str, line: &str) -> UnlikeLine {
        UnlikeLine { file: "a.c".into(), kernel: kernel.into(), line: line.into() }
    }

    #[test]
    fn context_and_line_numbers_are_no_difference() {
        let found = compare(|primary, other| {
            write(primary, "0001-x.patch", "X", "", "@@ -1,2 +1,2 @@ here\n context\n-old\n+new");
            write(other, "0001-x.patch", "X", "", "@@ -7,2 +7,2 @@ there\n another\n-old\n+new");
        });
        assert_eq!(found, []);
    }

    #[test]
    fn a_difference_has_its_lines_and_the_words_that_explain_it() {
        for (notes, explanation) in [
            ("", None),
            ("Differs from 2: its name is old\nthere.\n\n", Some("Differs from 2: its name is old there.")),
        ] {
            let found = compare(|primary, other| {
                write(primary, "0001-x.patch", "X", "", "@@ -1,2 +1,2 @@\n-old\n+new\n+timer_delete();");
                write(other, "0001-x.patch", "X", notes, "@@ -1,2 +1,2 @@\n-old\n+new\n+del_timer();");
            });
            let lines = vec![line("2", "+timer_delete();"), line("1", "+del_timer();")];
            let explanation = explanation.map(str::to_owned);
            assert_eq!(found, [Difference { patch: "0001-x.patch".into(), lines, explanation }]);
        }
    }

    #[test]
    fn a_patch_that_only_one_series_has_differs_as_a_whole() {
        let found = compare(|primary, other| {
            write(primary, "0001-x.patch", "X", "Not in 1: needless there.\n\n", "@@ -1 +1 @@\n-x\n+y");
            write(other, "0001-z.patch", "Z", "", "@@ -1 +1 @@\n-x\n+z");
        });
        let patches: Vec<_> = found.iter().map(|it| (it.patch.as_str(), it.explanation.is_some())).collect();
        assert_eq!(patches, [("0001-z.patch", false), ("0001-x.patch", true)]);
    }
}
