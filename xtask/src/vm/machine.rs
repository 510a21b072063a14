//! A running guest: its process, channel and console, and one queue of its events.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::console::Console;
use super::output_observer::{GuestOutput, OutputObserver};
use super::{Backend, BootConfig, KernelReport};
use crate::host::mutex::lock;
use crate::host::output;
use crate::host::process::{command_line, spawn_pdeathsig};

/// Maximum duration of a write to a guest that does not read.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// Capacity of the event queue. While it is full, nothing is read, and the guest blocks as on a
/// slow terminal.
const QUEUE: usize = 1024;

/// An event of a guest. The queue keeps causes before effects: kernel output printed before a
/// message of PID 1 is delivered before that message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MachineEvent {
    /// PID 1 sent this line over the channel.
    Message(String),
    /// The kernel printed a report on the console.
    KernelReport(KernelReport),
    /// The back end's process has closed the console: the guest has ended.
    Gone,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// The guest powered off or restarted; the host can't distinguish these.
    PoweredOff,
    Stopped,
    /// The back end's program failed with this status.
    Failed(String),
}

/// A started guest. Dropping it stops it.
#[derive(Debug)]
pub struct Machine {
    child: Child,
    channel: UnixStream,
    console_input: UnixStream,
    events: Receiver<MachineEvent>,
    console: Arc<Mutex<Console>>,
    /// Path of the console's log.
    pub log: PathBuf,
    pub command_line: String,
    /// Directory of the file that backs the guest's memory; `None` if the back end has none.
    pub memory_directory: Option<PathBuf>,
    left_behind: Option<PathBuf>,
    started: Instant,
}

impl Machine {
    pub fn start(backend: &dyn Backend, boot: &BootConfig) -> Result<Self> {
        let log = File::create(&boot.log)
            .with_context(|| format!("can't write the console's log {}", boot.log.display()))?;
        let (channel, guest_channel) = UnixStream::pair().context("can't create a socket for the channel")?;
        let (console_end, guest_console) =
            UnixStream::pair().context("can't create a socket for the console")?;
        console_end.set_nonblocking(true)?;
        let console_input = console_end.try_clone()?;
        channel.set_write_timeout(Some(WRITE_TIMEOUT))?;

        let mut command = backend.command(boot);
        let command_line = command_line(&command);
        let mut set = command.get_envs();
        let memory_directory =
            set.find_map(|(name, value)| (name == "TMPDIR").then(|| value.map(PathBuf::from))?);
        let left_behind = backend.left_behind(&command);
        command.stdin(Stdio::from(OwnedFd::from(guest_channel)));
        // The back end's own error messages go to the console, too.
        command.stderr(Stdio::from(OwnedFd::from(guest_console.try_clone()?)));
        command.stdout(Stdio::from(OwnedFd::from(guest_console)));
        let child = spawn_pdeathsig(command)?;

        let console = Arc::new(Mutex::new(Console::new(log)));
        let (queue, events) = mpsc::sync_channel(QUEUE);
        let io_thread = IoThread {
            channel: channel.try_clone()?,
            console_end,
            console: Arc::clone(&console),
            observer: boot.observer.clone(),
            queue,
        };
        thread::spawn(move || io_thread.run());
        let started = Instant::now();
        let log = boot.log.clone();
        Ok(Self {
            child,
            channel,
            console_input,
            events,
            console,
            log,
            command_line,
            memory_directory,
            left_behind,
            started,
        })
    }

    pub fn send(&mut self, line: &str) -> io::Result<()> {
        self.channel.write_all(format!("{line}\n").as_bytes())
    }

    /// Returns a writer of PID 1's channel for another thread, which must be the only sender.
    pub fn channel_writer(&self) -> io::Result<ChannelWriter> {
        self.channel.try_clone().map(ChannelWriter)
    }

    /// Returns a writer of the guest's console for another thread. Without
    /// [`BootConfig::interactive`] the guest may ignore input.
    pub fn console_writer(&self) -> io::Result<ConsoleWriter> {
        self.console_input.try_clone().map(ConsoleWriter)
    }

    /// Returns the next event; `None` after the deadline, even if events are queued: a guest that
    /// sends without end does not extend it.
    pub fn next(&self, deadline: Instant) -> Option<MachineEvent> {
        let left = deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())?;
        match self.events.recv_timeout(left) {
            Ok(event) => Some(event),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(MachineEvent::Gone),
        }
    }

    pub fn console(&self) -> MutexGuard<'_, Console> {
        lock(&self.console)
    }

    pub fn age(&self) -> Duration {
        self.started.elapsed()
    }

    pub fn stop(&mut self) {
        // Errors mean that the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(directory) = &self.left_behind {
            // A guest that has ended by itself has removed it.
            let _ = fs::remove_dir_all(directory);
        }
    }

    /// Waits for the guest to end; stops it after the given time.
    pub fn end_within(&mut self, time: Duration) -> Ending {
        let deadline = Instant::now() + time;
        loop {
            match self.next(deadline) {
                Some(MachineEvent::Gone) => break,
                Some(_) => {}
                None => {
                    self.stop();
                    return Ending::Stopped;
                }
            }
        }
        match self.child.wait() {
            Ok(status) if status.success() => Ending::PoweredOff,
            Ok(status) => Ending::Failed(status.to_string()),
            Err(error) => Ending::Failed(format!("no status: {error}")),
        }
    }
}

/// Sending end of PID 1's channel.
#[derive(Debug)]
pub struct ChannelWriter(UnixStream);

impl ChannelWriter {
    pub fn send(&mut self, line: &str) -> io::Result<()> {
        self.0.write_all(format!("{line}\n").as_bytes())
    }
}

#[derive(Debug)]
pub struct ConsoleWriter(UnixStream);

impl ConsoleWriter {
    /// Writes all bytes, as fast as the guest accepts them.
    pub fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        output::write_all(&self.0, bytes)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.stop();
    }
}

struct IoThread {
    channel: UnixStream,
    console_end: UnixStream,
    console: Arc<Mutex<Console>>,
    observer: OutputObserver,
    queue: SyncSender<MachineEvent>,
}

impl IoThread {
    fn run(mut self) {
        let mut line = Vec::new();
        let mut channel_open = true;
        let mut console_open = true;
        while console_open {
            let Ok(ready) = self.wait(channel_open) else { break };
            // The channel is read first but delivered last: the console bytes that led to a message are
            // in their socket before the message is.
            let messages = if ready { self.read_channel(&mut line, &mut channel_open) } else { Vec::new() };
            console_open = self.drain_console();
            for message in messages {
                self.observer.observe(GuestOutput::Message(&message));
                // The receiver is gone if the machine was dropped.
                let _ = self.queue.send(MachineEvent::Message(message));
            }
        }
        let _ = self.queue.send(MachineEvent::Gone);
    }

    /// Waits for input on the console or the channel; returns whether the channel has some.
    fn wait(&self, channel_open: bool) -> nix::Result<bool> {
        let mut fds = vec![PollFd::new(self.console_end.as_fd(), PollFlags::POLLIN)];
        if channel_open {
            fds.push(PollFd::new(self.channel.as_fd(), PollFlags::POLLIN));
        }
        match poll(&mut fds, PollTimeout::NONE) {
            Err(nix::Error::EINTR) => Ok(false),
            Err(error) => Err(error),
            Ok(_) => Ok(fds.get(1).and_then(PollFd::any).unwrap_or(false)),
        }
    }

    fn read_channel(&mut self, line: &mut Vec<u8>, open: &mut bool) -> Vec<String> {
        let mut buffer = [0; 65536];
        match self.channel.read(&mut buffer) {
            Ok(0) => *open = false,
            Ok(count) => line.extend_from_slice(&buffer[..count]),
            Err(error) => *open = error.kind() == ErrorKind::Interrupted,
        }
        let mut messages = Vec::new();
        while let Some(end) = line.iter().position(|byte| *byte == b'\n') {
            let message: Vec<u8> = line.drain(..=end).collect();
            messages.push(String::from_utf8_lossy(&message[..end]).into_owned());
        }
        messages
    }

    /// Reads all available console output; returns whether the console is still open.
    fn drain_console(&mut self) -> bool {
        let mut buffer = [0; 65536];
        loop {
            match self.console_end.read(&mut buffer) {
                Ok(0) => return false,
                Ok(count) => self.receive(&buffer[..count]),
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock => return true,
                    ErrorKind::Interrupted => {}
                    _ => return false,
                },
            }
        }
    }

    fn receive(&self, bytes: &[u8]) {
        self.observer.observe(GuestOutput::Console(bytes));
        let reports = lock(&self.console).take(bytes);
        for report in reports {
            let _ = self.queue.send(MachineEvent::KernelReport(report));
        }
    }
}
