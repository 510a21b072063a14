//! Selection of mutants by file, function, line, number, diff or sample.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read};
use std::path::Path;

use anyhow::{Context, Result, bail};
use kernel::{Mutant, MutantSet, touched_lines};
use sha2::{Digest, Sha256};

use crate::host::output;

/// Files with the lines that a change adds or rewrites.
pub type Touched = Vec<(String, BTreeSet<usize>)>;

/// A filter of the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Filter {
    /// The file of this path, or of the path that ends so.
    File(String),
    Line(String, usize),
    Number(u32),
    Function(String),
}

impl Filter {
    fn parse(text: &str) -> Self {
        let is_file = |name: &str| name.ends_with(".c") || name.ends_with(".h");
        match text.rsplit_once(':') {
            Some((file, line)) if is_file(file) && line.parse::<usize>().is_ok() => {
                Self::Line(file.to_owned(), line.parse().unwrap_or_default())
            }
            _ if is_file(text) => Self::File(text.to_owned()),
            _ => text
                .parse()
                .map_or_else(|_| Self::Function(text.trim_end_matches("()").to_owned()), Self::Number),
        }
    }

    /// `lines` finds the lines of a mutant, which takes long for many filters and mutants.
    fn matches(&self, mutant: &Mutant, lines: impl Fn(&Mutant) -> Vec<usize>) -> bool {
        let is_file = |name: &str| mutant.file == name || mutant.file.ends_with(&format!("/{name}"));
        match self {
            Self::File(name) => is_file(name),
            Self::Line(name, line) => is_file(name) && lines(mutant).contains(line),
            Self::Number(number) => mutant.id == *number,
            Self::Function(name) => mutant.function == *name,
        }
    }
}

/// Returns the selected mutants: those that match one of the filters and lie in touched lines.
pub fn select<'s>(
    set: &'s MutantSet,
    filters: &[String],
    touched: Option<&Touched>,
) -> Result<Vec<&'s Mutant>> {
    let lines = |mutant: &Mutant| set.text(&mutant.file).map(|text| mutant.lines(text)).unwrap_or_default();
    let mut selected: Vec<&Mutant> = set.mutants.iter().collect();
    for text in filters {
        let filter = Filter::parse(text);
        if !selected.iter().any(|mutant| filter.matches(mutant, lines)) {
            bail!(
                "no mutant matches `{text}`: name a file, a function, FILE:LINE or a number of `cargo xtask mutants --list`"
            );
        }
    }
    let filters: Vec<Filter> = filters.iter().map(|text| Filter::parse(text)).collect();
    selected
        .retain(|mutant| filters.is_empty() || filters.iter().any(|filter| filter.matches(mutant, lines)));
    if let Some(touched) = touched {
        selected.retain(|mutant| {
            let of_file = touched.iter().filter(|(path, _)| *path == mutant.file);
            let own = lines(mutant);
            of_file.flat_map(|(_, numbers)| numbers).any(|number| own.contains(number))
        });
    }
    Ok(selected)
}

/// Reads the lines that a diff of a kernel tree touches; `-` is standard input.
pub fn read_diff(file: &Path) -> Result<Touched> {
    let mut text = String::new();
    if output::is_standard_output(file) {
        io::stdin().read_to_string(&mut text).context("can't read the diff on standard input")?;
    } else {
        text = fs::read_to_string(file).with_context(|| format!("can't read {}", file.display()))?;
    }
    let touched = touched_lines(&text);
    if touched.is_empty() && !text.trim().is_empty() {
        bail!(
            "can't read {} as a diff: it adds no lines to a file; give the output of `git diff` in a kernel tree",
            file.display()
        );
    }
    Ok(touched)
}

/// Returns `count` of the mutants. The same seed chooses the same ones.
pub fn sample(mut mutants: Vec<&Mutant>, count: usize, seed: u64) -> Vec<&Mutant> {
    mutants.sort_by_cached_key(|mutant| {
        let place = format!(
            "{seed} {} {} {} {} {}",
            mutant.file, mutant.line, mutant.column, mutant.operator, mutant.changed
        );
        Sha256::digest(place).to_vec()
    });
    mutants.truncate(count);
    mutants.sort_by_key(|mutant| mutant.id);
    mutants
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::*;

    /// Returns a set of four mutants in two files.
    pub(crate) fn set() -> MutantSet {
        let text = "int f(void)\n{\n\tif (a) return -EACCES;\n\treturn -EACCES;\n}\n";
        let mutant = |id: u32, file: &str, line: usize, function: &str, operator: &str, start: usize| {
            json!({
                "id": id, "file": file, "line": line, "column": 9, "function": function, "operator": operator,
                "original": "-EACCES", "changed": "-EPERM",
                "edits": [{ "start": start, "end": start + 7, "change": { "replace": "-EPERM" } }],
            })
        };
        let set = json!({
            "files": [{ "path": "security/keys/a.c", "text": text }, { "path": "kernel/b.c", "text": text }],
            "mutants": [
                mutant(1, "security/keys/a.c", 3, "f", "swap-error", 29),
                mutant(2, "security/keys/a.c", 4, "f", "drop-error", 46),
                mutant(3, "security/keys/a.c", 4, "f", "swap-error", 46),
                mutant(4, "kernel/b.c", 3, "g", "swap-error", 29),
            ],
            "uncompilable": [],
        });
        serde_json::from_value(set).unwrap()
    }

    fn numbers(filters: &[&str], diff: Option<&str>) -> Vec<u32> {
        let filters: Vec<String> = filters.iter().map(|filter| (*filter).to_owned()).collect();
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), diff.unwrap_or_default()).unwrap();
        let touched = diff.map(|_| read_diff(file.path()).unwrap());
        let set = set();
        let selected = select(&set, &filters, touched.as_ref()).unwrap();
        selected.iter().map(|mutant| mutant.id).collect()
    }

    #[test]
    fn filter_is_a_file_a_function_a_line_or_a_number() {
        assert_eq!(numbers(&[], None), [1, 2, 3, 4]);
        assert_eq!(numbers(&["a.c"], None), [1, 2, 3]);
        assert_eq!(numbers(&["kernel/b.c"], None), [4]);
        assert_eq!(numbers(&["a.c:4"], None), [2, 3]);
        assert_eq!(numbers(&["g", "2"], None), [2, 4]);
        let error = select(&set(), &["nothing".to_owned()], None).unwrap_err().to_string();
        assert!(error.starts_with("no mutant matches `nothing`"), "{error}");
    }

    #[test]
    fn diff_selects_the_mutants_of_the_lines_that_it_adds() {
        let diff = "--- a/security/keys/a.c\n+++ b/security/keys/a.c\n@@ -2,3 +2,3 @@\n {\n \tif (a) return -EACCES;\n-\treturn 0;\n+\treturn -EACCES;\n";
        assert_eq!(numbers(&[], Some(diff)), [2, 3]);
        assert_eq!(numbers(&[], Some("")), Vec::<u32>::new());
    }

    #[test]
    fn sample_of_a_seed_is_the_same_each_time() {
        let set = set();
        let numbers = |count, seed| {
            sample(set.mutants.iter().collect(), count, seed).iter().map(|it| it.id).collect::<Vec<_>>()
        };
        assert_eq!(numbers(2, 7), numbers(2, 7));
        assert_eq!(numbers(9, 7), [1, 2, 3, 4]);
        let of_seeds: BTreeSet<Vec<u32>> = (0..20).map(|seed| numbers(2, seed)).collect();
        assert!(of_seeds.len() > 1);
    }
}
