//! Error numbers: conversion from other error types, and their names.

use std::io;

use nix::errno::Errno;

/// The name in the kernel's documentation, as in `ENOKEY`; the number of an errno that has none.
pub(crate) fn name(error: impl Into<io::Error>) -> String {
    let number = error.into().raw_os_error().unwrap_or_default();
    scenarios::errno::name(number).map_or_else(|| number.to_string(), str::to_owned)
}

/// The errno of an I/O error; EIO if it has none.
pub(crate) fn from_io(error: impl Into<io::Error>) -> Errno {
    Errno::try_from(error.into()).unwrap_or(Errno::EIO)
}
