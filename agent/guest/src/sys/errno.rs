//! Error numbers: conversion from other error types, and their names.

use std::io;

use nix::errno::Errno;

/// The name in the kernel's documentation, as in `ENOKEY`; the number of an errno that has none.
pub(crate) fn name(errno: Errno) -> String {
    // An `Errno` does not keep such a number. The C library's variable does, until the next failure.
    let number = if errno == Errno::UnknownErrno { Errno::last_raw() } else { errno as i32 };
    scenarios::errno::name(number).map_or_else(|| number.to_string(), str::to_owned)
}

/// The errno of an I/O error; EIO if it has none.
pub(crate) fn from_io(error: impl Into<io::Error>) -> Errno {
    Errno::try_from(error.into()).unwrap_or(Errno::EIO)
}
