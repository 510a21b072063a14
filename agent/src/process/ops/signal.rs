//! Signal operations.

use scenarios::plan::SignalOp;
use scenarios::wire::{Outcome, Value};

use super::{OpResult, Skip, done};
use crate::process::{Cause, PlanProcess};
use crate::sys::signals::{self, Signals};

impl PlanProcess<'_> {
    pub(super) fn signal_op(&mut self, op: &SignalOp, pids: &[i32], cause: Cause) -> OpResult {
        Ok(match op {
            SignalOp::Signal { signal, .. } => {
                let signal = signal_number(signal)?;
                done(pids.iter().try_for_each(|pid| signals::send(*pid, signal)))
            }
            SignalOp::Forge { by, signal, code, value, .. } => {
                let signal = signal_number(signal)?;
                let value = self.destination(value.as_ref(), cause)?.0;
                done(pids.iter().try_for_each(|pid| signals::send_forged(*by, *pid, signal, *code, value)))
            }
            SignalOp::TakeSignals {} => {
                let taken = std::iter::from_fn(|| signals::take(Signals::REAL_TIME)).collect();
                Outcome::Ok(Value::Signals(taken))
            }
        })
    }
}

fn signal_number(name: &str) -> Result<i32, Skip> {
    signals::number(name).ok_or_else(|| Skip(format!("no signal {name}")))
}
