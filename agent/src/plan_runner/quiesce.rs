//! Waits for keyagents to have served, and told, what they have been called for: what a trace says of them shall not depend on
//! who of the guest's processes ran first.

use std::time::{Duration, Instant};

use scenarios::plan::{HoldOp, KeyOp, Op, Role, SignalOp};

use super::state::{Life, Member};
use super::{Conductor, Stop};
use crate::ipc::Command;
use crate::sys::procfs;

/// How often a keyagent's life is looked at.
const TICK: Duration = Duration::from_millis(10);

impl Conductor<'_> {
    /// Waits for all keyagents that can serve.
    pub(super) fn settle(&mut self) -> Result<(), Stop> {
        self.settle_those(serves, None)
    }

    /// Before an operation that a process does not see coming: an answer that a requester has got may not yet have been told
    /// by its keyagent. One that is held in a way that is not seen is not waited for longer than a second.
    pub(super) fn settle_before(&mut self, op: &Op) -> Result<(), Stop> {
        const LIMIT: Duration = Duration::from_secs(1);
        match op {
            Op::Signal(SignalOp::Signal { .. }) | Op::Hold(HoldOp::Freeze { .. } | HoldOp::Seize { .. }) => {
                self.settle_those(|member| serves(member) && is_prompt(member), Some(Instant::now() + LIMIT))
            }
            _ => Ok(()),
        }
    }

    fn settle_those(&mut self, these: fn(&Member) -> bool, limit: Option<Instant>) -> Result<(), Stop> {
        let chosen = self.members.iter().filter(|(_, member)| these(member));
        let names: Vec<String> = chosen.map(|(name, _)| name.clone()).collect();
        for name in &names {
            self.members.entry(name.clone()).and_modify(|member| member.settled = false);
            self.tell(name, &Command::Settle, None)?;
        }
        let settled = |conductor: &mut Self| {
            let mut members = names.iter().filter_map(|name| conductor.members.get(name));
            members.all(|member| member.settled || !these(member))
        };
        self.pump(settled, limit, Some(TICK)).map(drop)
    }
}

/// Whether this is a keyagent that lives and is not stopped.
fn serves(member: &Member) -> bool {
    let state = member.place.pid().and_then(procfs::state);
    member.life == Life::Alive
        && matches!(member.plan.role, Role::Keyagent(_))
        && !matches!(state, None | Some('T' | 't' | 'Z'))
}

/// Whether it meets every upcall without waiting for anybody.
fn is_prompt(member: &Member) -> bool {
    let Role::Keyagent(agent) = &member.plan.role else { return false };
    let waits =
        |op: &Op| matches!(op, Op::Key(KeyOp::Request { .. }) | Op::Life(_) | Op::System(_) | Op::Fault(_));
    !agent.reactions.iter().flatten().any(waits)
}
