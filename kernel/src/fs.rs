//! Files that may not exist, and scratch directories.

use std::{env, fs, io, path::Path};

use tempfile::TempDir;

use crate::{Error, Result};

/// Removes a file, or a directory with its content, if it exists.
pub(crate) fn remove(path: &Path) -> Result<()> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io("removing", path)(error)),
        _ => Ok(()),
    }
}

pub(crate) fn read_if_present(path: &Path) -> Result<Option<String>> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        read => read.map(Some).map_err(Error::io("reading", path)),
    }
}

/// Makes a directory that is removed when it is dropped.
pub(crate) fn scratch() -> Result<TempDir> {
    tempfile::tempdir().map_err(Error::io("creating a directory in", env::temp_dir()))
}

/// Returns true if the output of a program reports a full disk, in the words of the kernel or of
/// git.
pub(crate) fn is_full(output: &str) -> bool {
    ["No space left on device", "Out of diskspace"].iter().any(|words| output.contains(words))
}
