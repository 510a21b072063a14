//! Everything that can go wrong between a kernel's name and its image, in words that say what to do.

use std::{io, path::PathBuf};

use crate::{
    Requirement,
    packages::install_command,
    rejects::{RejectReason, RejectedHunk},
    series::{PatchProblem, SeriesProblem},
};

/// Why there is no image. Each says all that there is to say: none has a source to be told besides.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// `kernels.toml` is not what it should be.
    #[error("kernels.toml: {why}")]
    Kernels {
        /// Where and what.
        why: Box<toml::de::Error>,
    },

    /// A name that `kernels.toml` does not have.
    #[error("there is no kernel named `{name}`; there are {known}")]
    NoSuchKernel {
        /// The name asked for.
        name: String,
        /// The names that there are.
        known: String,
    },

    /// The host lacks what a build needs.
    #[error("missing on this machine: {}\ninstall with: {}", list(.missing), install(.missing))]
    MissingTools {
        /// What is missing.
        missing: Vec<Requirement>,
    },

    /// None of the named kernel's origins can be used here.
    #[error("no source for kernel {kernel}:{}\ngive one of your own (a tarball or a directory)", attempts.iter().map(|line| format!("\n  {line}")).collect::<String>())]
    NoOrigin {
        /// The kernel's name.
        kernel: String,
        /// One line for each origin: what it is and why it does not serve.
        attempts: Vec<String>,
    },

    /// What the user gave as a kernel source is none.
    #[error("{} is not a kernel source: {reason}", path.display())]
    NotASource {
        /// What was given.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },

    /// A download that did not arrive, or not whole.
    #[error("downloading {url}: {reason}; run the command again, or give a source of your own")]
    Download {
        /// What was asked for.
        url: String,
        /// What happened.
        reason: String,
    },

    /// An archive whose contents are not the pinned ones.
    #[error("{what} has SHA-256 {found}, expected {expected}; it was deleted: run the command again")]
    Checksum {
        /// The archive.
        what: String,
        /// The pin.
        expected: String,
        /// What the bytes hash to.
        found: String,
    },

    /// An archive that can't be read to its end.
    #[error("unpacking {}: {why}; the archive is truncated or damaged: fetch it again", path.display())]
    Archive {
        /// The archive. It is gone already if this program fetched it.
        path: PathBuf,
        /// What happened.
        why: io::Error,
    },

    /// A patch that can't be read.
    #[error("can't read the patch `{}`: {}", printable(.patch), printable(&.why.to_string()))]
    NotAPatch {
        /// The file's name, or the mail's subject.
        patch: String,
        /// What is wrong with it.
        why: PatchProblem,
    },

    /// What was given as a series of patches is none.
    #[error("can't take `{}` as a series of patches: {}", printable(.name), printable(&.why.to_string()))]
    NotASeries {
        /// What was given.
        name: String,
        /// What is wrong with it.
        why: SeriesProblem,
    },

    /// A patch that does not fit the source.
    #[error("{0}")]
    DoesNotApply(Box<DoesNotApply>),

    /// Patches to check that the series does not have.
    #[error("the series for {kernel} has {count} patches: there are none with those numbers")]
    NoSuchPatches {
        /// The kernel.
        kernel: String,
        /// How many patches there are.
        count: usize,
    },

    /// A tree without the selftests that were asked for.
    #[error("kernel {kernel} has no tools/testing/selftests/{collection}: does the series add it?")]
    NoSelftests {
        /// The kernel.
        kernel: String,
        /// The collection's directory.
        collection: String,
    },

    /// Somebody edited the tree in the cache.
    #[error(
        "the tree {0} was edited by hand:\n{1}\nit belongs to the cache: save your work (`git -C {0} diff`), undo it (`git -C {0} reset --hard`) \
         and give a directory of your own as the kernel source",
        path.display(), files
    )]
    EditedTree {
        /// The tree.
        path: PathBuf,
        /// The files that differ, one a line.
        files: String,
    },

    /// A work tree that can't be made there, or whose commits can't be exported.
    #[error("{}: {reason}", path.display())]
    WorkTree {
        /// The work tree.
        path: PathBuf,
        /// What is in the way, and what to do.
        reason: String,
    },

    /// A line of a configuration fragment that is neither an option nor a comment.
    #[error("{}:{line}: neither an option nor a comment: `{text}`", file.display())]
    FragmentSyntax {
        /// The fragment.
        file: PathBuf,
        /// Counted from 1.
        line: usize,
        /// The line.
        text: String,
    },

    /// Options that were asked for and are not in the final configuration.
    #[error("the kernel's configuration is not what was asked for:{}", .0.iter().map(|one| format!("\n  {one}")).collect::<String>())]
    ConfigMismatch(Vec<ConfigMismatch>),

    /// The build ended in an error.
    #[error("the kernel build failed ({status}){}\nthe whole log: {}", first.iter().map(|line| format!("\n  {line}")).collect::<String>(), log.display())]
    Build {
        /// How make ended.
        status: String,
        /// The first errors.
        first: Vec<String>,
        /// The build's output.
        log: PathBuf,
    },

    /// A build that nobody waits for any more.
    #[error("the kernel build was given up: nothing is left to be run on it")]
    Cancelled,

    /// A program that failed.
    #[error("`{command}` {status}{}", if stderr.is_empty() { String::new() } else { format!(":\n{}", stderr.trim_end()) })]
    Command {
        /// The command line.
        command: String,
        /// How it ended.
        status: String,
        /// What it said.
        stderr: String,
    },

    /// The disk is full.
    #[error("no space left on the disk of {}; a kernel's source and builds take 6 GB: make room, or set KEYAGENTS_CACHE to a directory elsewhere", path.display())]
    DiskFull {
        /// A path on that disk.
        path: PathBuf,
    },

    /// A file operation that failed.
    #[error("{doing} {}: {why}", path.display())]
    Io {
        /// What was being done: "reading".
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// Why it failed.
        why: io::Error,
    },
}

/// A text of somebody else's that does nothing to a terminal.
pub(crate) fn printable(text: &str) -> String {
    text.replace(
        |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'),
        "?",
    )
}

/// A patch that did not fit.
#[derive(Debug, Default)]
pub struct DoesNotApply {
    /// The patch's file name.
    pub patch: String,
    /// Its hunks that fit nowhere.
    pub rejects: Vec<RejectedHunk>,
    /// git's own words.
    pub git: String,
    /// Whether the source has the whole series already.
    pub is_all_applied: bool,
    /// Whether the patches were applied in the order of their mails, since they have no numbers.
    pub is_as_mails_lie: bool,
}

impl std::fmt::Display for DoesNotApply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} does not apply:", printable(&self.patch))?;
        if self.rejects.is_empty() {
            self.git.trim_end().lines().try_for_each(|line| write!(f, "\n{}", printable(line)))?;
        }
        let mut lines = self.rejects.iter().map(|misfit| misfit.to_string().replace('\n', "\n  "));
        lines.try_for_each(|line| write!(f, "\n  {line}"))?;
        let is_applied = |misfit: &RejectedHunk| matches!(misfit.instead, RejectReason::Applied(_));
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

/// One option that did not come out as asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigMismatch {
    /// The option, with `CONFIG_`.
    pub option: String,
    /// The value that was asked for.
    pub wanted: String,
    /// The value that it has.
    pub found: String,
    /// The fragment.
    pub file: PathBuf,
    /// The line in the fragment, counted from 1.
    pub line: usize,
    /// Why that may be.
    pub hint: &'static str,
}

impl std::fmt::Display for ConfigMismatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { option, wanted, found, file, line, hint } = self;
        write!(
            f,
            "{}:{line}: {option}={wanted} was asked for, the final .config has {found} ({hint})",
            file.display()
        )
    }
}

impl Error {
    /// An [`io::Error`] in its context; a full disk is told apart.
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
