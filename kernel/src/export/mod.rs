//! Export of the commits of a work tree as the series of this repository.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use crate::{
    Error, KernelSpec, Kernels, Patch, Result, Series,
    format_patch::format_patch,
    fs::scratch,
    subprocess::{git, output, read},
};

/// Key in the work tree's git configuration: the commit on which the series is based.
pub(crate) const BASE_OF: &str = "keyagents.base";
/// Key in the work tree's git configuration: the kernel of the series.
pub(crate) const KERNEL_OF: &str = "keyagents.kernel";
/// Key in the work tree's git configuration: the subsystem of the series, if it is not the kernel's
/// own.
pub(crate) const SUBSYSTEM_OF: &str = "keyagents.subsystem";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exported {
    pub directory: PathBuf,
    /// Number of patches in the series after the export.
    pub patches: usize,
    /// The files that were written, by name. All others already had the same bytes.
    pub written: Vec<String>,
    /// The files that were removed, by name.
    pub removed: Vec<String>,
}

/// Writes the commits of a work tree of [`edit()`](crate::edit()) as the series of its kernel.
pub fn export(work_tree: &Path, kernel: Option<&str>) -> Result<Exported> {
    let work_tree = std::path::absolute(work_tree).map_err(Error::io("finding", work_tree))?;
    let recorded = |name: &str| read(git(&work_tree).args(["config", "--local", name]), b"");
    let (Ok(name), Ok(base)) = (recorded(KERNEL_OF), recorded(BASE_OF)) else {
        return Err(Error::work_tree(&work_tree, "it was not made by `kernel edit`"));
    };
    if let Some(other) = kernel.filter(|kernel| *kernel != name) {
        return Err(Error::work_tree(&work_tree, format!("it has the series for {name}, not for {other}")));
    }
    require_series(&work_tree, &base)?;
    let kernel = Kernels::load()?.get(&name)?;
    replace(&work_tree, &base, &series_of(&work_tree, kernel)?)
}

/// Returns the directory of the series that the work tree was made of.
fn series_of(work_tree: &Path, kernel: &KernelSpec) -> Result<PathBuf> {
    match read(git(work_tree).args(["config", "--local", SUBSYSTEM_OF]), b"") {
        Ok(name) => {
            let subsystem = name.parse().map_err(|why: String| Error::work_tree(work_tree, why))?;
            kernel.subsystem_directory(subsystem)
        }
        Err(_) => Ok(kernel.series_directory()),
    }
}

fn require_series(work_tree: &Path, base: &str) -> Result<()> {
    let ask = |arguments: &[&str]| read(git(work_tree).args(arguments), b"");
    let refuse = |reason: String| Err(Error::work_tree(work_tree, reason));
    for (file, what) in [
        ("rebase-merge", "rebase"),
        ("rebase-apply", "rebase or am"),
        ("MERGE_HEAD", "merge"),
        ("CHERRY_PICK_HEAD", "cherry-pick"),
    ] {
        if work_tree.join(ask(&["rev-parse", "--git-path", file])?).exists() {
            return refuse(format!("a {what} is under way: finish it first"));
        }
    }
    let changes = ask(&["status", "--porcelain"])?;
    if !changes.is_empty() {
        return refuse(format!("there are changes that are not committed:\n{changes}"));
    }
    let is_ancestor = output(git(work_tree).args(["merge-base", "--is-ancestor", base, "HEAD"]), b"")?;
    if !is_ancestor.status.success() {
        return refuse(format!(
            "HEAD is not based on {base}, the commit below the series: `git rebase --onto {base}` the commits of the series"
        ));
    }
    let range = format!("{base}..HEAD");
    let merges = ask(&["log", "--merges", "--format=%h %s", &range])?;
    if !merges.is_empty() {
        return refuse(format!("a series has no merge commits; these are some:\n{merges}"));
    }
    let subjects = ask(&["log", "--format=%h %s", &range])?;
    if subjects.is_empty() {
        return refuse(format!("there are no commits on top of {base}"));
    }
    let is_unfinished = |line: &&str| {
        let subject = line.split_once(' ').map_or("", |(_, subject)| subject);
        ["fixup! ", "squash! ", "amend! "].iter().any(|mark| subject.starts_with(mark))
    };
    let unfinished: Vec<_> = subjects.lines().filter(is_unfinished).collect();
    if !unfinished.is_empty() {
        return refuse(format!(
            "these commits want `git rebase -i --autosquash {base}` first:\n{}",
            unfinished.join("\n")
        ));
    }
    let base_tree = ask(&["rev-parse", &format!("{base}^{{tree}}")])?;
    let commits = ask(&["log", "--reverse", "--format=%T %h %s", &range])?;
    match commit_without_change(&base_tree, &commits) {
        Some(commit) => refuse(format!("this commit changes nothing: {commit}")),
        None => Ok(()),
    }
}

/// Returns the first commit with the same tree as the one before it. Each line begins with the
/// commit's tree.
fn commit_without_change<'a>(base_tree: &'a str, commits: &'a str) -> Option<&'a str> {
    let mut before = base_tree;
    for (tree, commit) in commits.lines().filter_map(|line| line.split_once(' ')) {
        if tree == before {
            return Some(commit);
        }
        before = tree;
    }
    None
}

/// Returns the names of that directory's patches whose bytes an export would change.
pub(crate) fn restyled(work_tree: &Path, base: &str, directory: &Path) -> Result<Vec<String>> {
    let scratch = scratch()?;
    format_patch(work_tree, &format!("{base}..HEAD"), scratch.path())?;
    keep_notes(directory, scratch.path())?;
    let (old, new) = (patches(directory)?, patches(scratch.path())?);
    let bytes = |directory: &Path, name: &String| {
        let path = directory.join(name);
        fs::read(&path).map_err(Error::io("reading", path))
    };
    let mut restyled = Vec::new();
    for (old, new) in old.into_iter().zip(new) {
        if bytes(directory, &old)? != bytes(scratch.path(), &new)? {
            restyled.push(old);
        }
    }
    Ok(restyled)
}

/// Replaces the directory's patches with those of the commits. Each file is replaced as a whole;
/// the cover letter stays.
fn replace(work_tree: &Path, base: &str, directory: &Path) -> Result<Exported> {
    fs::create_dir_all(directory).map_err(Error::io("creating", directory))?;
    // On the same disk, so that files can be renamed into place.
    let scratch = tempfile::Builder::new()
        .prefix(".export-")
        .tempdir_in(directory)
        .map_err(Error::io("creating a directory in", directory))?;
    format_patch(work_tree, &format!("{base}..HEAD"), scratch.path())?;
    keep_notes(directory, scratch.path())?;
    let names = patches(scratch.path())?;
    let mut written = Vec::new();
    for name in &names {
        let (new, old) = (scratch.path().join(name), directory.join(name));
        let bytes = fs::read(&new).map_err(Error::io("reading", &new))?;
        if fs::read(&old).is_ok_and(|there| there == bytes) {
            continue;
        }
        fs::rename(&new, &old).map_err(Error::io("writing", &old))?;
        written.push(name.clone());
    }
    let stale = patches(directory)?.difference(&names).cloned().collect::<Vec<_>>();
    for name in &stale {
        let path = directory.join(name);
        fs::remove_file(&path).map_err(Error::io("removing", &path))?;
    }
    Ok(Exported { directory: directory.to_owned(), patches: names.len(), written, removed: stale })
}

/// Adds the text behind `---`, which no commit has, to patches with the same title as those that are
/// replaced.
fn keep_notes(old: &Path, new: &Path) -> Result<()> {
    let before = Series::read(old)?;
    for patch in Series::read(new)?.patches() {
        let same = before.patches().iter().find(|before| before.title == patch.title);
        if let Some(notes) = same.and_then(Patch::notes) {
            let path = new.join(&patch.name);
            let mail = patch.clone().with_notes(Some(&notes)).mail();
            fs::write(&path, mail).map_err(Error::io("writing", path))?;
        }
    }
    Ok(())
}

/// Returns the names of the patches in a directory, without the cover letter.
pub(crate) fn patches(directory: &Path) -> Result<BTreeSet<String>> {
    let entries = fs::read_dir(directory).map_err(Error::io("reading", directory))?;
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    Ok(names.filter(|name| name.ends_with(".patch") && !name.starts_with("0000-")).collect())
}

#[cfg(test)]
mod tests;
