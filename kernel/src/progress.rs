//! What is going on, for whoever watches.

/// A stretch of work that a person may have to wait for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// A source archive comes over the network. Counted in bytes.
    Download {
        /// The archive's file name.
        file: String,
    },
    /// A source archive is unpacked into a tree. Counted in bytes of the archive.
    Unpack {
        /// The archive's file name.
        file: String,
    },
    /// A user's own tree is copied. Not counted.
    Copy {
        /// The user's directory.
        from: std::path::PathBuf,
    },
    /// Source files are written into the tree. Counted in files.
    Checkout,
    /// The series is applied. Counted in patches.
    Series,
    /// The configuration is made and checked. Not counted.
    Configure,
    /// A patch is checked. Not counted.
    Check {
        /// What is checked, and how far along that is.
        what: String,
    },
    /// The kernel's own selftests are built. Not counted.
    Selftests,
    /// The kernel is built. Counted in the build's steps (one for each object).
    Build,
}

impl Phase {
    /// Is this phase counted in bytes? Otherwise it is counted in things, or not at all.
    pub fn in_bytes(&self) -> bool {
        matches!(self, Self::Download { .. } | Self::Unpack { .. })
    }
}

/// Someone who watches the work.
///
/// Phases come one after the other: `started`, any number of `done`, `finished`. A phase that fails is not finished.
pub trait Progress: Sync {
    /// A phase begins. `total` is how much there is to do, where that is known; for a build it is an estimate.
    fn started(&self, phase: &Phase, total: Option<u64>);

    /// So much of the phase is done by now, in all.
    fn done(&self, amount: u64);

    /// The phase is over.
    fn finished(&self);

    /// Something that a person should know and that is not an error.
    fn note(&self, text: &str);

    /// Whether nobody waits for the result any more. A build is given up then.
    fn is_cancelled(&self) -> bool {
        false
    }
}

/// Nobody watches.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoProgress;

impl Progress for NoProgress {
    fn started(&self, _: &Phase, _: Option<u64>) {}
    fn done(&self, _: u64) {}
    fn finished(&self) {}
    fn note(&self, _: &str) {}
}
