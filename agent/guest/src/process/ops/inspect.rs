//! Operations that read the kernel's state: /proc, the kernel log, traces.

use nix::errno::Errno;
use scenarios::plan::Op;
use scenarios::wire::{Outcome, Traced, Value};

use super::{misplaced, outcome};
use crate::process::PlanProcess;
use crate::sys::{errno, kmsg, procfs, tracefs};

impl PlanProcess<'_> {
    pub(super) fn inspect_op(&self, op: &Op) -> Outcome {
        let answer = match op {
            Op::ProcKeys { kind } => procfs::keys().map(|keys| {
                let preexisting = &self.context.run.preexisting;
                let wanted =
                    keys.into_iter().filter(|key| kind.as_ref().is_none_or(|kind| *kind == key.kind));
                Value::ProcKeys(wanted.filter(|key| !preexisting.contains(&key.serial)).collect())
            }),
            Op::KernelLog { has } => kmsg::since_plan_start().map(|lines| {
                let lines: Vec<_> = lines.into_iter().filter(|line| line.contains(has)).collect();
                Value::Text(lines.join("\n"))
            }),
            Op::Trace { event, at_least_ms, at_most_ms } => {
                let took =
                    at_least_ms.map_or(0, |ms| ms * 1000)..=at_most_ms.map_or(u64::MAX, |ms| ms * 1000);
                let is_timed = at_least_ms.is_some() || at_most_ms.is_some();
                let wanted = |record: &Traced| {
                    event.as_ref().is_none_or(|event| *event == record.event)
                        && (!is_timed || tracefs::usec(record).is_some_and(|usec| took.contains(&usec)))
                };
                tracefs::records().map(|all| Value::Trace(all.into_iter().filter(wanted).collect()))
            }
            Op::KeyUsers { uid } => procfs::key_users().and_then(|users| {
                let line = users.into_iter().find(|user| user.uid == *uid);
                line.map(Value::KeyUser).ok_or_else(|| std::io::Error::from(Errno::ENOENT))
            }),
            _ => return misplaced(op),
        };
        outcome(answer.map_err(errno::from_io), |value| value)
    }
}
