//! Progress reports of long operations.

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Download of a source archive. Counted in bytes.
    Download { file: String },
    /// Unpacking of a source archive into a tree. Counted in bytes of the archive.
    Unpack { file: String },
    /// Copy of a user's own tree. Not counted.
    Copy { from: std::path::PathBuf },
    /// Checkout of source files into the tree. Counted in files.
    Checkout,
    /// Application of the series. Counted in patches.
    Series,
    /// Configuration, and its check. Not counted.
    Configure,
    /// Check of a patch. Not counted.
    Check { what: String },
    /// Build of the kernel's own selftests. Not counted.
    Selftests,
    /// Compilation of the files with mutants, until all of them compile. Not counted.
    Mutants { count: usize },
    /// Build of the kernel. Counted in the build's steps (one for each object).
    Build,
}

impl Phase {
    /// Returns true if this phase is counted in bytes. Others are counted in items, or not at all.
    pub fn in_bytes(&self) -> bool {
        matches!(self, Self::Download { .. } | Self::Unpack { .. })
    }
}

/// Receiver of progress reports.
///
/// Phases come one after the other: `started`, any number of `done`, `finished`. A phase that fails
/// is not finished.
pub trait Progress: Sync {
    /// A phase begins. `total` is its amount of work, if known; for a build it is an estimate.
    fn started(&self, phase: &Phase, total: Option<u64>);

    /// The amount of the phase's work that is done by now.
    fn done(&self, amount: u64);

    fn finished(&self);

    /// A note for the user that is not an error.
    fn note(&self, text: &str);

    /// Returns true if the result is not needed any more. The build is then cancelled.
    fn is_cancelled(&self) -> bool {
        false
    }
}

/// Ignores all progress reports.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoProgress;

impl Progress for NoProgress {
    fn started(&self, _: &Phase, _: Option<u64>) {}
    fn done(&self, _: u64) {}
    fn finished(&self) {}
    fn note(&self, _: &str) {}
}
