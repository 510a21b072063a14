//! Removing what may be there.

use std::{fs, io, path::Path};

use crate::{Error, Result};

/// Removes a file, or a directory with all that is in it; nothing there is fine.
pub(crate) fn remove(path: &Path) -> Result<()> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io("removing", path)(error)),
        _ => Ok(()),
    }
}

/// Does a program say there that the disk is full? The kernel's words, and git's own.
pub(crate) fn is_full(said: &str) -> bool {
    ["No space left on device", "Out of diskspace"].iter().any(|words| said.contains(words))
}
