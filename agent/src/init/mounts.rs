//! The file systems that the guest needs, and those that are welcome.

use std::fs;
use std::path::Path;

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};

/// A file system to mount.
struct Mount {
    kind: &'static str,
    at: &'static str,
    options: Option<&'static str>,
    flags: MsFlags,
    /// Whether the guest can do without it.
    optional: bool,
}

const SAFE: MsFlags = MsFlags::MS_NOSUID.union(MsFlags::MS_NODEV).union(MsFlags::MS_NOEXEC);

/// In this order: later ones lie in earlier ones.
const TABLE: &[Mount] = &[
    Mount { kind: "devtmpfs", at: "/dev", options: None, flags: MsFlags::MS_NOSUID, optional: false },
    Mount { kind: "proc", at: "/proc", options: None, flags: SAFE, optional: false },
    Mount { kind: "sysfs", at: "/sys", options: None, flags: SAFE, optional: false },
    Mount { kind: "tmpfs", at: "/run", options: Some("mode=0755"), flags: SAFE, optional: true },
    Mount {
        kind: "tmpfs",
        at: "/tmp",
        options: Some("mode=1777"),
        flags: MsFlags::MS_NOSUID,
        optional: true,
    },
    Mount { kind: "cgroup2", at: "/sys/fs/cgroup", options: None, flags: SAFE, optional: true },
    Mount { kind: "tracefs", at: "/sys/kernel/tracing", options: None, flags: SAFE, optional: true },
    Mount { kind: "debugfs", at: "/sys/kernel/debug", options: None, flags: SAFE, optional: true },
];

/// Mounts them all.
///
/// # Errors
/// Names the first one that failed and that the guest can't do without.
pub(super) fn mount_all() -> Result<(), MountError> {
    for entry in TABLE {
        match mount_one(entry) {
            Err(errno) if !entry.optional => {
                return Err(MountError { kind: entry.kind, at: entry.at, errno });
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether a file system is mounted where the table says.
pub(super) fn is_mounted(kind: &str) -> bool {
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    mounts.lines().any(|line| line.split(' ').nth(2) == Some(kind))
}

/// What the initramfs has there for the guest's user is to be seen.
fn holds_something(path: &str) -> bool {
    fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some())
}

fn mount_one(entry: &Mount) -> Result<(), Errno> {
    // Mount points inside sysfs can't be made; that such a one is missing says that the kernel lacks the file system.
    let _ = fs::create_dir_all(Path::new(entry.at));
    if entry.kind == "tmpfs" && holds_something(entry.at) {
        return Ok(());
    }
    match mount(Some(entry.kind), entry.at, Some(entry.kind), entry.flags, entry.options) {
        // The kernel has mounted devtmpfs itself (CONFIG_DEVTMPFS_MOUNT).
        Err(Errno::EBUSY) => Ok(()),
        mounted => mounted,
    }
}

/// A file system that the guest needs could not be mounted.
#[derive(Debug, thiserror::Error)]
#[error("can't mount {kind} on {at}: {errno}; is it in the kernel's configuration?")]
pub(super) struct MountError {
    kind: &'static str,
    at: &'static str,
    errno: Errno,
}
