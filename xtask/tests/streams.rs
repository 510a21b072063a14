//! Closed and full standard streams, and terminals: the command ends as it should, and the
//! terminal's mode is restored.

mod common;

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Read, pipe};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use common::{streams, xtask};
use nix::pty::{OpenptyResult, openpty};
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{LocalFlags, tcgetattr};
use nix::unistd::Pid;
use rstest::rstest;

/// Time limit for everything here, kernel builds included.
const TIME_LIMIT: Duration = Duration::from_secs(1800);

/// Waits for the end of the process; fails after a time limit.
fn ended(child: &mut Child) -> Result<ExitStatus> {
    const GRACE: Duration = Duration::from_secs(120);
    let deadline = Instant::now() + GRACE;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if Instant::now() > deadline {
            child.kill()?;
            bail!("it goes on");
        }
        thread::sleep(Duration::from_millis(20));
    }
}

#[rstest]
#[case::for_readers(&["scenarios", "list"])]
#[case::for_programs(&["scenarios", "list", "--json"])]
#[case::help(&["--help"])]
#[case::completions(&["completions", "bash"])]
fn full_standard_output_is_an_error(#[case] arguments: &[&str]) -> Result<()> {
    let full = OpenOptions::new().write(true).open("/dev/full")?;
    let (code, _, stderr) = streams(&xtask(arguments).stdout(full).output()?);
    assert_eq!(code, Some(2), "{stderr}");
    assert_eq!(stderr, "error: can't write to standard output: No space left on device (os error 28)\n");
    Ok(())
}

#[rstest]
#[case::for_readers(&["scenarios", "list"])]
#[case::help(&["test", "--help"])]
fn closed_standard_output_ends_a_command_by_sigpipe(#[case] arguments: &[&str]) -> Result<()> {
    let (reader, writer) = pipe()?;
    drop(reader);
    let output = xtask(arguments).stdout(writer).output()?;
    assert_eq!(output.status.signal(), Some(Signal::SIGPIPE as i32), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
    Ok(())
}

#[rstest]
#[case::a_program(&["run", "--", "sh", "-c", "while :; do echo y; done"])]
#[case::its_errors(&["run", "--", "sh", "-c", "while :; do echo y >&2; done"])]
#[case::a_scenario(&["repro", "chosen-error", "--until-fail"])]
fn closed_standard_output_ends_the_guest(#[case] arguments: &[&str]) -> Result<()> {
    let (reader, writer) = pipe()?;
    let mut command = xtask(arguments);
    command.stdout(writer.try_clone()?).stderr(writer);
    let mut child = command.spawn()?;
    // It holds the writing end, too.
    drop(command);
    let mut lines = BufReader::new(reader).lines();
    let first = lines.find(|line| line.as_ref().is_ok_and(|line| line == "y" || line.contains("passed")));
    first.context("it printed nothing")??;
    drop(lines);
    assert_eq!(ended(&mut child)?.signal(), Some(Signal::SIGPIPE as i32));
    Ok(())
}

/// A terminal for this test alone.
struct PseudoTerminal {
    master: File,
    slave: File,
}

impl PseudoTerminal {
    fn new() -> Result<Self> {
        let OpenptyResult { master, slave } = openpty(None, None)?;
        Ok(Self { master: master.into(), slave: slave.into() })
    }

    fn start(&self, arguments: &[&str], terminal: &str) -> Result<Child> {
        let mut command = xtask(arguments);
        let end = || self.slave.try_clone();
        command.stdin(end()?).stdout(end()?).stderr(end()?).env("TERM", terminal).env_remove("NO_COLOR");
        Ok(command.spawn()?)
    }

    /// Reads the output on the terminal until it is closed.
    fn watch(&self) -> Result<thread::JoinHandle<Vec<u8>>> {
        let mut master = self.master.try_clone()?;
        Ok(thread::spawn(move || {
            let mut drawn = Vec::new();
            // Reading from a closed terminal fails.
            let _ = master.read_to_end(&mut drawn);
            drawn
        }))
    }

    fn is_raw(&self) -> Result<bool> {
        Ok(!tcgetattr(&self.slave)?.local_flags.contains(LocalFlags::ICANON))
    }
}

#[test]
fn signal_restores_the_terminal_mode() -> Result<()> {
    use Signal::{SIGABRT, SIGHUP, SIGINT, SIGQUIT, SIGSEGV, SIGTERM, SIGUSR1};
    for signal in [SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGABRT, SIGSEGV] {
        let terminal = PseudoTerminal::new()?;
        let before = tcgetattr(&terminal.slave)?;
        terminal.watch()?;
        let mut child = terminal.start(&["run", "--", "sleep", "1000"], "xterm")?;
        let deadline = Instant::now() + TIME_LIMIT;
        while !terminal.is_raw()? {
            if let Some(status) = child.try_wait()? {
                bail!("it ended before it had the terminal: {status}");
            }
            assert!(Instant::now() < deadline, "it never has the terminal");
            thread::sleep(Duration::from_millis(5));
        }
        kill(Pid::from_raw(child.id().cast_signed()), signal)?;
        assert_eq!(ended(&mut child)?.signal(), Some(signal as i32));
        assert_eq!(tcgetattr(&terminal.slave)?, before, "{signal}");
    }
    Ok(())
}

#[rstest]
#[case::able("xterm", true)]
#[case::dumb("dumb", false)]
fn colours_depend_on_the_terminal_type(#[case] kind: &str, #[case] coloured: bool) -> Result<()> {
    let terminal = PseudoTerminal::new()?;
    let drawn = terminal.watch()?;
    let mut child = terminal.start(&["scenarios", "list", "linking"], kind)?;
    assert!(ended(&mut child)?.success());
    drop(terminal);
    let drawn = drawn.join().unwrap_or_default();
    assert!(drawn.starts_with(if coloured { b"\x1b[1mlinking" } else { b"linking" }), "{drawn:?}");
    assert_eq!(drawn.contains(&0x1b), coloured);
    Ok(())
}

#[test]
fn report_is_alone_on_standard_output_and_unwritable_summary_is_noted() -> Result<()> {
    let mut command = xtask(&["test", "rejection/chosen-error", "--vm", "uml", "--report", "json=-"]);
    command.env("GITHUB_ACTIONS", "true").env("GITHUB_STEP_SUMMARY", "/no/such/place");
    let (code, stdout, stderr) = streams(&command.output()?);
    assert_eq!(code, Some(0), "{stderr}");
    let report: serde_json::Value = serde_json::from_str(&stdout)?;
    assert_eq!(report[0]["verdict"], "passed");
    assert!(stderr.contains("note: can't write the job's summary to /no/such/place"), "{stderr}");
    assert!(stderr.contains("1 passed"), "{stderr}");
    Ok(())
}

#[test]
fn unread_output_is_bounded_in_memory() -> Result<()> {
    let mut run = xtask(&["run", "--vm", "uml", "--", "yes"]).stderr(Stdio::null()).spawn()?;
    run.stdout.as_mut().context("no pipe")?.read_exact(&mut [0])?;
    let status = format!("/proc/{}/status", run.id());
    let resident = || -> Result<String> {
        let status = fs::read_to_string(&status)?;
        Ok(status.lines().find(|line| line.starts_with("VmRSS:")).context("no VmRSS")?.to_owned())
    };
    // The size is stable once all buffers are full.
    let settles = (0..60).any(|_| {
        let before = resident().ok();
        thread::sleep(Duration::from_millis(500));
        before.is_some() && before == resident().ok()
    });
    run.kill()?;
    run.wait()?;
    assert!(settles);
    Ok(())
}
