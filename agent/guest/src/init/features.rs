//! Detects the kernel's features by trying them.

use keyring::{Errno, KeySerial, WatchQueue};
use nix::sys::utsname::uname;
use scenarios::programs::PROGRAMS;
use scenarios::wire::{Hello, PROTOCOL};

use super::mounts::is_mounted;
use crate::raw_add_key;
use crate::sys::{fault_injection, procfs};

/// The first message of a guest that runs plans.
pub(super) fn hello(lending: KeySerial) -> Hello {
    let features =
        FEATURES.iter().filter(|(_, is_there)| is_there(lending)).map(|(name, _)| (*name).to_owned());
    let programs = PROGRAMS.iter().filter(|program| std::path::Path::new(program.path).exists());
    let features = features.chain(programs.map(|program| program.name.to_owned()));
    Hello { features: features.collect(), ..bare_hello() }
}

/// The first message of a guest that runs no plans.
pub(super) fn bare_hello() -> Hello {
    let release = uname().map(|name| name.release().to_string_lossy().into_owned()).unwrap_or_default();
    Hello { protocol: PROTOCOL, release, cpus: cpus(), features: Vec::new() }
}

fn cpus() -> u32 {
    std::thread::available_parallelism().map_or(1, |count| count.get() as u32)
}

type Trial = fn(KeySerial) -> bool;

const FEATURES: &[(&str, Trial)] = &[
    ("keyagents", has_keyagents),
    ("smp", |_| cpus() > 1),
    ("watch_queue", |_| WatchQueue::new(1).is_ok()),
    ("user_ns", |_| has_namespace("user")),
    ("pid_ns", |_| has_namespace("pid")),
    ("mount_ns", |_| has_namespace("mnt")),
    ("net_ns", |_| has_namespace("net")),
    ("ipc_ns", |_| has_namespace("ipc")),
    ("uts_ns", |_| has_namespace("uts")),
    ("cgroup_ns", |_| has_namespace("cgroup")),
    ("time_ns", |_| has_namespace("time")),
    ("cgroup", |_| is_mounted("cgroup2")),
    ("tracing", |_| is_mounted("tracefs")),
    ("modules", |_| std::path::Path::new("/lib/modules/encrypted-keys.ko").exists()),
    ("shell", |_| std::path::Path::new("/bin/sh").exists()),
    ("ceph", |_| has_file_system("ceph")),
    ("afs", |_| has_file_system("afs")),
    ("nfs", |_| has_file_system("nfs4")),
    ("fault_injection", |_| fault_injection::configure()),
    ("yama", |_| std::path::Path::new("/proc/sys/kernel/yama").exists()),
    ("smack", |_| std::path::Path::new("/proc/self/attr/smack").exists()),
    ("compat", |_| raw_add_key::takes_compat_calls()),
];

/// ENODEV: the kernel lacks the key type. With it, the payload is invalid.
fn has_keyagents(lending: KeySerial) -> bool {
    keyring::add_key(c"keyagent", c"user", &[0], lending) != Err(Errno::NODEV)
}

fn has_file_system(name: &str) -> bool {
    let known = procfs::read("/proc/filesystems").unwrap_or_default();
    known.lines().any(|line| line.split_whitespace().last() == Some(name))
}

fn has_namespace(name: &str) -> bool {
    std::path::Path::new("/proc/self/ns").join(name).exists()
}
