//! Errors that end the program, with an exit code of sysexits(3).

use std::fmt::Display;
use std::process::ExitCode;

use keyagent::{Errno, Error};

pub(crate) type Result<T> = std::result::Result<T, Failure>;

/// A message, and the exit code.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: Code,
    pub(crate) message: String,
}

/// An exit code of sysexits(3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Code {
    /// Options that make no sense.
    Usage = 64,
    /// The kernel has no keyagents, or another agent serves the type.
    Unavailable = 69,
    /// A system call failed.
    OsError = 71,
    /// The quota of keys is used up.
    TemporaryFailure = 75,
    /// A seccomp filter or a permission is in the way.
    NoPermission = 77,
    /// Rules or helpers can't be used.
    Config = 78,
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code as u8)
    }
}

impl Failure {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// A system call that failed, for use with `map_err`.
    pub(crate) fn os<E: Display>(verb: &'static str) -> impl Fn(E) -> Self {
        move |why| Self::new(Code::OsError, format!("can't {verb}: {why}"))
    }

    /// The same for a call on keys, which may have used up the quota.
    pub(crate) fn keys(verb: impl Display) -> impl Fn(Errno) -> Self {
        move |why| match why {
            Errno::DQUOT => Error::Quota.into(),
            why => Self::new(Code::OsError, format!("can't {verb}: {why}")),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let code = match error {
            Error::NoKeyagents | Error::NoKeys | Error::NoNotifications => Code::Unavailable,
            Error::Seccomp { .. } => Code::NoPermission,
            Error::Quota => Code::TemporaryFailure,
            Error::KeyType(_) | Error::Timeout(_) | Error::Window(_) => Code::Usage,
            _ => Code::OsError,
        };
        Self::new(code, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn used_up_quota_is_a_temporary_failure() {
        let code = |why| Failure::keys("create a keyring")(why).code;
        assert_eq!((code(Errno::DQUOT), code(Errno::NOMEM)), (Code::TemporaryFailure, Code::OsError));
    }
}
