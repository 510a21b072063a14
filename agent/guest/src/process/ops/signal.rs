//! Signal operations.

use keyring::KeyId;
use scenarios::plan::Op;
use scenarios::wire::{Outcome, Value};

use super::{OpResult, Skip, done, misplaced};
use crate::process::{Cause, PlanProcess};
use crate::sys::signals::{self, Signals};

impl PlanProcess<'_> {
    pub(super) fn signal_op(&mut self, op: &Op, pids: &[i32], cause: Cause) -> OpResult {
        Ok(match op {
            Op::Signal { signal, .. } => {
                let signal = signal_number(signal)?;
                done(pids.iter().try_for_each(|pid| signals::send(*pid, signal)))
            }
            Op::Forge { by, signal, code, value, .. } => {
                let signal = signal_number(signal)?;
                let value = self.destination(value.as_ref(), cause)?.map_or(0, KeyId::as_raw);
                done(pids.iter().try_for_each(|pid| signals::send_forged(*by, *pid, signal, *code, value)))
            }
            Op::TakeSignals {} => {
                let taken = std::iter::from_fn(|| signals::take(Signals::REAL_TIME)).collect();
                Outcome::Ok(Value::Signals(taken))
            }
            _ => misplaced(op),
        })
    }
}

fn signal_number(name: &str) -> Result<i32, Skip> {
    signals::number(name).ok_or_else(|| Skip(format!("no signal {name}")))
}
