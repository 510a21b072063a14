//! Mounts the guest's file systems.

use std::fs;
use std::path::Path;

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};

use crate::sys::procfs;

struct Mount {
    kind: &'static str,
    at: &'static str,
    options: Option<&'static str>,
    flags: MsFlags,
    optional: bool,
}

const SAFE: MsFlags = MsFlags::MS_NOSUID.union(MsFlags::MS_NODEV).union(MsFlags::MS_NOEXEC);

/// In mounting order.
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

pub(super) fn is_mounted(kind: &str) -> bool {
    let mounts = procfs::read("/proc/mounts").unwrap_or_default();
    mounts.lines().any(|line| line.split(' ').nth(2) == Some(kind))
}

/// Returns true if the initramfs has files there, which a mount would hide.
fn holds_something(path: &str) -> bool {
    fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some())
}

fn mount_one(entry: &Mount) -> Result<(), Errno> {
    // Mount points inside sysfs can't be created; a missing one means that the kernel lacks the file system.
    let _ = fs::create_dir_all(Path::new(entry.at));
    if entry.kind == "tmpfs" && holds_something(entry.at) {
        return Ok(());
    }
    match mount(Some(entry.kind), entry.at, Some(entry.kind), entry.flags, entry.options) {
        // Mounted by the kernel (CONFIG_DEVTMPFS_MOUNT).
        Err(Errno::EBUSY) => Ok(()),
        mounted => mounted,
    }
}

#[derive(Debug, thiserror::Error)]
#[error("can't mount {kind} on {at}: {errno}; is it in the kernel's configuration?")]
pub(super) struct MountError {
    kind: &'static str,
    at: &'static str,
    errno: Errno,
}
