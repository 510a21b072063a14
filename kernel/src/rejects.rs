//! Rejected hunks of a patch that does not apply, each with the place that fits best.

use std::fmt;

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
        /// The lines there and those that the hunk expects.
        difference: Vec<Line>,
    },
}

/// A line of a difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    Common(String),
    /// The hunk expects it.
    Expected(String),
    /// The source has it.
    Found(String),
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

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Common(line) => write!(f, "  {line}"),
            Self::Expected(line) => write!(f, "- {line}"),
            Self::Found(line) => write!(f, "+ {line}"),
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
        let (from, _) = (0..source.len())
            .filter(begins)
            .map(|from| (from, Table::of(&self.old, stretch(from)).score(0, 0)))
            .max_by_key(|(from, score)| (*score, std::cmp::Reverse(from.abs_diff(self.at))))?;
        let difference = trimmed(Table::of(&self.old, stretch(from)).difference());
        let fits = difference.iter().filter(|line| matches!(line, Line::Common(_))).count();
        // One or two matching lines of a long hunk are not sufficient.
        (fits * 4 >= self.old.len()).then_some(RejectReason::Nearest {
            line: from + 1,
            fits,
            of: self.old.len(),
            difference,
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

/// The longest common subsequence of two texts, by weight.
struct Table<'a> {
    old: &'a [&'a str],
    new: &'a [&'a str],
    scores: Vec<usize>,
}

impl<'a> Table<'a> {
    fn of(old: &'a [&'a str], new: &'a [&'a str]) -> Self {
        let mut table = Self { old, new, scores: vec![0; (old.len() + 1) * (new.len() + 1)] };
        for (i, line) in old.iter().enumerate().rev() {
            for (j, there) in new.iter().enumerate().rev() {
                let both = if line == there { table.score(i + 1, j + 1) + weight(line) } else { 0 };
                let best = both.max(table.score(i + 1, j)).max(table.score(i, j + 1));
                table.scores[i * (new.len() + 1) + j] = best;
            }
        }
        table
    }

    /// Returns the best common score of the texts from these lines on.
    fn score(&self, i: usize, j: usize) -> usize {
        self.scores[i * (self.new.len() + 1) + j]
    }

    fn difference(&self) -> Vec<Line> {
        let (mut i, mut j) = (0, 0);
        let mut lines = Vec::new();
        while i < self.old.len() || j < self.new.len() {
            let rest = self.score(i, j);
            if i < self.old.len() && rest == self.score(i + 1, j) {
                lines.push(Line::Expected(self.old[i].to_owned()));
                i += 1;
            } else if j < self.new.len() && rest == self.score(i, j + 1) {
                lines.push(Line::Found(self.new[j].to_owned()));
                j += 1;
            } else {
                lines.push(Line::Common(self.old[i].to_owned()));
                (i, j) = (i + 1, j + 1);
            }
        }
        lines
    }
}

/// Removes the source's lines behind the last one of the hunk.
fn trimmed(mut difference: Vec<Line>) -> Vec<Line> {
    let end = difference.iter().rposition(|line| !matches!(line, Line::Found(_)));
    difference.truncate(end.map_or(0, |end| end + 1));
    difference
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
