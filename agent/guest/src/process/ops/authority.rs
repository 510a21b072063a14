//! Operations that need authority over a key under construction.

use std::io::IoSlice;

use keyring::Errno;
use scenarios::plan::Op;

use super::{OpResult, Skip, bytes, done, misplaced, serial};
use crate::process::{Cause, PlanProcess};

impl PlanProcess<'_> {
    pub(super) fn authority_op(&mut self, op: &Op, cause: Cause) -> OpResult {
        let (target, answer) = match op {
            Op::Assume { key } => {
                return Ok(match key {
                    None => done(keyring::drop_authority()),
                    Some(key) => serial(keyring::assume_authority(self.key(key, cause)?)),
                });
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
                (key, keyring::reject(key, *seconds, Errno::from_raw_os_error(error), into))
            }
            _ => return Ok(misplaced(op)),
        };
        if let (Ok(()), Some(agent)) = (answer, &mut self.agent) {
            agent.forget(target.as_raw());
        }
        Ok(done(answer))
    }
}
