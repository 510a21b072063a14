//! Files and links that an initramfs brings along besides its own.

use std::path::PathBuf;

/// A program, or a file that one needs, that the initramfs brings along.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Its path in the guest. Directories that the manifest does not have are made.
    pub path: String,
    /// Where it is on the host. One that is not static needs its libraries, too.
    pub file: PathBuf,
}

impl Program {
    /// A program of the host's under its own name in the guest's /bin.
    pub fn in_bin(file: PathBuf) -> Self {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        Self { path: format!("/bin/{name}"), file }
    }
}

/// A symbolic link that the initramfs brings along.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its path in the guest.
    pub path: String,
    /// Where it leads, as the guest resolves it.
    pub target: String,
}
