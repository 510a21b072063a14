//! Boot of a guest: its start, its hello message, and the retry of a guest that did not come up.

use std::time::{Duration, Instant};

use anyhow::Result;
use scenarios::wire::{GuestMessage, Hello, PROTOCOL};

use super::failure::End;
use super::{Failure, POWER_OFF, Session, next_message};
use crate::vm::{Backend, BootConfig, Machine};

impl Session {
    /// Starts a guest and waits for its hello. Retries if the emulated timer failed on a busy host.
    /// Returns `Ok(Err(_))` if the guest did not come up, `Err` if it could not be started.
    pub fn open(backend: &dyn Backend, boot: &BootConfig) -> Result<Result<Self, Box<Failure>>> {
        const TRIES: usize = 3;
        let deadline = boot.boot_deadline.unwrap_or(backend.boot_deadline());
        let open = || Self::open_within(deadline, backend, boot);
        let mut opened = open()?;
        for _ in 1..TRIES {
            match &opened {
                Err(failure) if failure.is_late_timer() => opened = open()?,
                _ => break,
            }
        }
        Ok(opened)
    }

    /// Starts a guest once, and waits for its hello until the caller's deadline.
    pub fn open_within(
        deadline: Duration,
        backend: &dyn Backend,
        boot: &BootConfig,
    ) -> Result<Result<Self, Box<Failure>>> {
        let mut machine = Machine::start(backend, boot)?;
        let within = boot.time_scale.scale(deadline);
        Ok(match hello(&mut machine, within) {
            Ok(hello) => Ok(Self { machine, hello, power_off: boot.time_scale.scale(POWER_OFF) }),
            Err(end) => Err(end.explain(&mut machine, Vec::new())),
        })
    }
}

fn hello(machine: &mut Machine, within: Duration) -> Result<Hello, End> {
    match next_message(machine, Instant::now() + within)? {
        GuestMessage::Hello(hello) if hello.protocol == PROTOCOL => Ok(hello),
        GuestMessage::Hello(hello) => Err(End::Guest(format!(
            "the agent has protocol version {}, and the host version {PROTOCOL}: rebuild both",
            hello.protocol
        ))),
        other => Err(End::unexpected(&other)),
    }
}
