//! Notices that files of rules change.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::inotify::{self, CreateFlags, Reader, WatchFlags};

/// An inotify instance with watches on the directories of rules.
#[derive(Debug)]
pub(crate) struct RulesWatch {
    fd: OwnedFd,
    /// Files and directories of rules.
    sources: Vec<PathBuf>,
    /// Watches on those sources that are directories.
    directories: BTreeSet<i32>,
}

impl RulesWatch {
    /// Watches files and directories, which may be missing as yet.
    pub(crate) fn new(sources: Vec<PathBuf>) -> io::Result<Self> {
        let fd = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        let mut watch = Self { fd, sources, directories: BTreeSet::new() };
        watch.add();
        Ok(watch)
    }

    /// Watches the sources that are directories, and the directories that contain sources.
    fn add(&mut self) {
        for source in &self.sources {
            let parent = source.parent().filter(|parent| !parent.as_os_str().is_empty());
            // A directory that does not exist has no watch; its parent's sees it appear.
            self.directories.extend(self.watch(source));
            self.watch(parent.unwrap_or(Path::new(".")));
        }
    }

    fn watch(&self, directory: &Path) -> Option<i32> {
        let changes = WatchFlags::CLOSE_WRITE | WatchFlags::MOVE | WatchFlags::CREATE | WatchFlags::DELETE;
        inotify::add_watch(&self.fd, directory, changes | WatchFlags::ONLYDIR).ok()
    }

    /// Whether something has changed since the last call.
    pub(crate) fn take(&mut self) -> bool {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = Reader::new(&self.fd, &mut buffer);
        let mut has_changed = false;
        while let Ok(event) = reader.next() {
            // Without a name, it is about a directory of rules itself, or events are lost.
            let name = event.file_name().map(|name| name.to_bytes());
            let is_in_directory = self.directories.contains(&event.wd());
            let is_rules = |name: &[u8]| is_in_directory && name.ends_with(b".conf") || self.is_source(name);
            has_changed |= name.is_none_or(is_rules);
        }
        if has_changed {
            self.add();
        }
        has_changed
    }

    fn is_source(&self, name: &[u8]) -> bool {
        self.sources.iter().any(|source| source.file_name() == Some(OsStr::from_bytes(name)))
    }
}

impl AsFd for RulesWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn changes_of_rules_are_noticed() {
        let parent = tempfile::tempdir().unwrap();
        let (file, directory) = (parent.path().join("rules"), parent.path().join("rules.d"));
        let mut watch = RulesWatch::new(vec![directory.clone(), file.clone()]).unwrap();
        assert!(!watch.take());
        fs::write(parent.path().join("other.conf"), "").unwrap();
        assert!(!watch.take());
        fs::write(&file, "").unwrap();
        assert!(watch.take());
        fs::create_dir(&directory).unwrap();
        assert!(watch.take());
        fs::write(directory.join("a.conf"), "").unwrap();
        assert!(watch.take());
        fs::remove_file(directory.join("a.conf")).unwrap();
        assert!(watch.take());
        assert!(!watch.take());
    }
}
