//! Build of a tree with all mutants: those that do not compile are found by the compiler's errors,
//! and left out.

use std::collections::{BTreeMap, BTreeSet};

use super::schemata::{Mutated, mutated};
use super::{Mutant, MutantSet};
use crate::{
    Error, Phase, Progress, Result, Tree,
    build::Build,
    fs::scratch,
    subprocess::{git, read},
    tree::check_out,
};

/// The selector of the mutants.
const SELECTOR: &str = include_str!("../../mutants/mutants.c");

/// Maximum number of builds until the rest compiles.
const ROUNDS: usize = 30;

/// Warnings of the compiler about a mutant whose two values have different types.
const TYPE_WARNINGS: [&str; 4] =
    ["type mismatch in conditional", "incompatible-pointer-types", "int-conversion", "discarded-qualifiers"];

/// Puts the mutants into the tree, and leaves out those that do not compile, until the rest does.
/// The tree stays mutated.
pub(crate) fn build(
    mut set: MutantSet,
    tree: &Tree,
    build: &Build<'_>,
    progress: &dyn Progress,
) -> Result<MutantSet> {
    let paths: Vec<String> = set.files.iter().map(|file| file.path.clone()).collect();
    let objects: Vec<String> =
        sources(tree, &paths)?.iter().map(|path| format!("{}o", path.trim_end_matches('c'))).collect();
    progress.started(&Phase::Mutants { count: set.mutants.len() }, None);
    for _ in 0..ROUNDS {
        let files = files(&set);
        check_out(&tree.path, &commit(tree, &files)?, progress)?;
        let output = build.compile(&objects)?;
        let bad = uncompilable(&output.lines, &files);
        if bad.is_empty() && output.is_complete {
            progress.finished();
            return Ok(set);
        }
        if bad.is_empty() {
            return Err(output.failure);
        }
        set.uncompilable.extend(bad);
        set.uncompilable.sort_unstable();
    }
    Err(Error::Mutants { why: format!("after {ROUNDS} builds there are still mutants that do not compile") })
}

/// Returns the C files with code of the mutated ones: for a header, those of security/keys that
/// exist anyway.
fn sources(tree: &Tree, paths: &[String]) -> Result<BTreeSet<String>> {
    let mut sources: BTreeSet<String> = paths.iter().filter(|path| path.ends_with(".c")).cloned().collect();
    if sources.len() < paths.len() {
        let mut listed = git(&tree.path);
        listed.args(["diff", "--name-only", "--diff-filter=AM", &tree.base, &tree.head, "--", "*.c"]);
        listed.args([":!tools", ":!samples", ":!scripts", ":!Documentation", ":!*_test.c", ":!*_kunit.c"]);
        sources.extend(read(&mut listed, b"")?.lines().map(str::to_owned));
    }
    Ok(sources)
}

/// Returns the mutated files, by their paths.
fn files(set: &MutantSet) -> BTreeMap<String, Mutated> {
    let of = |path: &str| {
        let is_compiled = |mutant: &&Mutant| mutant.file == path && set.is_compiled(mutant.id);
        set.mutants.iter().filter(is_compiled).collect::<Vec<_>>()
    };
    set.files
        .iter()
        .map(|file| (file.path.clone(), mutated(&file.text, of(&file.path).into_iter())))
        .collect()
}

/// Commits the mutated files and the selector on top of the series. Returns the commit.
fn commit(tree: &Tree, files: &BTreeMap<String, Mutated>) -> Result<String> {
    let scratch = scratch()?;
    let index = scratch.path().join("index");
    let in_index = || {
        let mut command = git(&tree.path);
        command.env("GIT_INDEX_FILE", &index);
        command
    };
    read(in_index().args(["read-tree", &tree.head]), b"")?;
    let makefile = read(in_index().args(["show", &format!("{}:lib/Makefile", tree.head)]), b"")?;
    let makefile = format!("{makefile}\nobj-y += mutants.o\n");
    let texts = files.iter().map(|(path, file)| (path.as_str(), file.text.as_str()));
    for (path, text) in texts.chain([("lib/mutants.c", SELECTOR), ("lib/Makefile", &makefile)]) {
        let blob = read(in_index().args(["hash-object", "-w", "--stdin"]), text.as_bytes())?;
        read(
            in_index().args(["update-index", "--add", "--cacheinfo", &format!("100644,{blob},{path}")]),
            b"",
        )?;
    }
    let made = read(in_index().arg("write-tree"), b"")?;
    let mut commit = git(&tree.path);
    commit.args(["commit-tree", &made, "-p", &tree.head, "-m", "Mutants"]);
    for who in ["AUTHOR", "COMMITTER"] {
        commit.env(format!("GIT_{who}_NAME"), "mutants").env(format!("GIT_{who}_EMAIL"), "mutants@localhost");
        commit.env(format!("GIT_{who}_DATE"), "2022-07-01T00:00:00Z");
    }
    read(&mut commit, b"")
}

/// Returns the mutants that the compiler complains of.
pub(super) fn uncompilable(lines: &[String], files: &BTreeMap<String, Mutated>) -> BTreeSet<u32> {
    let mut bad = BTreeSet::new();
    let mut is_open = false;
    for line in lines {
        let Some((path, number, column, message)) = place(line) else { continue };
        let is_error = message.starts_with("error:") || TYPE_WARNINGS.iter().any(|it| message.contains(it));
        let is_note = message.starts_with("note:");
        let found = || files.get(path).map(|file| file.mutants_at(number, column)).unwrap_or_default();
        // The place of an error in a macro is that of the macro. A note has that of its use.
        if is_error || is_note && is_open {
            let found = found();
            is_open = found.is_empty();
            bad.extend(found);
        } else if !is_note {
            is_open = false;
        }
    }
    bad
}

/// Reads `FILE:LINE:COLUMN: MESSAGE`.
fn place(line: &str) -> Option<(&str, usize, usize, &str)> {
    let mut parts = line.splitn(4, ':');
    let path = parts.next()?.trim_start_matches("./");
    let (line, column) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    Some((path, line, column, parts.next()?.trim()))
}
