//! Error numbers: conversion from other error types, and their names.

use std::io;

use nix::errno::Errno;

/// The name in the kernel's documentation, as in `ENOKEY`.
pub(crate) fn name(errno: Errno) -> String {
    scenarios::errno::name(errno as i32).map_or_else(|| errno.to_string(), str::to_owned)
}

/// The errno of an I/O error; EIO if it has none.
pub(crate) fn from_io(error: impl Into<io::Error>) -> Errno {
    Errno::try_from(error.into()).unwrap_or(Errno::EIO)
}
