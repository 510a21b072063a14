//! Files and links that are added to an initramfs.

use std::path::PathBuf;

/// A program, or a file that a program needs, to add to the initramfs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    pub path: String,
    /// Path on the host. A program that is not static needs its libraries as well.
    pub file: PathBuf,
}

/// A symbolic link to add to the initramfs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    pub path: String,
    /// Target, as the guest resolves it.
    pub target: String,
}
