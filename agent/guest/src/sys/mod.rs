//! Wrappers of kernel interfaces: files in /proc, /dev and tracefs, and system calls that no crate offers.

pub(crate) mod errno;
pub(crate) mod fault_injection;
pub(crate) mod kmsg;
pub(crate) mod prefault;
pub(crate) mod process;
pub(crate) mod procfs;
pub(crate) mod signals;
pub(crate) mod tracefs;
