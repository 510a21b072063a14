//! Commits of a git repository as a series.

use std::path::Path;

use super::problem::SeriesProblem;
use crate::{
    Error, Result,
    command::{git, output, read},
};

/// Whether that can be a range A..B, and is no path: neither end is a revision if it begins or ends like a path.
pub(super) fn is_range(name: &str) -> bool {
    name.split_once("..").is_some_and(|(from, to)| {
        let to = to.strip_prefix('.').unwrap_or(to);
        let is_path = |end: &str| end.starts_with(['/', '~']) || end.starts_with("./") || end.ends_with('/');
        !is_path(from) && !is_path(to) && !to.contains("..")
    })
}

/// The commit A of A..B or, if A has gone on since B left it, the one at which it did.
pub(super) fn beginning(range: &str, repository: &Path) -> Result<String> {
    let refuse = |why| Error::NotASeries { name: range.to_owned(), why };
    let ask = |arguments: &[&str]| read(git(repository).args(arguments).args([range, "--"]), b"");
    ask(&["rev-list", "--max-count=0"]).map_err(|error| match error {
        Error::Command { stderr, .. } => {
            let said = stderr.lines().next().unwrap_or_default().trim_start_matches("fatal: ").to_owned();
            let is_shallow = is_shallow(repository);
            refuse(SeriesProblem::NoSuchCommits { repository: repository.to_owned(), said, is_shallow })
        }
        error => error,
    })?;
    let ends = ask(&["rev-parse", "--revs-only"])?;
    let mut common = git(repository);
    common.arg("merge-base").args(ends.lines().map(|end| end.trim_start_matches('^')));
    let common = output(&mut common, b"")?;
    if common.status.success() {
        return Ok(String::from_utf8_lossy(&common.stdout).trim_end().to_owned());
    }
    let problem = if is_shallow(repository) { SeriesProblem::Shallow } else { SeriesProblem::Unrelated };
    Err(refuse(problem(repository.to_owned())))
}

/// The merge commits of a range, whose own changes no patch has.
pub(super) fn merges(range: &str, repository: &Path) -> Result<Vec<String>> {
    let merges = read(git(repository).args(["log", "--merges", "--format=%h %s", range, "--"]), b"")?;
    Ok(merges.lines().map(str::to_owned).collect())
}

fn is_shallow(repository: &Path) -> bool {
    let asked = read(git(repository).args(["rev-parse", "--is-shallow-repository"]), b"");
    asked.is_ok_and(|answer| answer == "true")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_told_from_a_path() {
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
        ] {
            assert!(!is_range(path), "{path}");
        }
    }
}
