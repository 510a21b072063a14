//! Raw-mode terminal attached to the guest's console, its size, and the escape sequence.

use std::io::{self, IsTerminal, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
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
use crate::host::mutex::lock;
use crate::host::output;
use crate::vm::machine::ConsoleWriter;
use crate::vm::{GuestOutput, OutputObserver};

/// Description of the escape sequence, for the user.
pub const ESCAPE_HINT: &str = "Ctrl-] three times ends the guest";

/// Signals of a crash, after which only their handler runs.
const CRASH_SIGNALS: [i32; 7] = [SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP];

/// Mode of the terminal before raw mode, while raw mode lasts.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

/// Raw-mode terminal of the user. Its former mode is restored on drop and at every exit of the
/// process but by SIGKILL.
#[derive(Debug)]
pub struct RawTerminal {
    crash_handlers: Vec<SigId>,
    _end: Registered,
    escaped: Arc<AtomicBool>,
    shows_output: Arc<AtomicBool>,
}

impl RawTerminal {
    /// Checks that standard input and output are a terminal.
    pub fn is_tty() -> bool {
        io::stdin().is_terminal() && io::stdout().is_terminal()
    }

    /// Switches the terminal to raw mode, in which it passes all keys on, Ctrl-C among them.
    pub fn enable() -> Result<Self> {
        let before = tcgetattr(io::stdin()).context("can't read the mode of the terminal")?;
        let mut raw = before.clone();
        cfmakeraw(&mut raw);
        *lock(&BEFORE) = Some(before);
        let end = interruption::before_end(|_| restore(SetArg::TCSANOW));
        let raw_terminal = Self {
            crash_handlers: on_crash()?,
            _end: end,
            escaped: Arc::default(),
            shows_output: Arc::default(),
        };
        tcsetattr(io::stdin(), SetArg::TCSADRAIN, &raw).context("can't set the terminal up")?;
        Ok(raw_terminal)
    }

    /// Returns the terminal's size; 24 rows of 80 columns if unknown.
    pub fn size() -> WindowSize {
        let (rows, columns) = console::Term::stdout().size_checked().unwrap_or((24, 80));
        WindowSize { rows, columns }
    }

    pub fn show_output(&self) {
        self.shows_output.store(true, Ordering::Relaxed);
    }

    /// Returns an observer that shows the guest's console output from [`Self::show_output`] until the
    /// drop.
    pub fn observer(&self) -> OutputObserver {
        let shows_output = Arc::clone(&self.shows_output);
        OutputObserver::new(move |output| {
            if let (GuestOutput::Console(bytes), true) = (output, shows_output.load(Ordering::Relaxed)) {
                output::write_stdout(bytes);
            }
        })
    }

    /// Passes keys on to the guest from now on. Ends with the process at the latest.
    pub fn forward_input(&self, mut console: ConsoleWriter) {
        let escaped = Arc::clone(&self.escaped);
        thread::spawn(move || {
            let mut keys = [0; 256];
            let mut escape = EscapeSequence::default();
            while let Ok(count @ 1..) = io::stdin().read(&mut keys) {
                if escape.is_complete(&keys[..count], Instant::now()) {
                    escaped.store(true, Ordering::Relaxed);
                    return;
                }
                if console.write_all(&keys[..count]).is_err() {
                    return;
                }
            }
            // The terminal is gone.
            escaped.store(true, Ordering::Relaxed);
        });
    }

    /// Checks whether the user has typed the escape sequence, or the terminal is gone.
    pub fn is_escaped(&self) -> bool {
        self.escaped.load(Ordering::Relaxed)
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        self.shows_output.store(false, Ordering::Relaxed);
        restore(SetArg::TCSADRAIN);
        self.crash_handlers.drain(..).for_each(|id| _ = unregister(id));
    }
}

/// Restores the terminal's mode, once.
fn restore(when: SetArg) {
    // In the handler of a crash, the thread that crashed may hold the lock.
    if let Ok(mut before) = BEFORE.try_lock()
        && let Some(mode) = before.take()
    {
        // Errors mean that the terminal is gone.
        let _ = tcsetattr(io::stdin(), when, &mode);
    }
}

/// Restores the terminal on a crash of this process.
fn on_crash() -> Result<Vec<SigId>> {
    let register = |signal| {
        let restore = move || {
            restore(SetArg::TCSANOW);
            let _ = emulate_default_handler(signal);
        };
        // SAFETY: the handler tries a lock, makes system calls and ends the process; it neither waits nor allocates.
        unsafe { register_signal_unchecked(signal, restore) }.context("can't handle signals")
    };
    CRASH_SIGNALS.into_iter().map(register).collect()
}

/// Escape sequence as in systemd-nspawn: Ctrl-] three times within a second.
#[derive(Debug, Default)]
struct EscapeSequence {
    presses: Vec<Instant>,
}

impl EscapeSequence {
    const KEY: u8 = 0x1d;
    const TIMES: usize = 3;
    const WITHIN: Duration = Duration::from_secs(1);

    fn is_complete(&mut self, keys: &[u8], now: Instant) -> bool {
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
    fn escape_sequence_is_three_presses_within_a_second() {
        let start = Instant::now();
        let after = |milliseconds| start + Duration::from_millis(milliseconds);
        let is_complete = |keys: &[(&[u8], u64)]| {
            let mut escape = EscapeSequence::default();
            keys.iter().fold(false, |_, (keys, at)| escape.is_complete(keys, after(*at)))
        };
        assert!(is_complete(&[(b"\x1d\x1d\x1d", 0)]));
        assert!(is_complete(&[(b"\x1d", 0), (b"\x1d", 400), (b"\x1d", 900)]));
        assert!(!is_complete(&[(b"\x1d", 0), (b"\x1d", 400), (b"\x1d", 1200)]));
        assert!(!is_complete(&[(b"\x1d\x1dx\x1d", 0)]));
    }
}
