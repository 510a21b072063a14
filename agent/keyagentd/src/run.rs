//! `keyagentd run`: a command that is served, and the end of the service with it.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitCode, ExitStatus};

use nix::sys::signal::Signal;
use rustix::process::{Pid, PidfdFlags, kill_process, pidfd_open};

use super::args::RunOptions;
use super::child;
use super::failure::{Failure, Result};
use super::keyrings;
use super::log;
use super::service::Service;
use super::signals::{Received, Signals};

/// Signals that are passed on to the command.
const FORWARDED: [Signal; 9] = [
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGTERM,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGALRM,
    Signal::SIGCONT,
    Signal::SIGWINCH,
];

/// Runs a command with a session keyring of its own, and serves it until it ends.
pub(crate) fn run(options: &RunOptions) -> Result<ExitCode> {
    // Before there are threads that would get them.
    let signals = Signals::block(&[&FORWARDED[..], &[Signal::SIGCHLD]].concat())?;
    let mut service = Service::new(&options.service)?;
    keyring::join_session_keyring(None).map_err(Failure::keys("create a session keyring"))?;
    let keyring = keyrings::private()?;
    service.register(&options.service.types, false, keyring)?;
    keyrings::seal(keyring)?;
    let mut child = match start(&options.command, &signals) {
        Ok(child) => child,
        Err((code, message)) => {
            log::error(&message);
            return Ok(code.into());
        }
    };
    let pid = Pid::from_child(&child);
    let pidfd = pidfd_open(pid, PidfdFlags::empty()).map_err(Failure::os("watch the command"))?;
    loop {
        if !service.turn(&[signals.as_fd(), pidfd.as_fd()], None)? {
            continue;
        }
        while let Some(received) = signals.take() {
            forward(received, pid);
        }
        if let Some(status) = child.try_wait().map_err(Failure::os("wait for the command"))? {
            return Ok(exit_code(status));
        }
        service.reap_orphans(Some(pid));
    }
}

/// Starts the command. Returns an exit code with the message if that fails.
fn start(command: &[OsString], signals: &Signals) -> std::result::Result<Child, (u8, String)> {
    let (program, arguments) = command.split_first().ok_or((127, "no command was named".to_owned()))?;
    let mut command = Command::new(program);
    child::restore_signals(command.args(arguments), signals.mask_before());
    command.spawn().map_err(|why| {
        let code = if why.kind() == ErrorKind::NotFound { 127 } else { 126 };
        (code, format!("can't run {}: {why}", program.display()))
    })
}

/// Passes a signal on.
fn forward(received: Received, to: Pid) {
    let signal = rustix::process::Signal::from_named_raw(received.signal as i32);
    if let Some(signal) = signal
        && is_forwarded(received)
    {
        let _ = kill_process(to, signal);
    }
}

/// Whether the command has not received the signal already. A terminal sends its own signals to the command as well, but
/// the end of the connection only to the leader of its session, which may be this program.
fn is_forwarded(Received { signal, is_from_process }: Received) -> bool {
    signal == Signal::SIGHUP || is_from_process && signal != Signal::SIGCHLD
}

/// The exit code of a shell for this status.
fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().or(status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    u8::try_from(code).unwrap_or(u8::MAX).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminals_signals_are_left_to_it_except_for_its_end() {
        let of = |signal, is_from_process| is_forwarded(Received { signal, is_from_process });
        assert!(of(Signal::SIGTERM, true) && of(Signal::SIGHUP, true) && of(Signal::SIGHUP, false));
        assert!(!of(Signal::SIGINT, false) && !of(Signal::SIGWINCH, false));
        assert!(!of(Signal::SIGCHLD, true) && !of(Signal::SIGCHLD, false));
    }
}
