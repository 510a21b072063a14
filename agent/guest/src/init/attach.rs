//! Runs a program attached to the host: on the guest's console, or with pipes that the channel carries.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::termios::tcdrain;
use scenarios::wire::program::{AttachedProgram, Bytes, Output, Returned, Stream, Streams, WindowSize};
use scenarios::wire::{Broken, Ending, GuestMessage, HostMessage};

use super::run_program::kill_all;
use crate::channel::{Channel, ChannelError};
use crate::children::Children;
use crate::sys::signals::{SignalFd, Signals};

/// Runs the program and sends the host its result.
pub(super) fn run(
    channel: &mut Channel,
    child_signals: &mut SignalFd,
    program: &AttachedProgram,
) -> Result<(), ChannelError> {
    let name = program.path.clone();
    let message = match start(program) {
        Err(why) => GuestMessage::Broken(Broken { plan: None, why: format!("can't start {name}: {why}") }),
        Ok((mut children, mut streams)) => {
            let ending = watch(channel, child_signals, &mut children, &mut streams)?;
            kill_all(&mut children);
            streams.forward_output(channel)?;
            streams.drain();
            GuestMessage::Returned(Returned { program: name, ending: Some(ending) })
        }
    };
    channel.send(&message)
}

/// Carries the streams until the program exits.
fn watch(
    channel: &mut Channel,
    child_signals: &mut SignalFd,
    children: &mut Children<()>,
    streams: &mut StdStreams,
) -> Result<Ending, ChannelError> {
    loop {
        let from_host = channel.has_buffered_input() || wait_ready(channel, child_signals, streams);
        while child_signals.take().is_some() {}
        if let Some(((), ending)) = children.poll_exits().pop() {
            return Ok(ending);
        }
        streams.forward_output(channel)?;
        if from_host {
            match (channel.receive()?, &mut *streams) {
                (Some(HostMessage::Input(bytes)), StdStreams::Pipes(pipes)) => {
                    pipes.unwritten = Some(bytes.0)
                }
                (Some(HostMessage::EndOfInput), StdStreams::Pipes(pipes)) => pipes.input = None,
                (Some(HostMessage::Resize(size)), StdStreams::Terminal(terminal)) => resize(terminal, size),
                (Some(HostMessage::Input(_) | HostMessage::EndOfInput | HostMessage::Resize(_)), _) => {}
                // Any other message means that the host has given the program up.
                _ => return Ok(Ending::Killed(libc::SIGHUP)),
            }
        }
        if streams.write_input() {
            channel.send(&GuestMessage::Ack)?;
        }
    }
}

/// Waits for anything to do. Returns whether the channel is readable.
fn wait_ready(channel: &Channel, child_signals: &SignalFd, streams: &StdStreams) -> bool {
    let mut fds = vec![
        PollFd::new(channel.as_fd(), PollFlags::POLLIN),
        PollFd::new(child_signals.as_fd(), PollFlags::POLLIN),
    ];
    fds.extend(streams.sources());
    // A failure counts as a wake-up: all sources are checked anyway.
    poll(&mut fds, PollTimeout::NONE).is_ok() && fds.first().and_then(PollFd::any).unwrap_or(false)
}

fn start(program: &AttachedProgram) -> io::Result<(Children<()>, StdStreams)> {
    fs::create_dir_all(&program.directory)?;
    let mut command = Command::new(&program.path);
    command.args(&program.arguments).env_clear().envs(&program.environment).current_dir(&program.directory);
    let streams = match program.streams {
        Streams::Terminal(size) => at_console(&mut command, size)?,
        Streams::Pipes => with_pipes(&mut command)?,
    };
    // As a login would: without a session keyring of one's own `@s` is the user's, in which no agent is
    // looked for (R8).
    let log_in = || {
        // PID 1's blocked signals would be inherited.
        Signals::NONE.block()?;
        keyring::join_session_keyring(None)?;
        Ok(())
    };
    // SAFETY: between fork and exec the closure makes two system calls and allocates nothing.
    unsafe { command.pre_exec(log_in) };
    let child = command.spawn()?;
    let mut children = Children::default();
    children.insert(child.id().cast_signed(), (), true);
    Ok((children, streams))
}

/// Makes the console the controlling terminal of a session of the program's own: only so a shell has job
/// control.
fn at_console(command: &mut Command, size: WindowSize) -> io::Result<StdStreams> {
    let console = OpenOptions::new().read(true).write(true).custom_flags(libc::O_NOCTTY).open(console()?)?;
    resize(&console, size);
    command.stdin(console.try_clone()?).stdout(console.try_clone()?).stderr(console.try_clone()?);
    let lead_session = || {
        // SAFETY: neither call takes a pointer; descriptor 0 is the console by now.
        let done = unsafe { libc::setsid() >= 0 && libc::ioctl(0, libc::TIOCSCTTY, 0) == 0 };
        if done { Ok(()) } else { Err(io::Error::last_os_error()) }
    };
    // SAFETY: between fork and exec the closure makes two system calls.
    unsafe { command.pre_exec(lead_session) };
    Ok(StdStreams::Terminal(console))
}

/// The last of the kernel's consoles that is a terminal: what /dev/console stands for.
fn console() -> io::Result<PathBuf> {
    let active = fs::read_to_string("/sys/class/tty/console/active")?;
    let terminals = active.split_whitespace().map(|name| Path::new("/dev").join(name));
    terminals.rev().find(|path| path.exists()).ok_or_else(|| io::Error::other("the kernel has no console"))
}

fn resize(terminal: &File, size: WindowSize) {
    let size = libc::winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the descriptor is open, and the kernel reads one winsize. A terminal that keeps its size is no
    // harm.
    unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) };
}

fn with_pipes(command: &mut Command) -> io::Result<StdStreams> {
    let (theirs, input) = io::pipe()?;
    let (output, their_output) = io::pipe()?;
    let (error, their_error) = io::pipe()?;
    for end in [output.as_fd(), error.as_fd(), input.as_fd()] {
        fcntl(end, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    }
    command.stdin(Stdio::from(OwnedFd::from(theirs))).stdout(their_output).stderr(their_error);
    let outputs = vec![(Stream::Output, output), (Stream::Error, error)];
    Ok(StdStreams::Pipes(Pipes { input: Some(input), unwritten: None, outputs }))
}

/// PID 1's ends of the program's standard streams.
enum StdStreams {
    Terminal(File),
    Pipes(Pipes),
}

struct Pipes {
    input: Option<PipeWriter>,
    /// Input that has not been written; empty once it has, until the host knows.
    unwritten: Option<Vec<u8>>,
    outputs: Vec<(Stream, PipeReader)>,
}

impl StdStreams {
    fn sources(&self) -> Vec<PollFd<'_>> {
        let Self::Pipes(pipes) = self else { return Vec::new() };
        let input = pipes.input.iter().filter(|_| pipes.unwritten.is_some());
        let outputs = pipes.outputs.iter().map(|(_, pipe)| PollFd::new(pipe.as_fd(), PollFlags::POLLIN));
        let mut fds: Vec<_> = outputs.collect();
        fds.extend(input.map(|pipe| PollFd::new(pipe.as_fd(), PollFlags::POLLOUT)));
        fds
    }

    /// Waits until all that was written at the console is on its way: what follows takes another line.
    fn drain(&self) {
        if let Self::Terminal(terminal) = self {
            let _ = tcdrain(terminal);
        }
    }

    /// Writes as much input as the program takes. Returns true when a piece has been written whole.
    fn write_input(&mut self) -> bool {
        let Self::Pipes(pipes) = self else { return false };
        let Some(unwritten) = &mut pipes.unwritten else { return false };
        while !unwritten.is_empty() {
            let Some(input) = &mut pipes.input else { break };
            match input.write(unwritten) {
                Ok(length) => drop(unwritten.drain(..length)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
                // No reader is left: the input is discarded.
                Err(_) => pipes.input = None,
            }
        }
        pipes.unwritten = None;
        true
    }

    /// Sends all new output to the host.
    fn forward_output(&mut self, channel: &mut Channel) -> Result<(), ChannelError> {
        let Self::Pipes(pipes) = self else { return Ok(()) };
        let mut buffer = [0; 4096];
        let mut closed = Vec::new();
        for (stream, pipe) in &mut pipes.outputs {
            loop {
                match pipe.read(&mut buffer) {
                    Ok(0) => closed.push(*stream),
                    Ok(length) => {
                        let bytes = Bytes(buffer[..length].to_vec());
                        channel.send(&GuestMessage::Output(Output { stream: *stream, bytes }))?;
                        continue;
                    }
                    Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                    Err(_) => {}
                }
                break;
            }
        }
        // A closed pipe would be ready for ever.
        pipes.outputs.retain(|(stream, _)| !closed.contains(stream));
        Ok(())
    }
}
