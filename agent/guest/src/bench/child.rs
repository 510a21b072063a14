//! Child processes of a measurement.

use nix::unistd::ForkResult;

use super::{Result, during};
use crate::sys::process::{exit_now, fork, reap};
use crate::sys::{kmsg, signals};

/// A forked process. Dropping it kills and reaps it.
#[derive(Debug)]
pub(super) struct Child(pub(super) i32);

impl Child {
    /// Forks a process that runs `body` and exits. A failure is logged to the console.
    pub(super) fn fork(body: impl FnOnce() -> Result<()>) -> Result<Self> {
        match fork().map_err(during("fork"))? {
            ForkResult::Parent { child } => Ok(Self(child.as_raw())),
            ForkResult::Child => {
                let result = body();
                if let Err(why) = &result {
                    kmsg::log(kmsg::Level::Error, &why.to_string());
                }
                exit_now(result.is_err().into())
            }
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = signals::send(self.0, libc::SIGKILL);
        reap(self.0);
    }
}
