//! Extent of a diff in a text, by the grammar of `git apply`.

use std::ops::Range;

/// Returns the extent of the diff, from the header of its first file to the end of its last hunk.
///
/// Text around it, such as a diffstat or a mailing list's footer, is left out. `None` if there is
/// no diff.
///
/// # Errors
/// A hunk has more lines than its header counts, and `git apply` would silently ignore the rest: the first line too
/// many, counted from 1 where the diff begins.
pub(crate) fn extent(text: &[u8]) -> Result<Option<Range<usize>>, usize> {
    let lines: Vec<&[u8]> = text.split_inclusive(|&byte| byte == b'\n').collect();
    let mut scan = Scan::default();
    let mut offset = 0;
    let mut first = 0;
    for (index, line) in lines.iter().enumerate() {
        let is_content = scan.is_content(line, &lines[index + 1..]);
        if is_content.map_err(|()| index + 1 - first)? {
            if scan.found.is_none() {
                first = index;
            }
            let start = scan.found.as_ref().map_or(offset, |found| found.start);
            scan.found = Some(start..offset + line.len());
        }
        offset += line.len();
    }
    Ok(scan.found)
}

/// State of a scan through the lines of a text.
#[derive(Default)]
struct Scan {
    found: Option<Range<usize>>,
    place: Place,
    is_binary: bool,
    /// True directly after the data of a binary change.
    is_after_data: bool,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Place {
    /// Before, between or after the files' changes.
    #[default]
    Outside,
    /// In the lines that begin a file's change.
    Header,
    /// In the data of a binary change, which a blank line ends.
    Binary,
    /// In a hunk, with the numbers of remaining lines of the old and the new text.
    Hunk(usize, usize),
    /// Right behind a hunk.
    Behind,
}

impl Scan {
    /// Returns true if that line belongs to the diff. `Err` if it is one too many for its hunk.
    fn is_content(&mut self, line: &[u8], following: &[&[u8]]) -> Result<bool, ()> {
        if let Place::Hunk(old, new) = self.place {
            let (old, new) = match line.first() {
                Some(b'+') => (old, new.saturating_sub(1)),
                Some(b'-') => (old.saturating_sub(1), new),
                Some(b' ' | b'\n') => (old.saturating_sub(1), new.saturating_sub(1)),
                _ => (old, new),
            };
            self.place = if (old, new) == (0, 0) { Place::Behind } else { Place::Hunk(old, new) };
            return Ok(true);
        }
        if self.place == Place::Binary {
            if line.trim_ascii().is_empty() {
                self.place = Place::Header;
            }
            return Ok(true);
        }
        let was = self.place;
        let is_git = line.starts_with(b"diff --git ");
        if is_git || is_traditional(line, following) {
            (self.place, self.is_binary, self.is_after_data) = (Place::Header, false, false);
            return Ok(true);
        }
        if self.found.is_some()
            && let Some((old, new)) = counts(line)
        {
            self.place = if (old, new) == (0, 0) { Place::Behind } else { Place::Hunk(old, new) };
            return Ok(true);
        }
        match was {
            Place::Header => {
                self.is_binary |= line.starts_with(b"GIT binary patch");
                let is_data = self.is_binary && is_binary_hunk(line);
                let is_over = line.trim_ascii().is_empty() || self.is_after_data && !is_data;
                self.is_after_data = is_data;
                self.place = match (is_data, is_over) {
                    (true, _) => Place::Binary,
                    (false, true) => Place::Outside,
                    (false, false) => Place::Header,
                };
                Ok(!is_over)
            }
            // "\ No newline at end of file"
            Place::Behind if line.starts_with(b"\\ ") => Ok(true),
            Place::Behind => {
                // Lines of context may precede the change that is one too many.
                if !line.starts_with(b" ") && !line.trim_ascii().is_empty() {
                    self.place = Place::Outside;
                }
                let is_change = line.starts_with(b"+") || line.starts_with(b"-") && !line.starts_with(b"--");
                if is_change { Err(()) } else { Ok(false) }
            }
            Place::Outside | Place::Binary | Place::Hunk(..) => Ok(false),
        }
    }
}

/// Returns true if a file's change without a `diff --git` line begins here.
fn is_traditional(line: &[u8], following: &[&[u8]]) -> bool {
    line.starts_with(b"--- ")
        && matches!(following, [new, hunk, ..] if new.starts_with(b"+++ ") && hunk.starts_with(b"@@ -"))
}

fn is_binary_hunk(line: &[u8]) -> bool {
    line.starts_with(b"literal ") || line.starts_with(b"delta ")
}

/// Returns the numbers of lines of the old and the new text from a hunk's header.
fn counts(line: &[u8]) -> Option<(usize, usize)> {
    let ((_, old), (_, new)) = hunk(str::from_utf8(line.strip_suffix(b"\n").unwrap_or(line)).ok()?)?;
    Some((old, new))
}

/// Parses `@@ -3,7 +3,8 @@ words`: the first line and the number of lines, of the old text and of the new.
pub(crate) fn hunk(line: &str) -> Option<((usize, usize), (usize, usize))> {
    let (ranges, _) = line.strip_prefix("@@ -")?.split_once(" @@")?;
    let (old, new) = ranges.split_once(" +")?;
    let range = |text: &str| -> Option<(usize, usize)> {
        let (at, count) = text.split_once(',').unwrap_or((text, "1"));
        Some((at.parse().ok()?, count.parse().ok()?))
    };
    Some((range(old)?, range(new)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Option<&str> {
        extent(text.as_bytes()).unwrap().map(|range| &text[range])
    }

    #[test]
    fn text_around_a_diff_is_ignored() {
        let diff = "diff --git a/a b/a\nindex 1..2 100644\n--- a/a\n+++ b/a\n@@ -1,2 +1,2 @@\n x\n-- y\n+-- z\n\
                    diff --git a/b b/c\nrename from b\nrename to c\n";
        let text = format!("---\n a | 2 +-\n\n{diff}\n-- \n2.39.5\n");
        assert_eq!(found(&text), Some(diff));
        let plain = "--- linux.orig/a\t2024-01-01\n+++ linux/a\n@@ -1 +1 @@\n-x\n\\ No newline at end of file\n+y\n\
                     \\ No newline at end of file\n";
        assert_eq!(found(&format!("Index: linux/a\n=====\n{plain}-- \nfooter\n")), Some(plain));
        let binary =
            "diff --git a/a b/a\nindex 1..2 100644\nGIT binary patch\nliteral 3\nKc-a\n\nliteral 2\nJc-b\n\n";
        assert_eq!(found(&format!("{binary}-- \n2\n")), Some(binary));
        let both = format!("{plain}{binary}");
        assert_eq!(found(&format!("{both}\n\nwords\n")), Some(both.as_str()));
    }

    #[test]
    fn text_and_quoted_diffs_are_no_diff() {
        assert_eq!(found("> diff --git a/a b/a\n--- a/a is the file\n+++ b\nwords\n"), None);
    }

    #[test]
    fn hunk_with_surplus_lines_is_found() {
        let text = "--- a/a\n+++ b/a\n@@ -1 +1 @@\n-x\n+y\n+z\n";
        assert_eq!(extent(text.as_bytes()), Err(6));
        let text = "--- a/a\n+++ b/a\n@@ -1 +1 @@\n-x\n+y\n context\n\n+z\n";
        assert_eq!(extent(text.as_bytes()), Err(8));
    }
}
