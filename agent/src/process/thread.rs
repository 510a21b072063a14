//! Threads besides the leader (R4).

use std::thread::{self, Builder};

use nix::errno::Errno;
use scenarios::plan::{LifeOp, Op};
use scenarios::wire::{Outcome, Value, What};

use super::{Cause, PlanProcess};
use crate::sys::errno;

/// Runs something in a thread that ends with it.
pub(super) fn run<T: Send>(act: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| match scope.spawn(act).join() {
        Ok(done) => done,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}

impl PlanProcess<'_> {
    /// Goes on as the same actor in a new thread, while the leader ends. Returns only if there is no new thread.
    pub(super) fn leave_leader(&mut self, cause: Cause) -> Errno {
        let go_on = move || {
            let done = self.untimed(Outcome::Ok(Value::None));
            let what = if cause.step.is_some() {
                What::Done(done)
            } else {
                What::Called { op: Op::Life(LifeOp::LeaveLeader {}), done }
            };
            self.report_event(cause, what);
            self.event_loop();
        };
        // SAFETY: the leader ends below and never goes back, so that all it has stays where it is as long as the process lives.
        match unsafe { Builder::new().spawn_unchecked(go_on) } {
            Ok(_) => end_leader(),
            Err(why) => errno::from_io(why),
        }
    }
}

/// Ends the calling thread alone. Nothing is unwound, freed or flushed.
fn end_leader() -> ! {
    loop {
        // SAFETY: exit(2), other than exit_group(2), ends this thread only, and does not return.
        unsafe { libc::syscall(libc::SYS_exit, 0) };
    }
}
