//! Where somebody sits at a guest's console: their terminal, which passes every key on, its size, and the way out.

use std::io::{self, IsTerminal, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};
use scenarios::wire::program::WindowSize;
use signal_hook::SigId;
use signal_hook::consts::{SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP};
use signal_hook::low_level::emulate_default_handler;
use signal_hook_registry::{register_signal_unchecked, unregister};

use crate::host::interruption::{self, Registered};
use crate::host::output;
use crate::vm::machine::ConsoleWriter;
use crate::vm::{Heard, Tap};

/// What is said to whoever sits down.
pub const WAY_OUT: &str = "Ctrl-] three times ends the guest";

/// Signals of a process that crashes. Nothing but their handler runs any more.
const CRASHES: [i32; 7] = [SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP];

/// The terminal's mode before it was made raw, for as long as it is.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

/// Somebody's terminal, which passes every key on as long as this lives. However the process ends, but for SIGKILL, the terminal is
/// left as it was.
#[derive(Debug)]
pub struct RawTerminal {
    crashes: Vec<SigId>,
    _end: Registered,
    left: Arc<AtomicBool>,
    listens: Arc<AtomicBool>,
}

impl RawTerminal {
    /// Whether somebody sits there: standard input and output are a terminal.
    pub fn is_tty() -> bool {
        io::stdin().is_terminal() && io::stdout().is_terminal()
    }

    /// Has the terminal pass every key on, Ctrl-C among them.
    ///
    /// # Errors
    /// Standard input is no terminal.
    pub fn take() -> Result<Self> {
        let before = tcgetattr(io::stdin()).context("standard input is no terminal")?;
        let mut raw = before.clone();
        cfmakeraw(&mut raw);
        *BEFORE.lock().unwrap_or_else(PoisonError::into_inner) = Some(before);
        let end = interruption::before_end(|_| restore(SetArg::TCSANOW));
        let raw_terminal =
            Self { crashes: on_crash()?, _end: end, left: Arc::default(), listens: Arc::default() };
        tcsetattr(io::stdin(), SetArg::TCSADRAIN, &raw).context("can't set the terminal up")?;
        Ok(raw_terminal)
    }

    /// How large the terminal is; as large as terminals once were, if it does not tell.
    pub fn size() -> WindowSize {
        let (rows, columns) = console::Term::stdout().size_checked().unwrap_or((24, 80));
        WindowSize { rows, columns }
    }

    /// From now on, what the guest says on its console is shown.
    pub fn listen(&self) {
        self.listens.store(true, Ordering::Relaxed);
    }

    /// Shows what the guest says on its console, once somebody listens and as long as somebody sits here.
    pub fn listener(&self) -> Tap {
        let listens = Arc::clone(&self.listens);
        Tap::new(move |heard| {
            if let (Heard::Console(bytes), true) = (heard, listens.load(Ordering::Relaxed)) {
                output::put(bytes);
            }
        })
    }

    /// From now on, what is typed here is typed there. Ends with the process, at the latest.
    pub fn type_at(&self, mut keyboard: ConsoleWriter) {
        let left = Arc::clone(&self.left);
        thread::spawn(move || {
            let mut keys = [0; 256];
            let mut way_out = EscapeSequence::default();
            while let Ok(count @ 1..) = io::stdin().read(&mut keys) {
                if way_out.is_tty(&keys[..count], Instant::now()) {
                    left.store(true, Ordering::Relaxed);
                    return;
                }
                if keyboard.type_in(&keys[..count]).is_err() {
                    return;
                }
            }
            // The terminal is gone.
            left.store(true, Ordering::Relaxed);
        });
    }

    /// Whether the person has taken the way out.
    pub fn is_left(&self) -> bool {
        self.left.load(Ordering::Relaxed)
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        self.listens.store(false, Ordering::Relaxed);
        restore(SetArg::TCSADRAIN);
        self.crashes.drain(..).for_each(|id| _ = unregister(id));
    }
}

/// Gives the terminal its mode back, once.
fn restore(when: SetArg) {
    // In the handler of a crash the lock may be held by the very thread that crashed.
    if let Ok(mut before) = BEFORE.try_lock()
        && let Some(mode) = before.take()
    {
        // A terminal that is gone needs nothing.
        let _ = tcsetattr(io::stdin(), when, &mode);
    }
}

/// Has a crash of this process restore the terminal.
fn on_crash() -> Result<Vec<SigId>> {
    let register = |signal| {
        let restore = move || {
            restore(SetArg::TCSANOW);
            let _ = emulate_default_handler(signal);
        };
        // SAFETY: the handler tries a lock, makes system calls and ends the process; it neither waits nor allocates.
        unsafe { register_signal_unchecked(signal, restore) }.context("can't handle signals")
    };
    CRASHES.into_iter().map(register).collect()
}

/// Ctrl-] three times within a second, as systemd-nspawn has it.
#[derive(Debug, Default)]
struct EscapeSequence {
    presses: Vec<Instant>,
}

impl EscapeSequence {
    const KEY: u8 = 0x1d;
    const TIMES: usize = 3;
    const WITHIN: Duration = Duration::from_secs(1);

    fn is_tty(&mut self, keys: &[u8], now: Instant) -> bool {
        for key in keys {
            if *key == Self::KEY {
                self.presses.push(now);
            } else {
                self.presses.clear();
            }
        }
        self.presses.retain(|press| now.duration_since(*press) <= Self::WITHIN);
        self.presses.len() >= Self::TIMES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_out_takes_three_presses_in_a_second_and_nothing_between() {
        let start = Instant::now();
        let after = |milliseconds| start + Duration::from_millis(milliseconds);
        let taken = |keys: &[(&[u8], u64)]| {
            let mut way_out = EscapeSequence::default();
            keys.iter().fold(false, |_, (keys, at)| way_out.is_tty(keys, after(*at)))
        };
        assert!(taken(&[(b"\x1d\x1d\x1d", 0)]));
        assert!(taken(&[(b"\x1d", 0), (b"\x1d", 400), (b"\x1d", 900)]));
        assert!(!taken(&[(b"\x1d", 0), (b"\x1d", 400), (b"\x1d", 1200)]));
        assert!(!taken(&[(b"\x1d\x1dx\x1d", 0)]));
    }
}
