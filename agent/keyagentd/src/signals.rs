//! Signals to this program, as events.

use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use super::failure::{Failure, Result};

/// Signals that are blocked, and read from a descriptor.
#[derive(Debug)]
pub(crate) struct Signals {
    fd: SignalFd,
    before: SigSet,
}

/// A signal, and whether a process has sent it, rather than a terminal or the kernel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Received {
    pub(crate) signal: Signal,
    pub(crate) is_from_process: bool,
}

impl Signals {
    /// Blocks signals in the calling thread, and in those that it starts.
    pub(crate) fn block(signals: &[Signal]) -> Result<Self> {
        let set: SigSet = signals.iter().copied().collect();
        let before = set.thread_swap_mask(SigmaskHow::SIG_BLOCK).map_err(Failure::os("block signals"))?;
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        let fd = SignalFd::with_flags(&set, flags).map_err(Failure::os("receive signals"))?;
        Ok(Self { fd, before })
    }

    /// The signal mask before.
    pub(crate) fn mask_before(&self) -> SigSet {
        self.before
    }

    /// Takes a signal that has arrived.
    pub(crate) fn take(&self) -> Option<Received> {
        let info = self.fd.read_signal().ok()??;
        let signal = Signal::try_from(info.ssi_signo.cast_signed()).ok()?;
        Some(Received { signal, is_from_process: info.ssi_code <= 0 })
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
