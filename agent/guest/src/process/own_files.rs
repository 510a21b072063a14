//! Files that only the processes in a mount namespace see.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::mount::{MsFlags, mount};
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::{UnlinkatFlags, unlinkat};

/// Writes the texts of files by path, in this process's mount namespace.
pub(super) fn write(files: &BTreeMap<String, String>) -> Result<(), String> {
    let tops: BTreeSet<PathBuf> = files.keys().map(|path| Path::new(path).iter().take(2).collect()).collect();
    for top in tops {
        cover_with_copy(&top).map_err(|why| format!("a copy of {}: {why}", top.display()))?;
    }
    for (path, text) in files {
        write_file(Path::new("/"), Path::new(path), text).map_err(|why| format!("{path}: {why}"))?;
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

/// Writes a file below a root, in place of what has its name. Follows no symbolic link, since one may
/// lead out of the copy.
fn write_file(root: &Path, path: &Path, text: &str) -> io::Result<()> {
    let mut directory = OwnedFd::from(File::open(root)?);
    for part in path.parent().into_iter().flat_map(Path::components) {
        if let Component::Normal(name) = part {
            let name = Path::new(name);
            directory = open_directory(&directory, name)
                .map_err(|why| io::Error::other(format!("{}: {why}", name.display())))?;
        }
    }
    let name = path.file_name().ok_or(Errno::EINVAL)?;
    match unlinkat(&directory, name, UnlinkatFlags::NoRemoveDir) {
        Ok(()) | Err(Errno::ENOENT) => {}
        Err(errno) => return Err(errno.into()),
    }
    let new = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let mut file = File::from(openat(&directory, name, new, Mode::S_IRUSR | Mode::S_IWUSR)?);
    file.write_all(text.as_bytes())?;
    let mode = if text.starts_with("#!") { 0o755 } else { 0o644 };
    file.set_permissions(Permissions::from_mode(mode))
}

/// Opens a directory, which is created if it is missing.
fn open_directory(parent: &OwnedFd, name: &Path) -> io::Result<OwnedFd> {
    match mkdirat(parent, name, Mode::from_bits_truncate(0o755)) {
        Ok(()) | Err(Errno::EEXIST) => {}
        Err(errno) => return Err(errno.into()),
    }
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    match openat(parent, name, flags, Mode::empty()) {
        Err(Errno::ENOTDIR | Errno::ELOOP) => {
            Err(io::Error::other("a symbolic link or a file, not a directory"))
        }
        opened => Ok(opened?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbolic_links_are_replaced_and_never_followed() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        fs::create_dir(root.join("shared")).unwrap();
        fs::create_dir(root.join("own")).unwrap();
        fs::write(root.join("shared/keyctl"), "shared").unwrap();
        symlink("../shared/keyctl", root.join("own/keyctl")).unwrap();
        symlink("../shared", root.join("own/link")).unwrap();
        let write = |path: &str| write_file(root, Path::new(path), "#!own");

        write("/own/keyctl").unwrap();
        write("/own/new/file").unwrap();
        let refusal = write("/own/link/keyctl").map_err(|why| why.to_string());

        let read = |path: &str| fs::read_to_string(root.join(path)).unwrap();
        assert_eq!(["own/keyctl", "own/new/file", "shared/keyctl"].map(read), ["#!own", "#!own", "shared"]);
        let mode = fs::symlink_metadata(root.join("own/keyctl")).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o755);
        assert_eq!(refusal, Err("link: a symbolic link or a file, not a directory".to_owned()));
    }
}
