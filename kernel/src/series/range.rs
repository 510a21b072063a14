//! Commits of a git repository as a series.

use std::path::Path;

use super::{
    apply::Stack,
    mail::{NO_AUTHOR, NO_EMAIL},
    patch::Patch,
    problem::SeriesProblem,
    selection::LeftOut,
};
use crate::{
    Error, Result,
    format_patch::diff_of,
    git_objects::tree_of,
    subprocess::{bytes, git, output, read},
};

/// The commits of a range, as patches.
pub(super) struct Commits {
    pub(super) patches: Vec<Patch>,
    pub(super) left_out: Vec<LeftOut>,
    pub(super) ends: Ends,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ends {
    pub(super) range: String,
    /// The commit that it begins with, which is not in it.
    pub(super) base: String,
    /// That commit's files.
    base_tree: String,
    /// The files of the commit that it ends with.
    tree: String,
}

impl Ends {
    /// Returns true if `top`, which is all patches on top of `base`, has the files of the range's
    /// end. Also true if `base` is not the range's own base.
    pub(super) fn are_met(&self, repository: &Path, base: &str, top: &str) -> Result<bool> {
        Ok(tree_of(repository, base)? != self.base_tree || tree_of(repository, top)? == self.tree)
    }
}

/// Reads the commits of a range from git itself, since a mail can't represent every message and
/// every file.
pub(super) fn commits(range: &str, repository: &Path) -> Result<Commits> {
    let (base, tips) = ends(range, repository)?;
    let ends = Ends {
        range: range.to_owned(),
        base_tree: tree_of(repository, &base)?,
        tree: tree_of(repository, &tips[0])?,
        base,
    };
    let (patches, empty) = patches(range, repository)?;
    let merges = merges(range, repository)?;
    let is_linear = merges.is_empty() && tips.len() == 1;
    if !is_linear && !add_up(&patches, repository, &ends)? {
        return Err(Error::NotASeries { name: range.to_owned(), why: SeriesProblem::NotASum });
    }
    let left_out =
        merges.into_iter().map(LeftOut::Merge).chain(empty.into_iter().map(LeftOut::WithoutDiff)).collect();
    Ok(Commits { patches, left_out, ends })
}

/// Returns true if the patches transform the range's base into its end. A merge may have changes of
/// its own.
fn add_up(patches: &[Patch], repository: &Path, ends: &Ends) -> Result<bool> {
    let mut stack = Stack::on(repository, &ends.base)?;
    for patch in patches {
        match stack.push(patch) {
            Err(Error::DoesNotApply(_)) => return Ok(false),
            pushed => pushed?,
        };
    }
    ends.are_met(repository, &ends.base, &stack.top())
}

/// Returns the patches of a range, and the titles of the commits that change no file.
fn patches(range: &str, repository: &Path) -> Result<(Vec<Patch>, Vec<String>)> {
    const FORMAT: &str = "--format=tformat:%H%x00%an%x00%ae%x00%aD%x00%f%x00%s%x00%b%x00";
    let mut command = git(repository);
    command.args([
        "log",
        "-z",
        "--reverse",
        "--no-merges",
        "--no-patch",
        "--no-color",
        "--no-show-signature",
    ]);
    command.args([
        "--no-notes",
        "--no-decorate",
        "--no-mailmap",
        "--encoding=UTF-8",
        FORMAT,
        "--end-of-options",
    ]);
    let log = bytes(command.args([range, "--"]))?;
    let log = String::from_utf8_lossy(&log);
    let fields: Vec<&str> = log.split('\0').collect();
    let (mut patches, mut empty) = (Vec::new(), Vec::new());
    // The eighth field is the end of the commit's record.
    for record in fields.chunks_exact(8) {
        let [commit, author, email, date, slug, title, message, ..] = *record else { continue };
        let (remarks, diff) = diff_of(repository, commit)?;
        let name = file_name(patches.len() + empty.len() + 1, slug);
        if diff.is_empty() {
            empty.push(name);
            continue;
        }
        let or = |text: &str, otherwise: &str| {
            if text.is_empty() { otherwise.to_owned() } else { text.to_owned() }
        };
        let message = message.trim_end();
        patches.push(Patch {
            title: or(title, name.trim_end_matches(".patch")),
            name,
            author: or(author, &or(email, NO_AUTHOR)),
            email: or(email, NO_EMAIL),
            date: date.to_owned(),
            message: if message.is_empty() { String::new() } else { format!("{message}\n") },
            remarks,
            diff,
        });
    }
    Ok((patches, empty))
}

/// Returns the name of a commit's file in `git format-patch`.
fn file_name(number: usize, slug: &str) -> String {
    const LONGEST: usize = 57;
    let name = format!("{number:04}-{slug}");
    format!("{}.patch", name.get(..LONGEST).unwrap_or(&name))
}

/// Returns true if the name can be a range A..B and is not a path. No revision begins or ends like
/// a path.
pub(super) fn is_range(name: &str) -> bool {
    !name.starts_with('-')
        && name.split_once("..").is_some_and(|(from, to)| {
            let to = to.strip_prefix('.').unwrap_or(to);
            let is_path =
                |end: &str| end.starts_with(['/', '~']) || end.starts_with("./") || end.ends_with('/');
            !is_path(from) && !is_path(to) && !to.contains("..")
        })
}

/// Returns the base and the tips of a range. The base of A..B is A or, if A has advanced since B
/// branched off, their merge base. The tip is B, to which A...B adds A.
fn ends(range: &str, repository: &Path) -> Result<(String, Vec<String>)> {
    let refuse = |why| Error::NotASeries { name: range.to_owned(), why };
    let ask = |arguments: &[&str]| read(git(repository).args(arguments).args([range, "--"]), b"");
    ask(&["rev-list", "--max-count=0"]).map_err(|error| match error {
        Error::Command { stderr, .. } => {
            let stderr_line =
                stderr.lines().next().unwrap_or_default().trim_start_matches("fatal: ").to_owned();
            let is_shallow = is_shallow(repository);
            refuse(SeriesProblem::NoSuchCommits {
                repository: repository.to_owned(),
                stderr_line,
                is_shallow,
            })
        }
        error => error,
    })?;
    let ends = ask(&["rev-parse", "--revs-only"])?;
    let mut common = git(repository);
    common.arg("merge-base").args(ends.lines().map(|end| end.trim_start_matches('^')));
    let common = output(&mut common, b"")?;
    if common.status.success() {
        let tips = ends.lines().filter(|end| !end.starts_with('^')).map(str::to_owned).collect();
        return Ok((String::from_utf8_lossy(&common.stdout).trim_end().to_owned(), tips));
    }
    let problem = if is_shallow(repository) { SeriesProblem::Shallow } else { SeriesProblem::Unrelated };
    Err(refuse(problem(repository.to_owned())))
}

/// Returns the merge commits of a range, whose own changes are in no patch.
fn merges(range: &str, repository: &Path) -> Result<Vec<String>> {
    let merges = read(
        git(repository).args(["log", "--merges", "--format=%h %s", "--end-of-options", range, "--"]),
        b"",
    )?;
    Ok(merges.lines().map(str::to_owned).collect())
}

fn is_shallow(repository: &Path) -> bool {
    let shallow = read(git(repository).args(["rev-parse", "--is-shallow-repository"]), b"");
    shallow.is_ok_and(|answer| answer == "true")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn range_is_distinguished_from_a_path() {
        for range in ["v6.12..work", "a...b", "HEAD~3..", "..topic", "me/topic..you/topic", "v1..v2.mbox"] {
            assert!(is_range(range), "{range}");
        }
        for path in [
            "../nosuch.mbox",
            "a/../b",
            "/tmp/a..b",
            "./a..b",
            "../../x",
            "~/a..b",
            "v3.mbox",
            "a..b..c",
            "a..b/",
            "--output=a..b",
        ] {
            assert!(!is_range(path), "{path}");
        }
    }
}
