//! Cache directory. Its entries are keyed by content and can be deleted at any time.

use std::env;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use anyhow::{Context, Result, anyhow, bail};
use kernel::{Lock, LockMode};
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag};
use nix::unistd::{AccessFlags, access, linkat};

use crate::host::workspace;

pub const REMEDY: &str = "set KEYAGENTS_CACHE to another directory";

/// Returns the cache's directory: [`configured_path`], created if missing.
/// It is checked first that it can hold kernel builds, which take minutes.
pub fn directory() -> Result<PathBuf> {
    let directory = configured_path()?;
    check_path(&directory)?;
    let made = fs::create_dir_all(&directory).and_then(|()| fs::canonicalize(&directory));
    let target =
        made.map_err(|why| anyhow!("can't create the cache {}: {why}; {REMEDY}", directory.display()))?;
    // Kernels are built at the target of links.
    check_path(&target)?;
    access(&directory, AccessFlags::W_OK | AccessFlags::X_OK).map_err(|why| {
        anyhow!("can't write to the cache {}: {}; {REMEDY}", directory.display(), why.desc())
    })?;
    Ok(directory)
}

/// Returns `$KEYAGENTS_CACHE`, else `$XDG_CACHE_HOME/keyagents`, else `~/.cache/keyagents`.
pub fn configured_path() -> Result<PathBuf> {
    configured_by(|name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from))
}

/// Resolves a relative path against the checkout, since tests and commands run in several
/// directories and share one cache.
fn configured_by(set: impl Fn(&str) -> Option<PathBuf>) -> Result<PathBuf> {
    let absolute = |name: &str| set(name).filter(|path| path.is_absolute());
    set("KEYAGENTS_CACHE")
        .map(|cache| workspace::root().join(cache))
        // By the XDG specification, relative paths are ignored.
        .or_else(|| absolute("XDG_CACHE_HOME").map(|base| base.join("keyagents")))
        .or_else(|| absolute("HOME").map(|home| home.join(".cache/keyagents")))
        .ok_or_else(|| anyhow!("can't find a cache directory: set KEYAGENTS_CACHE or HOME"))
}

fn check_path(directory: &Path) -> Result<()> {
    match kernel::unbuildable(directory) {
        None => Ok(()),
        Some(bad) => {
            bail!(
                "can't use the cache {}: make can't build a kernel at a path with {bad:?} in it; {REMEDY}",
                directory.display()
            )
        }
    }
}

/// Holds the shared lock for guests until the process ends: `clean` keeps the entries that they
/// start from.
pub fn lock_for_guests(cache: &Path, note: impl FnOnce(&str)) -> Result<()> {
    static HELD: OnceLock<Lock> = OnceLock::new();
    if HELD.get().is_none() {
        let _ = HELD.set(lock(cache, GUESTS, LockMode::Shared, note)?);
    }
    Ok(())
}

/// Takes a lock shared by the processes that use the cache. Waits for it, with a note of its
/// holder; dropping it releases it.
pub fn lock(cache: &Path, name: &str, mode: LockMode, note: impl FnOnce(&str)) -> Result<Lock> {
    Ok(Lock::wait(&cache.join("locks").join(name), mode, note)?)
}

/// Name of the lock that is held while guests are started from the cache.
pub const GUESTS: &str = "guests";

pub fn write_whole(path: &Path, content: &[u8]) -> Result<()> {
    let directory =
        path.parent().ok_or_else(|| anyhow!("can't write {}: it is no file's path", path.display()))?;
    let write = || -> io::Result<()> {
        fs::create_dir_all(directory)?;
        let temporary = path.with_extension(format!("part-{}", std::process::id()));
        let written = write_named(&temporary, directory, content).and_then(|()| fs::rename(&temporary, path));
        written.inspect_err(|_| {
            // Removes the partial file, which a full disk has no room for. It may not exist.
            let _ = fs::remove_file(&temporary);
        })
    };
    write().with_context(|| format!("can't write {}", path.display()))
}

/// Creates the file without a name, and links it when it is complete, so that a killed process
/// leaves nothing.
fn write_named(path: &Path, directory: &Path, content: &[u8]) -> io::Result<()> {
    let nameless = OpenOptions::new().write(true).custom_flags(OFlag::O_TMPFILE.bits()).open(directory);
    match nameless {
        Ok(mut file) => {
            file.write_all(content)?;
            // Left by an earlier process with this pid.
            let _ = fs::remove_file(path);
            let open = format!("/proc/self/fd/{}", file.as_raw_fd());
            Ok(linkat(AT_FDCWD, open.as_str(), AT_FDCWD, path, AtFlags::AT_SYMLINK_FOLLOW)?)
        }
        // The file system does not support `O_TMPFILE`.
        Err(_) => fs::write(path, content),
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn relative_cache_is_below_the_checkout_and_other_relative_paths_are_ignored() {
        let place = |set: &[(&str, &str)]| {
            configured_by(|name| set.iter().find(|(it, _)| *it == name).map(|(_, path)| path.into())).ok()
        };
        assert_eq!(place(&[("KEYAGENTS_CACHE", "c"), ("HOME", "/h")]), Some(workspace::root().join("c")));
        assert_eq!(place(&[("XDG_CACHE_HOME", "c"), ("HOME", "/h")]), Some("/h/.cache/keyagents".into()));
        assert_eq!(place(&[("XDG_CACHE_HOME", "/c"), ("HOME", "/h")]), Some("/c/keyagents".into()));
        assert_eq!(place(&[("HOME", "h")]), None);
    }

    #[test]
    fn cache_path_that_make_misreads_is_refused() {
        let message = check_path(Path::new("/my cache")).unwrap_err().to_string();
        let cause = "make can't build a kernel at a path with ' ' in it";
        assert_eq!(message, format!("can't use the cache /my cache: {cause}; {REMEDY}"));
        check_path(Path::new("/home/me/.cache/keyagents")).unwrap();
    }

    #[test]
    fn killed_write_leaves_nothing() {
        const NAME: &str = "KEYAGENTS_TEST_OF_A_KILLED_WRITE";
        if let Some(path) = env::var_os(NAME) {
            write_whole(Path::new(&path), &vec![0; 1 << 20]).unwrap();
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let test = concat!(module_path!(), "::killed_write_leaves_nothing").trim_start_matches("xtask::");
        // The kernel kills a process that writes past the limit, in the middle of the write.
        let mut command = Command::new("sh");
        command.args(["-c", "ulimit -c 0; ulimit -f 8; exec \"$0\" --exact \"$1\""]);
        command.arg(env::current_exe().unwrap()).arg(test).env(NAME, directory.path().join("file"));
        assert!(!command.output().unwrap().status.success());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn written_file_replaces_the_old_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a/file");
        write_whole(&path, b"old").unwrap();
        write_whole(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn failed_write_leaves_no_partial_file() {
        let directory = tempfile::tempdir().unwrap();
        // A file can't replace a directory that is not empty.
        let path = directory.path().join("file");
        fs::create_dir_all(path.join("full")).unwrap();
        write_whole(&path, b"new").unwrap_err();
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 1);
    }
}
