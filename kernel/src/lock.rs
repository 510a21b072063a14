//! One command at a time for each tree.

use std::{
    fs::{self, File},
    path::Path,
};

use nix::{
    errno::Errno,
    fcntl::{Flock, FlockArg},
};

use crate::{Error, Progress, Result};

/// Held until it is dropped, or the process is gone.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: Flock<File>,
}

impl Lock {
    /// Takes the lock of that name, waiting for another command that has it.
    pub(crate) fn take(path: &Path, progress: &dyn Progress) -> Result<Self> {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(Error::io("creating", parent))?;
        }
        let file = File::create(path).map_err(Error::io("creating", path))?;
        let file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Err((file, Errno::EWOULDBLOCK)) => {
                progress.note(&format!("waiting for another command that holds {}", path.display()));
                Flock::lock(file, FlockArg::LockExclusive)
            }
            taken => taken,
        };
        let _file = file.map_err(|(_, errno)| Error::io("locking", path)(errno.into()))?;
        Ok(Self { _file })
    }
}
