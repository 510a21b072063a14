//! Conditions that a plan waits for.

use scenarios::plan::{Condition, KeyRef};

use super::leak_check::KeySnapshot;
use super::state::Lifecycle;
use super::{PlanRunner, outputs};
use crate::sys::{procfs, tracefs};

impl PlanRunner<'_> {
    pub(super) fn is_met(&mut self, name: &str, condition: &Condition) -> bool {
        let process = self.processes.get(name);
        let pid = process.and_then(|process| process.pid_path.pid());
        match condition {
            Condition::Upcalls(count) => process.is_some_and(|process| process.upcalls >= *count),
            Condition::Signals(count) => pid.is_some_and(|pid| procfs::pending_signals(pid) >= *count),
            Condition::Stopped => pid.and_then(procfs::state).is_some_and(|state| matches!(state, 'T' | 't')),
            Condition::Ended => self.lifecycle(name) == Lifecycle::Exited,
            Condition::Prints(text) => self.has_printed(name, text),
            Condition::Gone(KeyRef::Serial(serial)) => {
                KeySnapshot::take().is_ok_and(|census| !census.has(*serial))
            }
            // A reference without a serial: the key was never created.
            Condition::Gone(_) => true,
            Condition::Shows { key: KeyRef::Serial(serial), text } => {
                KeySnapshot::take().is_ok_and(|census| census.shows(*serial, text))
            }
            Condition::Shows { .. } => false,
            Condition::Charged { uid, keys } => procfs::key_users().is_ok_and(|users| {
                users.iter().find(|user| user.uid == *uid).is_none_or(|user| user.quota_keys <= *keys)
            }),
            Condition::Traced(count) => {
                tracefs::records().is_ok_and(|records| records.len() >= *count as usize)
            }
            Condition::Blocked(job) => self.is_blocked(job),
        }
    }

    fn has_printed(&mut self, name: &str, text: &str) -> bool {
        let Some(output) = self.context.outputs.get(name) else { return false };
        let searched = self.searched.entry((name.to_owned(), text.to_owned())).or_default();
        outputs::has(output, text.as_bytes(), searched).unwrap_or(false)
    }

    /// Returns true if every worker has been seen asleep. A worker that has woken since has begun nothing new.
    fn is_blocked(&mut self, name: &str) -> bool {
        let Some(job) = self.jobs.iter_mut().find(|job| job.name == name) else { return false };
        for (worker, path) in &job.workers {
            if !job.asleep.contains(worker) && path.pid().is_some_and(procfs::blocked_in_key_syscall) {
                job.asleep.insert(*worker);
            }
        }
        job.asleep.len() == job.count as usize
    }
}
