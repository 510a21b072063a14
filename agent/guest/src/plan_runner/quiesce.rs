//! Waits until keyagents have served and reported their upcalls.
//!
//! A trace must not depend on the order in which the guest's processes are scheduled.

use std::time::{Duration, Instant};

use scenarios::plan::{Group, Op, Role};

use super::state::{Lifecycle, ProcessState};
use super::{PlanRunner, Result};
use crate::ipc::Command;
use crate::sys::procfs;

/// Interval between checks of a keyagent's state.
const TICK: Duration = Duration::from_millis(10);

impl PlanRunner<'_> {
    /// Waits for all keyagents that can serve.
    pub(super) fn quiesce(&mut self) -> Result<()> {
        self.quiesce_agents(can_serve, None)
    }

    /// Waits before an operation that interrupts another process, since a keyagent may not yet have reported
    /// an answer that its requester has. The limit is for keyagents that are suspended in a way that is not
    /// visible.
    pub(super) fn quiesce_before(&mut self, op: &Op) -> Result<()> {
        const LIMIT: Duration = Duration::from_secs(1);
        match op {
            Op::Signal { .. } | Op::Freeze { .. } | Op::Seize { .. } => self.quiesce_agents(
                |process| can_serve(process) && never_waits(process),
                Some(Instant::now() + LIMIT),
            ),
            _ => Ok(()),
        }
    }

    fn quiesce_agents(&mut self, these: fn(&ProcessState) -> bool, limit: Option<Instant>) -> Result<()> {
        let chosen = self.processes.iter().filter(|(_, process)| these(process));
        let names: Vec<String> = chosen.map(|(name, _)| name.clone()).collect();
        for name in &names {
            self.processes.entry(name.clone()).and_modify(|process| process.quiesced = false);
            self.send_command(name, &Command::Quiesce, None)?;
        }
        let quiesced = |runner: &mut Self| {
            let mut processes = names.iter().filter_map(|name| runner.processes.get(name));
            processes.all(|process| process.quiesced || !these(process))
        };
        self.wait_until(quiesced, limit, Some(TICK)).map(drop)
    }
}

/// Returns true for a keyagent that runs and is not stopped.
fn can_serve(process: &ProcessState) -> bool {
    let state = process.pid_path.pid().and_then(procfs::state);
    process.lifecycle == Lifecycle::Running
        && matches!(process.plan.role, Role::Keyagent(_))
        && !matches!(state, None | Some('T' | 't' | 'Z'))
}

fn never_waits(process: &ProcessState) -> bool {
    let Role::Keyagent(agent) = &process.plan.role else { return false };
    let waits = |op: &Op| {
        matches!(op, Op::Request { .. } | Op::EachAllocation { .. })
            || matches!(op.group(), Group::Process | Group::System)
    };
    !agent.reactions.iter().flatten().any(waits)
}
