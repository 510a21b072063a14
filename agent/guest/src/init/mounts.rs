//! Mounts the guest's file systems.

use std::fs;

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};

use crate::sys::procfs;

const SAFE: MsFlags = MsFlags::MS_NOSUID.union(MsFlags::MS_NODEV).union(MsFlags::MS_NOEXEC);

/// Type, mount point, options and flags of each file system, in mounting order.
const TABLE: [(&str, &str, Option<&str>, MsFlags); 8] = [
    ("devtmpfs", "/dev", None, MsFlags::MS_NOSUID),
    ("proc", "/proc", None, SAFE),
    ("sysfs", "/sys", None, SAFE),
    ("tmpfs", "/run", Some("mode=0755"), SAFE),
    ("tmpfs", "/tmp", Some("mode=1777"), MsFlags::MS_NOSUID),
    ("cgroup2", "/sys/fs/cgroup", None, SAFE),
    ("tracefs", "/sys/kernel/tracing", None, SAFE),
    ("debugfs", "/sys/kernel/debug", None, SAFE),
];

/// Without these no plan can run.
const REQUIRED: [&str; 3] = ["devtmpfs", "proc", "sysfs"];

pub(super) fn mount_all() -> Result<(), MountError> {
    TABLE.into_iter().try_for_each(|(kind, at, options, flags)| match mount_one(kind, at, options, flags) {
        Err(errno) if REQUIRED.contains(&kind) => Err(MountError { kind, at, errno }),
        _ => Ok(()),
    })
}

pub(super) fn is_mounted(kind: &str) -> bool {
    let mounts = procfs::read("/proc/mounts").unwrap_or_default();
    mounts.lines().any(|line| line.split(' ').nth(2) == Some(kind))
}

/// Returns true if the initramfs has files there, which a mount would hide.
fn holds_something(path: &str) -> bool {
    fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some())
}

fn mount_one(kind: &str, at: &str, options: Option<&str>, flags: MsFlags) -> Result<(), Errno> {
    // Mount points inside sysfs can't be created; a missing one means that the kernel lacks the file system.
    let _ = fs::create_dir_all(at);
    if kind == "tmpfs" && holds_something(at) {
        return Ok(());
    }
    match mount(Some(kind), at, Some(kind), flags, options) {
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
