//! Removal of files that may not exist.

use std::{fs, io, path::Path};

use crate::{Error, Result};

/// Removes a file, or a directory with its content, if it exists.
pub(crate) fn remove(path: &Path) -> Result<()> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io("removing", path)(error)),
        _ => Ok(()),
    }
}

/// Returns true if the output of a program reports a full disk, in the words of the kernel or of
/// git.
pub(crate) fn is_full(output: &str) -> bool {
    ["No space left on device", "Out of diskspace"].iter().any(|words| output.contains(words))
}
