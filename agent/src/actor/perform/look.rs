//! Looking on.

use scenarios::plan::LookOp;
use scenarios::wire::{Outcome, Value};

use super::outcome;
use crate::actor::Actor;
use crate::init::kmsg;
use crate::keyring::Errno;
use crate::{procfs, tracing};

impl Actor<'_> {
    pub(super) fn look_on(&self, op: &LookOp) -> Outcome {
        let answer = match op {
            LookOp::ProcKeys { kind } => procfs::keys().map(|keys| {
                let before = &self.heritage.setting.before;
                let wanted =
                    keys.into_iter().filter(|key| kind.as_ref().is_none_or(|kind| *kind == key.kind));
                Value::ProcKeys(wanted.filter(|key| !before.contains(&key.serial)).collect())
            }),
            LookOp::KernelLog { has } => kmsg::since_beginning().map(|lines| {
                let lines: Vec<_> = lines.into_iter().filter(|line| line.contains(has)).collect();
                Value::Text(lines.join("\n"))
            }),
            LookOp::Trace {} => tracing::records().map(Value::Trace),
            LookOp::KeyUsers { uid } => procfs::key_users().and_then(|users| {
                let line = users.into_iter().find(|user| user.uid == *uid);
                line.map(Value::KeyUser).ok_or_else(|| std::io::Error::from(Errno::ENOENT))
            }),
        };
        outcome(answer.map_err(|why| why.raw_os_error().map_or(Errno::EIO, Errno::from_raw)), |value| value)
    }
}
