//! Errors between a kernel's name and its image, with advice.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::{
    Requirement, Subsystem,
    packages::install_command,
    rejects::{RejectReason, RejectedHunk},
    series::{PatchProblem, SeriesProblem},
};

/// Errors of a build. Each message is complete, so none has a source.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error("kernels.toml: {why}")]
    Kernels { why: Box<toml::de::Error> },

    #[error("there is no kernel named `{name}`; there are {known}")]
    NoSuchKernel { name: String, known: String },

    #[error("kernel {kernel} has no patches for {subsystem}; kernel/kernels.toml lists those that have some")]
    NoSubsystem { kernel: String, subsystem: Subsystem },

    #[error("missing on this machine: {}\ninstall with: {}", list(.missing), install(.missing))]
    MissingTools { missing: Vec<Requirement> },

    #[error("no source for kernel {kernel}:{}\nname another kernel with --kernel, or a source of your own (a tarball or a directory) with --kernel-src", attempts.iter().map(|line| format!("\n  {line}")).collect::<String>())]
    NoOrigin { kernel: String, attempts: Vec<String> },

    #[error("{} is not a kernel source: {reason}", path.display())]
    NotASource { path: PathBuf, reason: String },

    #[error("downloading {url}: {reason}; run the command again, or give a source of your own")]
    Download { url: String, reason: String },

    #[error("{what} has SHA-256 {found}, expected {expected}; it was deleted: run the command again")]
    Checksum { what: String, expected: String, found: String },

    #[error("unpacking {}: {why}; the archive is truncated or damaged: fetch it again", path.display())]
    Archive {
        /// The archive. It is already removed if this program fetched it.
        path: PathBuf,
        why: io::Error,
    },

    #[error("can't read the patch `{}`: {}", printable(.patch), printable(&.why.to_string()))]
    NotAPatch { patch: String, why: PatchProblem },

    #[error("can't take `{}` as a series of patches: {}", printable(.name), printable(&.why.to_string()))]
    NotASeries { name: String, why: SeriesProblem },

    #[error("{0}")]
    DoesNotApply(Box<DoesNotApply>),

    #[error("the series for {kernel} has {count} patches: there are none with those numbers")]
    NoSuchPatches { kernel: String, count: usize },

    #[error("kernel {kernel} has no tools/testing/selftests/{collection}: does the series add it?")]
    NoSelftests { kernel: String, collection: String },

    #[error(
        "the tree {0} was edited by hand:\n{1}\nit belongs to the cache: save your work (`git -C {0} diff`), undo it (`git -C {0} reset --hard`) \
         and give a directory of your own as the kernel source",
        path.display(), files
    )]
    EditedTree { path: PathBuf, files: String },

    #[error("{}: {reason}", path.display())]
    WorkTree { path: PathBuf, reason: String },

    #[error("{}:{line}: neither an option nor a comment: `{text}`", file.display())]
    FragmentSyntax { file: PathBuf, line: usize, text: String },

    #[error("User-Mode Linux has no KCSAN: the profile kcsan needs x86-64, that is --vm tcg or kvm")]
    NoKcsan,

    #[error("the kernel's configuration differs from the request:{}", .0.iter().map(|one| format!("\n  {one}")).collect::<String>())]
    ConfigMismatch(Vec<ConfigMismatch>),

    #[error("the kernel build failed ({status}){}\nthe whole log: {}", first.iter().map(|line| format!("\n  {line}")).collect::<String>(), log.display())]
    Build { status: String, first: Vec<String>, log: PathBuf },

    #[error("can't build a kernel with mutants: {why}")]
    Mutants { why: String },

    #[error("the kernel build was given up: nothing is left to be run on it")]
    Cancelled,

    #[error("`{command}` {status}{}", if stderr.is_empty() { String::new() } else { format!(":\n{}", stderr.trim_end()) })]
    Command { command: String, status: String, stderr: String },

    #[error("no space left on the disk of {}; a kernel's source and builds take 6 GB: make room, or set KEYAGENTS_CACHE to a directory elsewhere", path.display())]
    DiskFull { path: PathBuf },

    #[error("{doing} {}: {why}", path.display())]
    Io {
        /// The failed operation, as in "reading".
        doing: &'static str,
        path: PathBuf,
        why: io::Error,
    },
}

/// Returns a foreign text without control sequences for a terminal.
pub(crate) fn printable(text: &str) -> String {
    text.replace(
        |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'),
        "?",
    )
}

#[derive(Debug, Default)]
pub struct DoesNotApply {
    pub patch: String,
    /// Its hunks that fit nowhere.
    pub rejects: Vec<RejectedHunk>,
    /// git's error messages.
    pub git: String,
    /// True if the source already contains the whole series.
    pub is_all_applied: bool,
    /// True if the patches were applied in the order of their mails, since they have no numbers.
    pub is_as_mails_lie: bool,
}

impl std::fmt::Display for DoesNotApply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} does not apply:", printable(&self.patch))?;
        if self.rejects.is_empty() {
            self.git.trim_end().lines().try_for_each(|line| write!(f, "\n{}", printable(line)))?;
        }
        let mut lines = self.rejects.iter().map(|reject| reject.to_string().replace('\n', "\n  "));
        lines.try_for_each(|line| write!(f, "\n  {line}"))?;
        let is_applied = |reject: &RejectedHunk| matches!(reject.instead, RejectReason::Applied(_));
        if self.is_all_applied {
            f.write_str(
                "\nthe source has the whole series already: with `--series none` it is taken as it is",
            )?;
        } else if !self.rejects.is_empty() && self.rejects.iter().all(is_applied) {
            f.write_str(
                "\nthe source has this patch already, but not the whole series: leave the patch out",
            )?;
        } else if self.is_as_mails_lie {
            f.write_str(
                "\nthe patches have no numbers, so they were applied in the order of their mails: if that is the wrong one, save each patch in a \
                 file and list the files in order in a file `series`",
            )?;
        }
        Ok(())
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigMismatch {
    /// The option, with `CONFIG_`.
    pub option: String,
    pub wanted: String,
    pub found: String,
    pub file: PathBuf,
    pub line: usize,
    pub hint: &'static str,
}

impl std::fmt::Display for ConfigMismatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { option, wanted, found, file, line, hint } = self;
        write!(
            f,
            "{}:{line}: {option}={wanted} was requested, and the final .config has {found} ({hint})",
            file.display()
        )
    }
}

impl Error {
    pub(crate) fn work_tree(path: &Path, reason: impl Into<String>) -> Self {
        Self::WorkTree { path: path.to_owned(), reason: reason.into() }
    }

    /// Adds the context to an [`io::Error`]. A full disk becomes an error of its own.
    pub(crate) fn io(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |why| match why.kind() {
            io::ErrorKind::StorageFull => Self::DiskFull { path },
            _ => Self::Io { doing, path, why },
        }
    }
}

fn list(missing: &[Requirement]) -> String {
    missing.iter().map(|one| one.name).collect::<Vec<_>>().join(", ")
}

fn install(missing: &[Requirement]) -> String {
    let mut packages: Vec<_> = missing.iter().map(|one| one.package).collect();
    packages.sort_unstable();
    packages.dedup();
    install_command(&packages)
}
