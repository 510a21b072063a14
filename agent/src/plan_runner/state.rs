//! The processes and the background steps of a plan, as PID 1 knows them.

use std::collections::{BTreeMap, BTreeSet};

use scenarios::plan::Process;

use crate::ipc::CommandSender;

/// How far a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lifecycle {
    NotStarted,
    Running,
    Exited,
}

/// A process of the plan.
pub(super) struct ProcessState {
    pub(super) plan: Process,
    pub(super) commands: CommandSender,
    pub(super) lifecycle: Lifecycle,
    pub(super) pid_path: PidPath,
    /// Upcalls heard.
    pub(super) upcalls: u32,
    /// Has served all upcalls that were there when it was last asked to.
    pub(super) quiesced: bool,
}

impl ProcessState {
    pub(super) fn new(plan: Process, commands: CommandSender) -> Self {
        let (lifecycle, pid_path) = (Lifecycle::NotStarted, PidPath::default());
        Self { plan, commands, lifecycle, pid_path, upcalls: 0, quiesced: false }
    }
}

/// Where a process is among the pid namespaces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct PidPath {
    /// Its pids, the initial namespace's first.
    pub(super) pids: Vec<i32>,
    /// Its pid namespaces below the initial one, each by the process that it was made for, the outermost first.
    pub(super) namespaces: Vec<String>,
}

impl PidPath {
    /// The pid that names `other` for a process in this place; one that no process can have, if it sees no such process.
    pub(super) fn pid_of(&self, other: &Self) -> i32 {
        let visible = other.namespaces.starts_with(&self.namespaces);
        other.pids.get(self.namespaces.len()).copied().filter(|_| visible).unwrap_or(i32::MAX)
    }

    /// As PID 1 sees it.
    pub(super) fn pid(&self) -> Option<i32> {
        self.pids.first().copied()
    }
}

/// A background step.
pub(super) struct Job {
    pub(super) name: String,
    pub(super) step: usize,
    pub(super) process: String,
    pub(super) count: u32,
    /// All workers have been let go.
    pub(super) released: bool,
    /// Workers that have begun.
    pub(super) workers: BTreeMap<u32, PidPath>,
    /// Workers that have done their part, or ended without.
    pub(super) finished: BTreeSet<u32>,
    /// Workers that have been seen asleep in their call.
    pub(super) asleep: BTreeSet<u32>,
}

impl Job {
    pub(super) fn new(name: String, step: usize, process: String, count: u32) -> Self {
        let (released, workers, finished, asleep) = Default::default();
        Self { name, step, process, count, released, workers, finished, asleep }
    }

    pub(super) fn is_finished(&self) -> bool {
        self.finished.len() >= self.count as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(pids: &[i32], namespaces: &[&str]) -> PidPath {
        PidPath {
            pids: pids.to_vec(),
            namespaces: namespaces.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    #[test]
    fn a_process_is_known_by_the_pid_of_the_lookers_namespace() {
        let (outside, inside, beside) = (place(&[7], &[]), place(&[9, 1], &["a"]), place(&[11, 1], &["b"]));
        assert_eq!(outside.pid_of(&inside), 9);
        assert_eq!(inside.pid_of(&inside), 1);
        assert_eq!(inside.pid_of(&outside), i32::MAX);
        assert_eq!(beside.pid_of(&inside), i32::MAX);
    }
}
