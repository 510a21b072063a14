//! Errors in a series or a patch that a user names.

use std::{
    io,
    path::{Path, PathBuf},
};

/// Reasons why an input is not a series of patches.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SeriesProblem {
    #[error("there is no such file")]
    NoSuchFile,

    #[error("there is no such file or directory, and it is no range of commits (A..B)")]
    NoSuchName,

    /// A pipe or a device.
    #[error("it is no regular file, and it is read more than once; save it in a file")]
    NotAFile,

    #[error("it is compressed with {0}; unpack it first")]
    Compressed(&'static str),

    #[error("can't unpack it: {0}; fetch it again")]
    Unpack(io::Error),

    #[error("there is no patch in it{}", .left_out.as_ref().map(|words| format!(" (left out: {words})")).unwrap_or_default())]
    Empty { left_out: Option<String> },

    #[error(
        "none of its files is a `*.patch`, `*.diff`, `*.eml` or `*.mbox`; rename them, or list them in a file `series` there"
    )]
    NoPatchFiles,

    #[error("{}", missing(.first, *.count, *.total, .version.as_deref(), .left_out.as_deref()))]
    Missing {
        /// The first that are missing, counted from 1.
        first: Vec<usize>,
        count: usize,
        total: usize,
        /// Version of the series, if it is not the first.
        version: Option<String>,
        /// A mail with such a number that was left out.
        left_out: Option<String>,
    },

    #[error("the number of `{name}` is greater than its total; correct its subject")]
    Beyond { name: String },

    #[error(
        "two different patches have the number {place}/{total}: `{first}` and `{second}`; keep one of them"
    )]
    SameNumber { place: usize, total: usize, first: String, second: String },

    #[error("there are two series in it, with `{first}` and `{second}`; keep one of them")]
    TwoSeries { first: String, second: String },

    #[error(
        "`{numbered}` has a number and `{unnumbered}` has none, so their order is unknown; remove what does not belong to the series, or \
         list the files in order in a file `series`"
    )]
    Mixed { numbered: String, unnumbered: String },

    #[error("line {line} of {}: {why}", file.display())]
    Listed { file: PathBuf, line: usize, why: ListedProblem },

    #[error(
        "there is no such file, and git finds no such commits in {}: {stderr_line}{}", repository.display(),
        if *.is_shallow { format!("; it is a shallow clone: {}", unshallow(.repository)) } else { String::new() }
    )]
    NoSuchCommits { repository: PathBuf, stderr_line: String, is_shallow: bool },

    #[error("this repository has no patches for the kernel in that revision: {stderr_line}")]
    NotInRevision { stderr_line: String },

    /// Commits that don't transform a range's base into its end.
    #[error(
        "its commits don't add up to its end: a merge has changes of its own, or sides that conflict; give a range without merges"
    )]
    NotASum,

    #[error("its two ends have no commit in common in {}", .0.display())]
    Unrelated(PathBuf),

    /// A range that exceeds the history of a shallow clone.
    #[error("{} is a shallow clone, and the history between its two ends is not in it: {}", .0.display(), unshallow(.0))]
    Shallow(PathBuf),
}

/// Reasons why a line of a quilt `series` file is not supported.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListedProblem {
    #[error("there is no file `{0}`")]
    NoSuchFile(String),

    #[error("`{option}` is not supported; rewrite {name} so that it applies with `patch -p1`")]
    Option { option: String, name: String },
}

/// Reasons why a patch can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatchProblem {
    #[error("{0}")]
    Undecodable(String),

    #[error("git does not understand its date `{0}`")]
    Date(String),

    #[error(
        "there are several patches in this one mail, and git would take them for one; save the attachments in a directory"
    )]
    Several,

    #[error(
        "line {line} of its diff is one more than the hunk's header counts, and git would leave it out; write the patch again with `git format-patch`"
    )]
    Overlong { line: usize },
}

fn unshallow(repository: &Path) -> String {
    format!("fetch the rest with `git -C {} fetch --unshallow`", repository.display())
}

/// Number of missing patches that are named.
pub(super) const NAMED: usize = 5;

fn missing(
    first: &[usize],
    count: usize,
    total: usize,
    version: Option<&str>,
    left_out: Option<&str>,
) -> String {
    let mut words: Vec<String> = first.iter().map(usize::to_string).collect();
    if count > first.len() {
        words.push(format!("{} more", count - first.len()));
    }
    let (noun, verb) = if count == 1 { ("patch", "is") } else { ("patches", "are") };
    let last = words.pop().unwrap_or_default();
    let list = if words.is_empty() { last } else { format!("{} and {last}", words.join(", ")) };
    let mail = left_out.map(|name| format!("; `{name}` is a reply or has no diff")).unwrap_or_default();
    let version = version.map(|version| format!(" from {version}")).unwrap_or_default();
    format!("{noun} {list} of {total} {verb} missing{version}{mail}")
}
