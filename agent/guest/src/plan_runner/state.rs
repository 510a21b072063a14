//! State of a plan's processes and background steps.

use std::collections::{BTreeMap, BTreeSet};

use scenarios::plan::Process;
use scenarios::wire::Ending;

use crate::ipc::CommandSender;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lifecycle {
    NotStarted,
    Running,
    Exited,
}

pub(super) struct ProcessState {
    pub(super) plan: Process,
    pub(super) commands: CommandSender,
    pub(super) lifecycle: Lifecycle,
    /// How it has ended.
    pub(super) ending: Option<Ending>,
    pub(super) pid_path: PidPath,
    pub(super) upcalls: u32,
    /// Has served all upcalls that were pending at the last
    /// [`Command::Quiesce`](crate::ipc::Command::Quiesce).
    pub(super) quiesced: bool,
}

impl ProcessState {
    pub(super) fn new(plan: Process, commands: CommandSender) -> Self {
        let (lifecycle, pid_path) = (Lifecycle::NotStarted, PidPath::default());
        Self { plan, commands, lifecycle, ending: None, pid_path, upcalls: 0, quiesced: false }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct PidPath {
    /// Its pids, from the initial namespace inwards.
    pub(super) pids: Vec<i32>,
    /// Its pid namespaces from the outermost below the initial one, each by the process that it was created
    /// for.
    pub(super) namespaces: Vec<String>,
}

impl PidPath {
    /// The pid of `other` in this process's namespace; a pid that no process has if `other` is not visible
    /// there.
    pub(super) fn pid_of(&self, other: &Self) -> i32 {
        let visible = other.namespaces.starts_with(&self.namespaces);
        other.pids.get(self.namespaces.len()).copied().filter(|_| visible).unwrap_or(i32::MAX)
    }

    /// The pid in the initial namespace.
    pub(super) fn pid(&self) -> Option<i32> {
        self.pids.first().copied()
    }
}

pub(super) struct Job {
    pub(super) name: String,
    pub(super) step: usize,
    pub(super) process: String,
    pub(super) count: u32,
    /// All workers have started.
    pub(super) released: bool,
    /// Workers that have started.
    pub(super) workers: BTreeMap<u32, PidPath>,
    /// Workers with a result, or that exited without one.
    pub(super) finished: BTreeSet<u32>,
    /// Workers that have been seen asleep in their system call.
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
    fn process_has_the_pid_of_the_observing_namespace() {
        let (outside, inside, beside) = (place(&[7], &[]), place(&[9, 1], &["a"]), place(&[11, 1], &["b"]));
        assert_eq!(outside.pid_of(&inside), 9);
        assert_eq!(inside.pid_of(&inside), 1);
        assert_eq!(inside.pid_of(&outside), i32::MAX);
        assert_eq!(beside.pid_of(&inside), i32::MAX);
    }
}
