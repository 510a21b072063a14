//! Processes that take part in a measurement.

use nix::unistd::{ForkResult, Pid, fork};
use rustix::process::{WaitOptions, waitpid};

use super::{Failed, at};
use crate::process::quit;
use crate::sys::signals;

/// A forked process. Dropping it kills and reaps it.
#[derive(Debug)]
pub(super) struct Child(Pid);

impl Child {
    /// Forks a process that does this and ends. Why it could not, it says on the console.
    pub(super) fn fork(life: impl FnOnce() -> Result<(), Failed>) -> Result<Self, Failed> {
        // SAFETY: PID 1 has one thread.
        match unsafe { fork() }.map_err(at("fork"))? {
            ForkResult::Parent { child } => Ok(Self(child)),
            ForkResult::Child => {
                let lived = life();
                if let Err(why) = &lived {
                    crate::sys::kmsg::log(crate::sys::kmsg::Level::Error, &why.to_string());
                }
                quit(lived.is_err().into())
            }
        }
    }

    pub(super) fn pid(&self) -> i32 {
        self.0.as_raw()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = signals::send(self.pid(), libc::SIGKILL);
        let _ = waitpid(rustix::process::Pid::from_raw(self.pid()), WaitOptions::empty());
    }
}
