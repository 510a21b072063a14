//! A program with all its descendants, which receive the signals that end this process.

use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::host::interruption::{self, ENDING_SIGNALS};
use crate::host::process::spawn_pdeathsig;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Exited(ExitStatus),
    /// The user ended the program or this process by this signal; following work is not wanted.
    Interrupted(i32),
}

/// Signals with which a user or a supervisor ends a program. Any other signal that ends it, such as
/// SIGALRM, is a failure of its own.
const REQUESTS: [i32; 4] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM];

/// Runs a program without input, and waits for its end. Signals that would end this process go to
/// the program and its descendants.
pub fn run(command: Command) -> Result<End> {
    run_forwarding(&ENDING_SIGNALS, command)
}

fn run_forwarding(signals: &[i32], mut command: Command) -> Result<End> {
    let hold = interruption::hold();
    let mut signals = Signals::new(interruption::not_ignored(signals)).context("can't handle signals")?;
    // A group of its own, since this process may share one with its parent.
    command.process_group(0).stdin(Stdio::null());
    let mut child = spawn_pdeathsig(command)?;
    let group = Pid::from_raw(child.id().cast_signed());
    let handle = signals.handle();
    let listener = thread::spawn(move || {
        let mut received = None;
        for signal in signals.forever() {
            received = Some(signal);
            // The process may have ended.
            let _ = Signal::try_from(signal).and_then(|signal| killpg(group, signal));
        }
        received
    });
    let status = child.wait().context("can't wait for the program");
    handle.close();
    let received = listener.join().unwrap_or_default();
    if received.is_some() {
        hold.await_left_signal();
        // Some of them may ignore Ctrl-C.
        let _ = killpg(group, Signal::SIGTERM);
    }
    let status = status?;
    let requested = status.signal().filter(|signal| REQUESTS.contains(signal));
    Ok(received.or(requested).map_or(End::Exited(status), End::Interrupted))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::{Duration, Instant};

    use nix::sys::signal::kill;
    use nix::unistd::getpid;
    use signal_hook::consts::{SIGUSR1, SIGUSR2};

    use super::*;

    fn script(text: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", text]);
        command
    }

    /// Runs a script, and handles only signals that no other test sends to this process.
    fn run_script(text: &str) -> Result<End> {
        run_forwarding(&[SIGHUP, SIGINT, SIGTERM], script(text))
    }

    #[test]
    fn only_a_requested_end_is_an_interruption() {
        let code = |text: &str| match run_script(text).unwrap() {
            End::Exited(status) => status.code().unwrap(),
            End::Interrupted(signal) => -signal,
        };
        assert_eq!([code("exit 3"), code("kill -TERM $$"), code("kill -INT $$")], [3, -SIGTERM, -SIGINT]);
        // A failure of the program is no interruption.
        for fault in ["SEGV", "ALRM", "USR1"] {
            assert!(matches!(run_script(&format!("kill -{fault} $$")).unwrap(), End::Exited(_)), "{fault}");
        }
    }

    #[test]
    fn every_ending_signal_is_forwarded() {
        const NAME: &str = "KEYAGENTS_TEST_FORWARDED_SIGNAL";
        if let Some(signal) = std::env::var_os(NAME) {
            interruption::watch().unwrap();
            let ended = run(script(&format!("kill -{} $PPID; sleep 9", signal.display()))).unwrap();
            assert!(matches!(ended, End::Interrupted(SIGQUIT | SIGUSR1)), "{ended:?}");
            return;
        }
        let test =
            concat!(module_path!(), "::every_ending_signal_is_forwarded").trim_start_matches("xtask::");
        for signal in ["QUIT", "USR1"] {
            let mut command = Command::new(std::env::current_exe().unwrap());
            let done = command.args(["--exact", test]).env(NAME, signal).output().unwrap();
            let passed = String::from_utf8_lossy(&done.stdout).contains("1 passed");
            assert!(done.status.success() && passed, "SIG{signal}: {done:?}");
        }
    }

    #[test]
    fn signal_is_forwarded_to_descendants() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("pid");
        let text = format!("sleep 60 & echo $! > {0}.part; mv {0}.part {0}; wait", file.display());
        // A signal that no other test handles.
        let runner = thread::spawn(move || run_forwarding(&[SIGUSR2], script(&text)));
        let deadline = Instant::now() + Duration::from_secs(20);
        while !file.exists() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(5));
        }
        let grandchild: i32 = fs::read_to_string(&file).unwrap().trim().parse().unwrap();
        kill(getpid(), Signal::SIGUSR2).unwrap();
        assert_eq!(runner.join().unwrap().unwrap(), End::Interrupted(SIGUSR2));
        let is_there =
            || fs::read_to_string(format!("/proc/{grandchild}/stat")).is_ok_and(|it| !it.contains(") Z "));
        while is_there() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(5));
        }
        assert!(!is_there(), "the program's child outlives it");
    }
}
