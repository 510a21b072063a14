//! Parser of the diagnostics of compilers and similar tools, which finds the new ones.

use std::{collections::HashSet, path::Path};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Diagnostic {
    /// The file, relative to the tree if it is in the tree.
    pub(crate) file: String,
    /// The message without the place in the file.
    pub(crate) message: String,
    /// The line for the user.
    pub(crate) line: String,
}

impl Diagnostic {
    /// Reads `FILE:LINE:COLUMN: warning: MESSAGE`, where line and column may be missing.
    pub(crate) fn parse(line: &str, tree: &Path) -> Option<Self> {
        let line = line.trim_end();
        let line = line.strip_prefix(&format!("{}/", tree.display())).unwrap_or(line);
        let line = line.trim_start_matches("./").trim_start_matches("../");
        let at = [": warning: ", ": error: ", ": fatal error: "].iter().find_map(|mark| line.find(mark))?;
        let (place, message) = line.split_at(at);
        let (file, _) = place.split_once(':').unwrap_or((place, ""));
        Some(Self { file: file.to_owned(), message: message.to_owned(), line: line.to_owned() })
    }

    pub(crate) fn all(output: &str, tree: &Path) -> Vec<Self> {
        output.lines().filter_map(|line| Self::parse(line, tree)).collect()
    }
}

/// The known diagnostics. Lines shift from patch to patch, so a diagnostic is identified by its
/// file and its message.
#[derive(Debug, Default)]
pub(crate) struct Known {
    known: HashSet<(String, String)>,
}

impl Known {
    pub(crate) fn new_ones(&mut self, diagnostics: Vec<Diagnostic>) -> Vec<String> {
        let is_new = |one: &Diagnostic| self.known.insert((one.file.clone(), one.message.clone()));
        diagnostics.into_iter().filter(is_new).map(|one| one.line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(output: &str) -> Vec<Diagnostic> {
        Diagnostic::all(output, Path::new("/t/tree"))
    }

    #[test]
    fn diagnostic_is_distinguished_from_other_output() {
        let output = "  CC      security/keys/key.o\n\
                      /t/tree/security/keys/key.c: In function 'f':\n\
                      /t/tree/security/keys/key.c:12:5: warning: unused variable 'i' [-Wunused-variable]\n\
                      security/keys/key.o: warning: objtool: f+0x1: unreachable instruction\n";
        let lines: Vec<_> = all(output).into_iter().map(|one| (one.file, one.line)).collect();
        let file = |name: &str| name.to_owned();
        assert_eq!(
            lines,
            [
                (
                    file("security/keys/key.c"),
                    file("security/keys/key.c:12:5: warning: unused variable 'i' [-Wunused-variable]")
                ),
                (
                    file("security/keys/key.o"),
                    file("security/keys/key.o: warning: objtool: f+0x1: unreachable instruction")
                ),
            ]
        );
    }

    #[test]
    fn moved_diagnostic_is_not_new() {
        let mut known = Known::default();
        assert_eq!(known.new_ones(all("a.c:1:2: warning: old\n")).len(), 1);
        let new_ones =
            known.new_ones(all("a.c:7:2: warning: old\nb.c:1: warning: old\na.c:9:1: error: worse\n"));
        assert_eq!(new_ones, ["b.c:1: warning: old", "a.c:9:1: error: worse"]);
        assert!(known.new_ones(all("a.c:10:1: error: worse\n")).is_empty());
    }
}
