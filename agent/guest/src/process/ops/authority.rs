//! Operations that need authority over a key under construction.

use std::io::IoSlice;

use scenarios::plan::Op;
use scenarios::wire::Value;

use super::{OpResult, Skip, bytes, done, misplaced, outcome};
use crate::keyring::{self, KeySerial};
use crate::process::{Cause, PlanProcess};

impl PlanProcess<'_> {
    pub(super) fn authority_op(&mut self, op: &Op, cause: Cause) -> OpResult {
        let (target, answer) = match op {
            Op::Assume { key } => {
                let key = key.as_ref().map_or(Ok(KeySerial::NONE), |key| self.key(key, cause))?;
                return Ok(outcome(keyring::assume_authority(key), |authkey| match authkey {
                    KeySerial::NONE => Value::None,
                    authkey => Value::Serial(authkey.0),
                }));
            }
            Op::Instantiate { key, payload, into } => {
                let (key, into) = (self.key(key, cause)?, self.destination(into.as_ref(), cause)?);
                let payload = bytes(payload)?.ok_or_else(|| Skip("no payload at null".to_owned()))?;
                (key, keyring::instantiate(key, &payload, into))
            }
            Op::InstantiateIov { key, pieces, into } => {
                let (key, into) = (self.key(key, cause)?, self.destination(into.as_ref(), cause)?);
                let pieces = pieces.iter().map(|piece| Ok(bytes(piece)?.unwrap_or_default()));
                let pieces = pieces.collect::<Result<Vec<_>, Skip>>()?;
                let slices: Vec<IoSlice<'_>> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
                (key, keyring::instantiate_iov(key, &slices, into))
            }
            Op::Negate { key, seconds, into } => {
                let (key, into) = (self.key(key, cause)?, self.destination(into.as_ref(), cause)?);
                (key, keyring::negate(key, *seconds, into))
            }
            Op::Reject { key, seconds, error, into } => {
                let (key, into) = (self.key(key, cause)?, self.destination(into.as_ref(), cause)?);
                let error =
                    scenarios::errno::number(error).ok_or_else(|| Skip(format!("no errno {error}")))?;
                (key, keyring::reject(key, *seconds, error, into))
            }
            _ => return Ok(misplaced(op)),
        };
        if let (Ok(()), Some(agent)) = (answer, &mut self.agent) {
            agent.forget(target.0);
        }
        Ok(done(answer))
    }
}
