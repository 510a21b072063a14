//! List of mutants that no test can notice, each with the reason.
//!
//! An entry identifies a mutant by its function and its code, so that edits elsewhere do not affect
//! it.

use std::fmt;

use kernel::{Mutant, MutantSet};
use serde::Deserialize;

use crate::host::exemptions::Exemption;

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Equivalent {
    file: String,
    function: String,
    operator: String,
    /// The mutated code on one line, as `--list` shows it.
    original: String,
    /// What it is changed into; `None` for any change.
    changed: Option<String>,
    /// The line that it begins in, without indentation, where the same code occurs more than once.
    line: Option<String>,
    /// The line before that one, where the same line occurs more than once.
    after: Option<String>,
    pub reason: String,
    /// Kernels that the entry applies to; `None` for all.
    kernels: Option<Vec<String>>,
}

impl Exemption for Equivalent {
    const NAME: &str = "equivalent";

    fn kernels(&self) -> Option<&[String]> {
        self.kernels.as_deref()
    }
}

impl Equivalent {
    /// Checks whether the entry is about a mutant.
    pub fn matches(&self, mutant: &Mutant, set: &MutantSet) -> bool {
        let is_line = |wanted: &Option<String>, number: usize| {
            wanted.as_ref().is_none_or(|wanted| {
                let text = set.text(&mutant.file).unwrap_or_default();
                text.lines().nth(number.wrapping_sub(1)).is_some_and(|line| wanted.trim() == line.trim())
            })
        };
        self.file == mutant.file
            && self.function == mutant.function
            && self.operator == mutant.operator
            && self.original == mutant.original
            && self.changed.as_ref().is_none_or(|changed| *changed == mutant.changed)
            && is_line(&self.line, mutant.line)
            && is_line(&self.after, mutant.line.wrapping_sub(1))
    }
}

/// Returns a sentence for each entry that is about no mutant.
pub fn gone(entries: &[Equivalent], set: &MutantSet) -> Vec<String> {
    let is_gone = |entry: &&Equivalent| !set.mutants.iter().any(|mutant| entry.matches(mutant, set));
    entries.iter().filter(is_gone).map(|entry| format!("{entry}: no longer there")).collect()
}

impl fmt::Display for Equivalent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}(), {} of `{}`", self.file, self.function, self.operator, self.original)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::host::exemptions::parse;
    use crate::mutants::selection::tests::set;

    fn entries(more: &str) -> Vec<Equivalent> {
        let text = format!(
            "[[equivalent]]\nfile = 'security/keys/a.c'\nfunction = 'f'\noperator = 'swap-error'\n\
             original = '-EACCES'\nreason = 'r'\n{more}\n"
        );
        parse(&text, Path::new("e.toml"), "7.3").unwrap()
    }

    fn numbers(entries: &[Equivalent]) -> Vec<u32> {
        let set = set();
        let listed =
            set.mutants.iter().filter(|mutant| entries.iter().any(|entry| entry.matches(mutant, &set)));
        listed.map(|mutant| mutant.id).collect()
    }

    #[test]
    fn entry_is_about_all_mutants_of_that_code_or_about_those_of_a_line() {
        assert_eq!(numbers(&entries("")), [1, 3]);
        assert_eq!(numbers(&entries("line = 'return -EACCES;'")), [3]);
        assert_eq!(numbers(&entries("after = '{'")), [1]);
        assert_eq!(numbers(&entries("kernels = ['6.12']")), Vec::<u32>::new());
    }

    #[test]
    fn entry_whose_code_has_changed_is_named() {
        assert_eq!(gone(&entries(""), &set()), Vec::<String>::new());
        let gone = gone(&entries("changed = '-EIO'"), &set());
        assert_eq!(gone, ["security/keys/a.c, f(), swap-error of `-EACCES`: no longer there"]);
    }
}
