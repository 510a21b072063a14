//! Threads other than the leader (R4).

use std::thread::{self, Builder};

use nix::errno::Errno;
use scenarios::plan::Op;
use scenarios::wire::{Outcome, Value};

use super::{Cause, PlanProcess};
use crate::sys::errno;

pub(super) fn run_in_thread<T: Send>(act: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| match scope.spawn(act).join() {
        Ok(done) => done,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}

impl PlanProcess<'_> {
    /// Continues in a new thread while the leader exits. Returns only if there is no new thread.
    pub(super) fn leave_leader(&mut self, cause: Cause) -> Errno {
        let resume = move || {
            let done = self.untimed(Outcome::Ok(Value::None));
            self.report_result(cause, Op::LeaveLeader {}, done);
            self.event_loop();
        };
        // SAFETY: the leader exits below without unwinding, so its stack stays valid as long as the process
        // exists.
        match unsafe { Builder::new().spawn_unchecked(resume) } {
            Ok(_) => exit_thread(),
            Err(why) => errno::from_io(why),
        }
    }
}

/// Exits the calling thread alone. Nothing is unwound, freed or flushed.
fn exit_thread() -> ! {
    loop {
        // SAFETY: exit(2), unlike exit_group(2), ends this thread only, and does not return.
        unsafe { libc::syscall(libc::SYS_exit, 0) };
    }
}
