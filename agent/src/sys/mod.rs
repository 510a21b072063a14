//! Wrappers of kernel interfaces: files in /proc, /dev and tracefs, and system calls that no crate offers.

pub(crate) mod errno;
pub mod fault_injection;
pub mod kmsg;
pub(crate) mod prefault;
pub(crate) mod process;
pub mod procfs;
pub mod signals;
pub mod tracefs;
