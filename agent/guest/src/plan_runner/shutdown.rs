//! End of a plan: kills every process and reports the exits.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use scenarios::wire::{Ending, EventKind};

use super::state::{Lifecycle, PidPath};
use super::{Child, PlanRunner, Result};
use crate::children::Children;
use crate::sys::{procfs, signals};

/// Time limit for killed processes to exit.
const KILL_TIMEOUT: Duration = Duration::from_secs(10);

impl PlanRunner<'_> {
    /// Kills and reaps every process but PID 1, discards further reports, and reports the exits. Returns the
    /// survivors.
    pub(super) fn kill_all(&mut self) -> Result<Vec<String>> {
        let begun = Instant::now();
        let mut ended = HashMap::new();
        self.children.leave_no_zombies();
        while Children::<Child>::any_left() {
            // ESRCH: only PID 1 and kernel threads are left.
            let _ = signals::send(-1, libc::SIGKILL);
            while matches!(self.guest.reports.take(), Ok(Some(_))) {}
            let ends = self.children.poll_exits();
            if ends.is_empty() {
                std::thread::sleep(Duration::from_millis(1));
            }
            ended.extend(ends.into_iter().filter_map(|(child, ending)| match child {
                Child::Process(name) => Some((name, ending)),
                Child::Worker { .. } => None,
            }));
            if begun.elapsed() > KILL_TIMEOUT {
                self.report_exits(&ended)?;
                return Ok(self.surviving_processes());
            }
        }
        while self.guest.child_signals.take().is_some() {}
        while matches!(self.guest.reports.take(), Ok(Some(_))) {}
        self.report_exits(&ended)?;
        Ok(Vec::new())
    }

    /// Reports exits in the plan's order, since all were killed at once. The init of a pid namespace has
    /// reaped the processes that PID 1 did not see exit.
    fn report_exits(&mut self, ended: &HashMap<String, Ending>) -> Result<()> {
        for process in &self.plan.processes {
            if self.lifecycle(&process.name) == Lifecycle::Running {
                let ending = ended.get(&process.name).copied().unwrap_or(Ending::Killed(libc::SIGKILL));
                self.report_event(&process.name, None, None, EventKind::Ended(ending))?;
            }
        }
        let workers = self.jobs.iter().flat_map(|job| job.workers.keys().map(|worker| (job.step, *worker)));
        let workers: Vec<_> = workers.collect();
        // Finished workers are not reported again.
        workers.into_iter().try_for_each(|(step, worker)| {
            self.record_worker_exit(step, worker, Ending::Killed(libc::SIGKILL))
        })
    }

    fn surviving_processes(&self) -> Vec<String> {
        let is_running =
            |path: &PidPath| path.pid().and_then(procfs::state).is_some_and(|state| state != 'Z');
        let processes = self.processes.values().filter(|process| is_running(&process.pid_path));
        let jobs = self.jobs.iter().filter(|job| job.workers.values().any(is_running));
        let names: Vec<String> =
            processes.map(|process| &process.plan.name).chain(jobs.map(|job| &job.name)).cloned().collect();
        if names.is_empty() { vec!["some process".to_owned()] } else { names }
    }
}
