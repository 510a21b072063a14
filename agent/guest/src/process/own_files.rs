//! Files that only the processes in a mount namespace see.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use nix::mount::{MsFlags, mount};

/// Writes the texts of files by path, in this process's mount namespace.
pub(super) fn write(files: &BTreeMap<String, String>) -> Result<(), String> {
    let tops: BTreeSet<PathBuf> = files.keys().map(|path| Path::new(path).iter().take(2).collect()).collect();
    for top in tops {
        cover_with_copy(&top).map_err(|why| format!("a copy of {}: {why}", top.display()))?;
    }
    for (path, text) in files {
        write_file(Path::new(path), text).map_err(|why| format!("{path}: {why}"))?;
    }
    Ok(())
}

/// Mounts a copy of a directory on it.
fn cover_with_copy(top: &Path) -> io::Result<()> {
    // The working directory stays the one below the mount.
    env::set_current_dir(top)?;
    let safe = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(Some("tmpfs"), top, Some("tmpfs"), safe, None::<&str>)?;
    copy_directory(Path::new("."), top)?;
    env::set_current_dir("/")
}

/// Copies what is in a directory, except sockets, pipes and devices.
fn copy_directory(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (kind, copy) = (entry.file_type()?, to.join(entry.file_name()));
        if kind.is_symlink() {
            symlink(fs::read_link(entry.path())?, copy)?;
        } else if kind.is_dir() {
            fs::create_dir(&copy)?;
            copy_directory(&entry.path(), &copy)?;
        } else if kind.is_file() {
            fs::copy(entry.path(), copy)?;
        }
    }
    fs::set_permissions(to, fs::metadata(from)?.permissions())
}

fn write_file(path: &Path, text: &str) -> io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)?;
    fs::write(path, text)?;
    let mode = if text.starts_with("#!") { 0o755 } else { 0o644 };
    fs::set_permissions(path, Permissions::from_mode(mode))
}
