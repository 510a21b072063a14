//! Runs a program of the initramfs outside any plan, and forwards its output line by line.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use scenarios::wire::program::{Program, Returned};
use scenarios::wire::{Broken, Ending, GuestMessage};

use crate::channel::{Channel, ChannelError};
use crate::children::Children;
use crate::sys::signals::{SignalFd, Signals};

/// Time limit for killed processes to exit.
const KILL_TIMEOUT: Duration = Duration::from_secs(5);

/// Runs a program and sends the host its result.
pub(super) fn run(
    channel: &mut Channel,
    child_signals: &mut SignalFd,
    program: &Program,
) -> Result<(), ChannelError> {
    let name = program.path.clone();
    let message = match Running::start(program) {
        Ok(running) => {
            let ending = running.watch(channel, child_signals)?;
            GuestMessage::Returned(Returned { program: name, ending })
        }
        Err(why) => GuestMessage::Broken(Broken { plan: None, why: format!("can't start {name}: {why}") }),
    };
    channel.send(&message)
}

struct Running {
    children: Children<()>,
    output: File,
    lines: LineBuffer,
    deadline: Instant,
}

impl Running {
    fn start(program: &Program) -> io::Result<Self> {
        let (output, theirs) = io::pipe()?;
        let mut command = Command::new(&program.path);
        command
            .args(&program.arguments)
            .env_clear()
            .env("PATH", "/bin:/sbin:/usr/bin:/usr/sbin")
            .stdin(Stdio::null())
            .stdout(theirs.try_clone()?)
            .stderr(theirs)
            .process_group(0)
            .gid(program.uid)
            .uid(program.uid);
        // SAFETY: between fork and exec the closure makes one system call. PID 1's blocked signals would be
        // inherited.
        unsafe { command.pre_exec(|| Signals::NONE.block().map_err(io::Error::from)) };
        let child = command.spawn()?;
        let mut children = Children::default();
        children.insert(child.id().cast_signed(), (), true);
        let output = OwnedFd::from(output);
        fcntl(&output, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        let deadline = Instant::now() + Duration::from_millis(program.deadline_ms);
        Ok(Self { children, output: output.into(), lines: LineBuffer::default(), deadline })
    }

    /// Forwards output until the program exits or its deadline passes, then kills what is left.
    fn watch(
        mut self,
        channel: &mut Channel,
        child_signals: &mut SignalFd,
    ) -> Result<Option<Ending>, ChannelError> {
        let mut ending = None;
        while ending.is_none() && Instant::now() < self.deadline {
            self.wait_ready(child_signals);
            while child_signals.take().is_some() {}
            ending = self.children.poll_exits().pop().map(|((), ending)| ending);
            self.forward_output(channel)?;
        }
        kill_all(&mut self.children);
        self.forward_output(channel)?;
        if let Some(line) = self.lines.rest() {
            channel.send(&GuestMessage::Printed(line))?;
        }
        Ok(ending)
    }

    /// Waits for output, an exit or the deadline.
    fn wait_ready(&self, child_signals: &SignalFd) {
        let left = self.deadline.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
        let mut fds = [
            PollFd::new(self.output.as_fd(), PollFlags::POLLIN),
            PollFd::new(child_signals.as_fd(), PollFlags::POLLIN),
        ];
        // A failure counts as a wake-up: all sources are checked anyway.
        let _ = poll(&mut fds, PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX));
    }

    fn forward_output(&mut self, channel: &mut Channel) -> Result<(), ChannelError> {
        let mut buffer = [0; 4096];
        loop {
            match self.output.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(length) => self.lines.push(&buffer[..length]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Ok(()),
            }
            while let Some(line) = self.lines.next() {
                channel.send(&GuestMessage::Printed(line))?;
            }
        }
    }
}

/// Kills all processes: between plans every one stems from the program.
pub(super) fn kill_all(children: &mut Children<()>) {
    const EVERYBODY: Pid = Pid::from_raw(-1);
    let begun = Instant::now();
    while Children::<()>::any_left() && begun.elapsed() < KILL_TIMEOUT {
        // Kernel threads ignore the signal.
        let _ = kill(EVERYBODY, Signal::SIGKILL);
        children.poll_exits();
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Splits a byte stream into lines.
#[derive(Default)]
struct LineBuffer(Vec<u8>);

impl LineBuffer {
    fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// The next whole line, without its newline.
    fn next(&mut self) -> Option<String> {
        let end = self.0.iter().position(|byte| *byte == b'\n')?;
        let line: Vec<u8> = self.0.drain(..=end).collect();
        Some(String::from_utf8_lossy(&line[..end]).into_owned())
    }

    /// The last line, if it lacks its newline.
    fn rest(self) -> Option<String> {
        (!self.0.is_empty()).then(|| String::from_utf8_lossy(&self.0).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_split_independent_of_writes() {
        let mut lines = LineBuffer::default();
        lines.push(b"ok 1 a\nok");
        assert_eq!(lines.next().as_deref(), Some("ok 1 a"));
        assert_eq!(lines.next(), None);
        lines.push(b" 2 b\n\nend");
        assert_eq!(lines.next().as_deref(), Some("ok 2 b"));
        assert_eq!(lines.next().as_deref(), Some(""));
        assert_eq!(lines.rest().as_deref(), Some("end"));
    }
}
