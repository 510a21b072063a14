//! Rejected hunks of a patch that does not apply, each with the place that fits best.

use std::fmt;

use similar::{ChangeTag, TextDiff};

use crate::diff_parser::hunk;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedHunk {
    pub file: String,
    pub header: String,
    /// The header's line in the patch, counted from 1.
    pub line: usize,
    pub instead: RejectReason,
}

/// Difference between a source and a hunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RejectReason {
    /// The source has no such file. The number is that of the hunks for the file, of which this is
    /// the first.
    NoFile(usize),
    /// The file already has the hunk's new text, at this line, counted from 1.
    Applied(usize),
    /// The file has no similar section.
    Nothing,
    /// The most similar section of the file.
    Nearest {
        /// Its first line, counted from 1.
        line: usize,
        /// Number of the hunk's lines that are there, in order.
        fits: usize,
        /// Number of the hunk's old lines.
        of: usize,
        /// The lines there and those that the hunk expects, each behind its mark.
        difference: Vec<String>,
    },
}

impl fmt::Display for RejectedHunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: hunk `{}` (line {} of the patch) ", self.file, self.header, self.line)?;
        match &self.instead {
            RejectReason::NoFile(1) => f.write_str("is for a file that the source does not have"),
            RejectReason::NoFile(hunks) => {
                write!(f, "and {} more are for a file that the source does not have", hunks - 1)
            }
            RejectReason::Applied(line) => write!(f, "is applied already, at line {line}"),
            RejectReason::Nothing => f.write_str("fits nowhere: nothing in the file is like it"),
            RejectReason::Nearest { line, fits, of, difference } => {
                write!(
                    f,
                    "fits nowhere; nearest is line {line}, which has {fits} of its {of} lines \
                     (`-` the hunk expects, `+` the source has):"
                )?;
                difference.iter().try_for_each(|line| write!(f, "\n    {line}"))
            }
        }
    }
}

/// Returns the hunks of a patch that don't fit the source. A missing file is reported once.
pub(crate) fn rejects(patch: &str, source: impl Fn(&str) -> Option<String>) -> Vec<RejectedHunk> {
    let mut rejects: Vec<RejectedHunk> = Vec::new();
    for hunk in hunks(patch) {
        let instead = match source(hunk.file) {
            Some(text) => hunk.instead(&text.lines().collect::<Vec<_>>()),
            None => {
                let mut known = rejects.iter_mut().filter(|reject| reject.file == hunk.file);
                let known = known.find_map(|reject| match &mut reject.instead {
                    RejectReason::NoFile(hunks) => Some(hunks),
                    _ => None,
                });
                known.map_or(Some(RejectReason::NoFile(1)), |hunks| {
                    *hunks += 1;
                    None
                })
            }
        };
        let reject = |instead| RejectedHunk {
            file: hunk.file.into(),
            header: hunk.header.into(),
            line: hunk.line,
            instead,
        };
        rejects.extend(instead.map(reject));
    }
    rejects
}

/// A hunk of a patch. That of a new file has no old lines and is left out.
struct Hunk<'a> {
    file: &'a str,
    header: &'a str,
    line: usize,
    /// The expected line, counted from 1.
    at: usize,
    old: Vec<&'a str>,
    new: Vec<&'a str>,
}

fn hunks(patch: &str) -> Vec<Hunk<'_>> {
    let mut hunks: Vec<Hunk<'_>> = Vec::new();
    let mut file = "";
    // Numbers of the remaining lines of the old and of the new text.
    let mut left = (0, 0);
    for (index, line) in patch.lines().enumerate() {
        if left == (0, 0) {
            if let Some(name) = line.strip_prefix("--- ") {
                file = path(name);
            } else if let Some(((at, old), (_, new))) = hunk(line).filter(|_| !file.is_empty()) {
                left = (old, new);
                let (old, new) = (Vec::new(), Vec::new());
                hunks.push(Hunk { file, header: line, line: index + 1, at, old, new });
            }
            continue;
        }
        let Some(hunk) = hunks.last_mut() else { continue };
        // Mailers may remove the blank at the beginning of an empty line of context.
        let (kind, text) = line.split_at_checked(1).unwrap_or((" ", ""));
        if kind != "+" && kind != "\\" {
            hunk.old.push(text);
            left.0 -= usize::from(left.0 > 0);
        }
        if kind != "-" && kind != "\\" {
            hunk.new.push(text);
            left.1 -= usize::from(left.1 > 0);
        }
    }
    hunks.retain(|hunk| !hunk.old.is_empty());
    hunks
}

/// Returns the path in the source of a file's name in a diff: `linux.orig/a.c`, with a date behind
/// it. An empty path is not the name of any file.
fn path(name: &str) -> &str {
    let name = name.split('\t').next().unwrap_or_default();
    match name.split_once('/') {
        Some((_, path)) if name != "/dev/null" => path,
        _ => "",
    }
}

/// Number of additional source lines that are compared with a hunk.
const SLACK: usize = 6;

impl Hunk<'_> {
    /// Returns `None` if the hunk fits somewhere, by the rules of git.
    fn instead(&self, source: &[&str]) -> Option<RejectReason> {
        let place = |text: &[&str]| source.windows(text.len().max(1)).position(|window| window == text);
        if place(&self.old).is_some() {
            return None;
        }
        if let Some(place) = place(&self.new) {
            return Some(RejectReason::Applied(place + 1));
        }
        Some(self.nearest(source).unwrap_or(RejectReason::Nothing))
    }

    /// Returns the section of the source with the most old lines in order, by their weight, and of
    /// these the one closest to the expected line.
    fn nearest(&self, source: &[&str]) -> Option<RejectReason> {
        let stretch = |from: usize| &source[from..source.len().min(from + self.old.len() + SLACK)];
        let begins = |from: &usize| self.old.iter().any(|line| *line == source[*from] && weight(line) > 1);
        let compare = |from: usize| -> Vec<(ChangeTag, String)> {
            let difference = TextDiff::from_slices(&self.old, stretch(from));
            let changes = difference.iter_all_changes();
            changes.map(|change| (change.tag(), change.value().to_owned())).collect()
        };
        let is_common = |change: &&(ChangeTag, String)| change.0 == ChangeTag::Equal;
        let score =
            |from| compare(from).iter().filter(is_common).map(|(_, line)| weight(line)).sum::<usize>();
        let (from, _) = (0..source.len())
            .filter(begins)
            .map(|from| (from, score(from)))
            .max_by_key(|(from, score)| (*score, std::cmp::Reverse(from.abs_diff(self.at))))?;
        let mut changes = compare(from);
        // The source's lines behind the last one of the hunk say nothing.
        let end = changes.iter().rposition(|(tag, _)| *tag != ChangeTag::Insert);
        changes.truncate(end.map_or(0, |end| end + 1));
        let fits = changes.iter().filter(is_common).count();
        // One or two matching lines of a long hunk are not sufficient.
        (fits * 4 >= self.old.len()).then(|| RejectReason::Nearest {
            line: from + 1,
            fits,
            of: self.old.len(),
            difference: changes.into_iter().map(|(tag, line)| format!("{tag} {line}")).collect(),
        })
    }
}

/// Returns a line's significance for a match: braces and blanks are everywhere.
fn weight(line: &str) -> usize {
    let letters = line.chars().filter(|c| c.is_alphanumeric()).count();
    match letters {
        0 => 1,
        1..4 => 2,
        _ => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATCH: &str = "\
Subject: x

--- a/a.c
+++ b/a.c
@@ -1,3 +1,3 @@ first
 int one(void)
-{
+{ /* so */
 \treturn 1;
@@ -9,4 +9,4 @@ int second(void)
 int second(void)
 {
-\treturn second_of(two);
+\treturn 2;
 }
--- /dev/null
+++ b/new.c
@@ -0,0 +1 @@
+new
-- 
2.39.5
";

    fn messages(source: Option<&str>) -> Vec<String> {
        rejects(PATCH, |_| source.map(str::to_owned)).iter().map(RejectedHunk::to_string).collect()
    }

    #[test]
    fn displaced_hunks_are_not_rejected() {
        let source =
            "\n\nint one(void)\n{\n\treturn 1;\n}\nint second(void)\n{\n\treturn second_of(two);\n}\n";
        assert!(messages(Some(source)).is_empty());
    }

    #[test]
    fn nearest_match_is_shown_line_by_line() {
        let source = "int one(void)\n{\n\treturn 1;\n}\nint third(void)\n{\n}\n\
                      int second(void)\n{\n\tlock();\n\treturn second_of(three);\n}\n";
        assert_eq!(
            messages(Some(source)),
            [
                "a.c: hunk `@@ -9,4 +9,4 @@ int second(void)` (line 10 of the patch) fits nowhere; nearest is line 8, \
              which has 3 of its 4 lines (`-` the hunk expects, `+` the source has):\
              \n      int second(void)\n      {\
              \n    - \treturn second_of(two);\
              \n    + \tlock();\n    + \treturn second_of(three);\
              \n      }"
            ]
        );
    }

    #[test]
    fn applied_different_and_missing_lines_are_distinguished() {
        let source = "int one(void)\n{ /* so */\n\treturn 1;\n}\n";
        assert_eq!(
            messages(Some(source)),
            [
                "a.c: hunk `@@ -1,3 +1,3 @@ first` (line 5 of the patch) is applied already, at line 1",
                "a.c: hunk `@@ -9,4 +9,4 @@ int second(void)` (line 10 of the patch) fits nowhere: nothing in the \
                 file is like it",
            ]
        );
        let missing = "a.c: hunk `@@ -1,3 +1,3 @@ first` (line 5 of the patch) and 1 more are for a file that the source does not have";
        assert_eq!(messages(None), [missing]);
        let one = PATCH.replace("@@ -9,4 +9,4 @@", "words");
        let missing = "a.c: hunk `@@ -1,3 +1,3 @@ first` (line 5 of the patch) is for a file that the source does not have";
        assert_eq!(
            rejects(&one, |_| None).iter().map(RejectedHunk::to_string).collect::<Vec<_>>(),
            [missing]
        );
    }
}
