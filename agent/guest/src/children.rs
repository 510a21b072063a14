//! A process's children and their exit statuses. Selected children stay zombies until they are reaped by
//! request.

use std::collections::HashMap;

use nix::errno::Errno;
use rustix::process::{Pid, WaitId, WaitIdOptions, WaitOptions, wait, waitid};
use scenarios::wire::Ending;

/// Registered children, each with what it stands for.
pub struct Children<T> {
    known: HashMap<i32, Child<T>>,
    /// Some were registered without `reaped`. Kept since a look at each of a thousand children is slow.
    pub leaves_zombies: bool,
}

struct Child<T> {
    what: T,
    reaped: bool,
    ended: bool,
}

impl<T> Default for Children<T> {
    fn default() -> Self {
        Self { known: HashMap::new(), leaves_zombies: false }
    }
}

impl<T: Clone> Children<T> {
    /// Registers a child. Without `reaped` it stays a zombie after its exit.
    pub fn insert(&mut self, pid: i32, what: T, reaped: bool) {
        self.leaves_zombies |= !reaped;
        self.known.insert(pid, Child { what, reaped, ended: false });
    }

    /// Returns the registered children that have exited since the last call. Reaps them, and unregistered
    /// children too.
    pub fn poll_exits(&mut self) -> Vec<(T, Ending)> {
        if self.leaves_zombies { self.reap_each() } else { self.reap_whatever() }
    }

    /// Reaps all zombies with the next [`Self::poll_exits`], and leaves none from then on.
    pub fn leave_no_zombies(&mut self) {
        self.known.retain(|_, child| !child.ended);
        self.known.values_mut().for_each(|child| child.reaped = true);
        self.leaves_zombies = false;
    }

    /// Returns true if the calling process has any child, registered or not.
    pub fn any_left() -> bool {
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        waitid(WaitId::All, look).is_ok()
    }

    fn reap_whatever(&mut self) -> Vec<(T, Ending)> {
        let mut ended = Vec::new();
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            let ending = ending(status.exit_status(), status.terminating_signal());
            if let Some(child) = self.known.remove(&pid.as_raw_pid()) {
                ended.push((child.what, ending));
            }
        }
        ended
    }

    fn reap_each(&mut self) -> Vec<(T, Ending)> {
        let mut ended = Vec::new();
        for (pid, child) in &mut self.known {
            let look = if child.reaped { WaitIdOptions::empty() } else { WaitIdOptions::NOWAIT };
            if let (false, Some(ending)) = (child.ended, wait_for(*pid, look)) {
                child.ended = true;
                ended.push((child.what.clone(), ending));
            }
        }
        self.known.retain(|_, child| !(child.reaped && child.ended));
        ended
    }

    /// Reaps a zombie.
    ///
    /// # Errors
    /// ECHILD if no registered zombie matches.
    pub fn reap(&mut self, is_it: impl Fn(&T) -> bool) -> Result<(), Errno> {
        let pid = self.known.iter().find(|(_, child)| child.ended && is_it(&child.what)).map(|(pid, _)| *pid);
        let pid = pid.ok_or(Errno::ECHILD)?;
        wait_for(pid, WaitIdOptions::empty()).ok_or(Errno::ECHILD)?;
        self.known.remove(&pid);
        self.leaves_zombies = self.known.values().any(|child| !child.reaped);
        Ok(())
    }
}

fn wait_for(pid: i32, options: WaitIdOptions) -> Option<Ending> {
    let options = options | WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
    let status = waitid(WaitId::Pid(Pid::from_raw(pid)?), options).ok()??;
    Some(ending(status.exit_status(), status.terminating_signal()))
}

fn ending(code: Option<i32>, signal: Option<i32>) -> Ending {
    match (code, signal) {
        (Some(code), _) => Ending::Exited(code),
        (None, signal) => Ending::Killed(signal.unwrap_or_default()),
    }
}
