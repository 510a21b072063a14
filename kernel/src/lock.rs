//! File locks in the cache. A note names the command that one is waited for.

use std::{
    fs::{self, File},
    os::unix::fs::MetadataExt,
    path::Path,
};

use nix::{
    errno::Errno,
    fcntl::{Flock, FlockArg},
    sys::stat::{major, minor},
};

use crate::{Error, Progress, Result};

/// A lock, held until it is dropped or the process exits.
#[derive(Debug)]
pub struct Lock {
    _file: Flock<File>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockMode {
    Exclusive,
    Shared,
}

impl Lock {
    /// Takes the exclusive lock at that path. Waits for another command that holds it.
    pub(crate) fn take(path: &Path, progress: &dyn Progress) -> Result<Self> {
        Self::wait(path, LockMode::Exclusive, |text| progress.note(text))
    }

    /// Takes the lock at that path, whose directory is created when missing. Waits, after a note,
    /// for another command that holds it.
    pub fn wait(path: &Path, mode: LockMode, note: impl FnOnce(&str)) -> Result<Self> {
        let (at_once, blocking) = match mode {
            LockMode::Exclusive => (FlockArg::LockExclusiveNonblock, FlockArg::LockExclusive),
            LockMode::Shared => (FlockArg::LockSharedNonblock, FlockArg::LockShared),
        };
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(Error::io("creating", parent))?;
        }
        let file = File::create(path).map_err(Error::io("creating", path))?;
        let file = match Flock::lock(file, at_once) {
            Err((file, Errno::EWOULDBLOCK)) => {
                note(&waiting(path));
                Flock::lock(file, blocking)
            }
            taken => taken,
        };
        let _file = file.map_err(|(_, errno)| Error::io("locking", path)(errno.into()))?;
        Ok(Self { _file })
    }
}

fn waiting(path: &Path) -> String {
    match lock_holders(path).as_slice() {
        [] => format!("waiting for another command that holds {}", path.display()),
        holders => format!("waiting for {}, which holds {}", holders.join(" and "), path.display()),
    }
}

/// Returns the processes that hold a lock on this file, as in `pid 17 (cargo xtask test)`, as far
/// as this process can see them.
pub fn lock_holders(path: &Path) -> Vec<String> {
    let Ok(file) = fs::metadata(path) else { return Vec::new() };
    let locks = fs::read_to_string("/proc/locks").unwrap_or_default();
    let id = format!("{:02x}:{:02x}:{}", major(file.dev()), minor(file.dev()), file.ino());
    let mut pids: Vec<&str> = locks.lines().filter_map(|line| holder(line, &id)).collect();
    pids.dedup();
    pids.into_iter().map(|pid| format!("pid {pid} ({})", command_of(pid))).collect()
}

/// Returns the pid in a line of /proc/locks about that file. A waiting one has `->` behind the
/// number; one of another namespace is 0.
fn holder<'l>(line: &'l str, id: &str) -> Option<&'l str> {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words.as_slice() {
        [_, "FLOCK", _, _, pid, file, ..] if *file == id && *pid != "0" => Some(pid),
        _ => None,
    }
}

fn command_of(pid: &str) -> String {
    let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words = words.split(|byte| *byte == 0).map(String::from_utf8_lossy);
    let line = words.collect::<Vec<_>>().join(" ");
    if line.trim().is_empty() { "its command is not known".to_owned() } else { line.trim().to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NoProgress;

    #[test]
    fn waiting_message_names_the_holder() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let held = Lock::take(&path, &NoProgress).unwrap();
        let note = waiting(&path);
        let begin = format!("waiting for pid {} (", std::process::id());
        assert!(
            note.starts_with(&begin) && note.ends_with(&format!("which holds {}", path.display())),
            "{note}"
        );
        drop(held);
        assert!(lock_holders(&path).is_empty());
    }

    #[test]
    fn waiting_process_is_no_holder() {
        let id = "08:02:131";
        assert_eq!(holder("1: FLOCK  ADVISORY  WRITE 17 08:02:131 0 EOF", id), Some("17"));
        assert_eq!(holder("1: -> FLOCK  ADVISORY  WRITE 18 08:02:131 0 EOF", id), None);
        assert_eq!(holder("2: FLOCK  ADVISORY  WRITE 19 08:02:132 0 EOF", id), None);
    }
}
