//! Ends of this process other than a return from `main`: a signal, or output that can't be written.
//!
//! The cleanups registered with [`before_end`] run first: they restore the terminal's mode and
//! write the reports.

use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::process;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::signal::{SigSet, Signal};
use signal_hook::consts::{
    SIGALRM, SIGHUP, SIGINT, SIGPIPE, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGXCPU, SIGXFSZ,
};
use signal_hook::iterator::Signals;
use signal_hook::low_level::{emulate_default_handler, signal_name};

use crate::host::mutex::lock;

/// Exit code of a command that failed itself.
pub const BROKEN: u8 = 2;

/// Signals that end a process by default.
pub const ENDING_SIGNALS: [i32; 9] =
    [SIGALRM, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGXCPU, SIGXFSZ];

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    Signal(i32),
    /// The reader of standard output is gone, for which other programs get SIGPIPE.
    Closed,
    /// Output can't be written for this reason, which has been reported.
    Failed(String),
}

impl Cause {
    /// Describes the cause as a clause about a run.
    pub fn describe(&self) -> String {
        match self {
            Self::Signal(signal) => {
                format!("the run was interrupted ({})", signal_name(*signal).unwrap_or("a signal"))
            }
            Self::Closed => "the run was interrupted (standard output was closed)".to_owned(),
            Self::Failed(why) => format!("the run was interrupted ({why})"),
        }
    }
}

type Cleanup = Box<dyn FnOnce(&Cause) + Send>;

static CLEANUPS: Mutex<Vec<(u64, Cleanup)>> = Mutex::new(Vec::new());
static NEXT: AtomicU64 = AtomicU64::new(0);
/// Taken by the thread that ends the process, and never released.
static ENDING: Mutex<()> = Mutex::new(());
static STARTED: AtomicBool = AtomicBool::new(false);
static HELD: AtomicUsize = AtomicUsize::new(0);
/// Number of signals that [`watch`] has left to the owner of a [`Hold`].
static LEFT: AtomicUsize = AtomicUsize::new(0);
static WATCHED: AtomicBool = AtomicBool::new(false);

/// A registered cleanup. Dropping it unregisters it.
#[derive(Debug)]
pub struct Registered(u64);

impl Drop for Registered {
    fn drop(&mut self) {
        lock(&CLEANUPS).retain(|(number, _)| *number != self.0);
    }
}

/// Registers a cleanup that runs in a thread of its own before the process ends. The last one
/// registered runs first.
pub fn before_end(cleanup: impl FnOnce(&Cause) + Send + 'static) -> Registered {
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    lock(&CLEANUPS).push((number, Box::new(cleanup)));
    Registered(number)
}

/// Installs handlers so that a signal ends this process after the cleanups. A second signal ends it
/// at once.
pub fn watch() -> Result<()> {
    let mut signals = Signals::new(not_ignored(&ENDING_SIGNALS)).context("can't handle signals")?;
    WATCHED.store(true, Ordering::SeqCst);
    thread::spawn(move || {
        for signal in signals.forever() {
            if HELD.load(Ordering::SeqCst) > 0 {
                LEFT.fetch_add(1, Ordering::SeqCst);
                continue;
            }
            if !end_process(Cause::Signal(signal)) {
                let _ = emulate_default_handler(signal);
            }
        }
    });
    Ok(())
}

/// While it exists, the signals of [`ENDING_SIGNALS`] do not end the process: its owner handles all of them.
#[derive(Debug)]
pub struct Hold {
    left_before: usize,
}

/// Takes over the handling of signals.
pub fn hold() -> Hold {
    HELD.fetch_add(1, Ordering::SeqCst);
    Hold { left_before: LEFT.load(Ordering::SeqCst) }
}

impl Hold {
    /// Waits until the thread of [`watch`] has left a signal to the owner, who has received it. The
    /// thread may be slower, and would end this process if the hold were gone.
    pub fn await_left_signal(&self) {
        let deadline = Instant::now() + Duration::from_secs(1);
        while WATCHED.load(Ordering::SeqCst)
            && LEFT.load(Ordering::SeqCst) == self.left_before
            && Instant::now() < deadline
        {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        HELD.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Returns the signals that this process was not started to ignore, as `nohup` ignores SIGHUP.
pub fn not_ignored(signals: &[i32]) -> Vec<i32> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    signals.iter().copied().filter(|signal| (mask >> (signal - 1)) & 1 == 0).collect()
}

/// Ends the process from a thread of its own, since the caller may hold locks that cleanups need.
/// Returns whether this is the first cause.
pub(crate) fn end_process(cause: Cause) -> bool {
    let is_first = !STARTED.swap(true, Ordering::SeqCst);
    if is_first {
        thread::spawn(move || run_cleanups(&cause));
    }
    is_first
}

fn run_cleanups(cause: &Cause) {
    let _held = lock(&ENDING);
    // Restoring the terminal's mode must work even for a background process.
    let mut background = SigSet::empty();
    background.add(Signal::SIGTTOU);
    let _ = background.thread_block();
    let cleanups = std::mem::take(&mut *lock(&CLEANUPS));
    for (_, cleanup) in cleanups.into_iter().rev() {
        // A panic does not prevent the other cleanups or the end.
        let _ = panic::catch_unwind(AssertUnwindSafe(|| cleanup(cause)));
    }
    match cause {
        Cause::Signal(signal) => _ = emulate_default_handler(*signal),
        Cause::Closed => _ = emulate_default_handler(SIGPIPE),
        Cause::Failed(_) => {}
    }
    process::exit(BROKEN.into());
}

/// Waits at the end of `main` for an end of the process that has begun.
pub fn wait_for_end() {
    while STARTED.load(Ordering::SeqCst) {
        thread::park();
    }
    std::mem::forget(lock(&ENDING));
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn inherited_ignored_signal_stays_ignored() {
        const NAME: &str = "KEYAGENTS_TEST_IGNORED_SIGNAL";
        if std::env::var_os(NAME).is_some() {
            assert_eq!(not_ignored(&[SIGHUP, SIGTERM]), [SIGTERM]);
            return;
        }
        let test =
            concat!(module_path!(), "::inherited_ignored_signal_stays_ignored").trim_start_matches("xtask::");
        let mut command = Command::new("nohup");
        command.arg(std::env::current_exe().unwrap()).args(["--exact", test]).env(NAME, "1");
        let done = command.output().unwrap();
        assert!(done.status.success(), "{done:?}");
        assert!(String::from_utf8_lossy(&done.stdout).contains("1 passed"), "{done:?}");
    }
}
