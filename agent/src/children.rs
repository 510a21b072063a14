//! A process's children, and how each ended. Some are to stay zombies until somebody says otherwise.

use std::collections::HashMap;

use nix::errno::Errno;
use rustix::process::{Pid, WaitId, WaitIdOptions, WaitOptions, wait, waitid};
use scenarios::wire::Ending;

/// The children that are known, each with what it stands for.
pub struct Children<T> {
    known: HashMap<i32, Child<T>>,
}

struct Child<T> {
    what: T,
    reaped: bool,
    ended: bool,
}

impl<T> Default for Children<T> {
    fn default() -> Self {
        Self { known: HashMap::new() }
    }
}

impl<T: Clone> Children<T> {
    /// Gets to know a child. One that is not to be `reaped` stays a zombie when it ends.
    pub fn insert(&mut self, pid: i32, what: T, reaped: bool) {
        self.known.insert(pid, Child { what, reaped, ended: false });
    }

    /// Takes note of the children that have ended since, and reaps them and whatever else has ended.
    pub fn ended(&mut self) -> Vec<(T, Ending)> {
        if self.known.values().all(|child| child.reaped) { self.reap_whatever() } else { self.reap_each() }
    }

    /// From now on no zombie stays.
    pub fn reap_all(&mut self) {
        self.known.retain(|_, child| !child.ended);
        self.known.values_mut().for_each(|child| child.reaped = true);
    }

    /// Whether the calling process has any child at all, known or not.
    pub fn are_left() -> bool {
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

    /// Reaps a zombie that was left. ECHILD if there is none.
    pub fn reap(&mut self, is_it: impl Fn(&T) -> bool) -> Result<(), Errno> {
        let pid = self.known.iter().find(|(_, child)| child.ended && is_it(&child.what)).map(|(pid, _)| *pid);
        let pid = pid.ok_or(Errno::ECHILD)?;
        wait_for(pid, WaitIdOptions::empty()).ok_or(Errno::ECHILD)?;
        self.known.remove(&pid);
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::CommandExt;
    use std::process::Command;
    use std::time::Duration;

    // Both in one test: the children of a test process are common to its threads.
    #[test]
    fn a_child_that_is_not_reaped_stays_a_zombie_until_told() {
        let spawn = |script: &str| Command::new("sh").args(["-c", script]).spawn().unwrap().id() as i32;
        let mut children = Children::default();
        children.insert(spawn("exit 3"), "kept", false);
        children.insert(spawn("kill -40 $$"), "reaped", true);
        let mut ended = Vec::new();
        while ended.len() < 2 {
            std::thread::sleep(Duration::from_millis(5));
            ended.extend(children.ended());
        }
        ended.sort_by_key(|(what, _)| *what);
        assert_eq!(ended, [("kept", Ending::Exited(3)), ("reaped", Ending::Killed(40))]);
        assert_eq!(children.reap(|what| *what == "reaped"), Err(Errno::ECHILD));
        assert_eq!(children.reap(|what| *what == "kept"), Ok(()));
        assert_eq!(children.reap(|what| *what == "kept"), Err(Errno::ECHILD));

        // One that leads a process group of its own is a child all the same.
        let lead = |program: &str| Command::new(program).process_group(0).spawn().unwrap().id() as i32;
        children.insert(lead("true"), "leader", true);
        ended.clear();
        while ended.is_empty() {
            std::thread::sleep(Duration::from_millis(5));
            ended = children.ended();
        }
        assert_eq!(ended, [("leader", Ending::Exited(0))]);
    }
}
