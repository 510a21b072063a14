//! The cache directory: everything in it is keyed by content and can be deleted at any moment.

use std::env;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use anyhow::{Context, Result, anyhow};
use nix::fcntl::{Flock, FlockArg};

/// `$KEYAGENTS_CACHE`, else `$XDG_CACHE_HOME/keyagents`, else `~/.cache/keyagents`. It is created if missing.
///
/// # Errors
/// None of the three is set, or the directory can't be created.
pub fn directory() -> Result<PathBuf> {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let directory = set("KEYAGENTS_CACHE")
        .or_else(|| set("XDG_CACHE_HOME").map(|base| base.join("keyagents")))
        .or_else(|| set("HOME").map(|home| home.join(".cache/keyagents")))
        .ok_or_else(|| anyhow!("no cache directory: set KEYAGENTS_CACHE or HOME"))?;
    // Programs are started elsewhere with these paths: they must not depend on the current directory.
    let directory = std::path::absolute(directory)?;
    fs::create_dir_all(&directory)
        .with_context(|| format!("can't create the cache {}", directory.display()))?;
    Ok(directory)
}

/// Tells `clean`, as long as this process lives, that it starts guests from what is in the cache. Others may do so, too.
///
/// # Errors
/// The cache can't be written to.
pub fn use_for_guests(cache: &Path) -> Result<()> {
    static HELD: OnceLock<Flock<File>> = OnceLock::new();
    if HELD.get().is_some() {
        return Ok(());
    }
    let _ = HELD.set(lock(cache, GUESTS, FlockArg::LockShared)?);
    Ok(())
}

/// The lock of that name among the processes that share the cache. Waits for it; dropping it releases it.
///
/// # Errors
/// The cache can't be written to.
pub fn lock(cache: &Path, name: &str, how: FlockArg) -> Result<Flock<File>> {
    let path = cache.join("locks").join(name);
    let file = fs::create_dir_all(cache.join("locks")).and_then(|()| File::create(&path));
    let file = file.with_context(|| format!("can't create {}", path.display()))?;
    let lock = Flock::lock(file, how).map_err(|(_, errno)| errno);
    lock.with_context(|| format!("can't lock {}", path.display()))
}

/// The name of the lock that is held while guests are started from the cache.
pub const GUESTS: &str = "guests";

/// Writes a file so that nobody ever sees half of it.
///
/// # Errors
/// The disk is full or the directory can't be written to.
pub fn write_whole(path: &Path, content: &[u8]) -> Result<()> {
    let directory = path.parent().ok_or_else(|| anyhow!("{} is no file's path", path.display()))?;
    let write = || -> std::io::Result<()> {
        fs::create_dir_all(directory)?;
        let temporary = path.with_extension(format!("part-{}", std::process::id()));
        let written = File::create(&temporary)
            .and_then(|mut file| file.write_all(content))
            .and_then(|()| fs::rename(&temporary, path));
        written.inspect_err(|_| {
            // On a disk that is full, half a file only makes matters worse. It may never have been made.
            let _ = fs::remove_file(&temporary);
        })
    };
    write().with_context(|| format!("can't write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_file_replaces_the_old_one_and_leaves_nothing_else() {
        let directory = env::temp_dir().join(format!("keyagents-cache-{}", std::process::id()));
        let path = directory.join("a/file");
        write_whole(&path, b"old").unwrap();
        write_whole(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn what_could_not_be_written_whole_is_not_left_in_parts() {
        let directory = env::temp_dir().join(format!("keyagents-cache-failure-{}", std::process::id()));
        // Nothing can be renamed to a directory that is not empty.
        let path = directory.join("file");
        fs::create_dir_all(path.join("full")).unwrap();
        write_whole(&path, b"new").unwrap_err();
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 1);
        fs::remove_dir_all(directory).unwrap();
    }
}
