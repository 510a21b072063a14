//! Message channel to the host: a character device that a kernel parameter names.

use std::fs::{DirEntry, File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::termios::{self, SetArg};
use scenarios::wire::framing::{LAST_PART, PART};
use scenarios::wire::{self, DecodeError, GuestMessage, HostMessage};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::sys::procfs;

const PARAMETER: &str = "keyagents.channel=";

/// Time limit for the device to appear: drivers probe while PID 1 already runs.
const DEVICE_TIMEOUT: Duration = Duration::from_secs(10);

/// Message channel to the host: one JSON object a line in both directions.
pub(crate) struct Channel {
    from_host: BufReader<File>,
    to_host: BufWriter<File>,
}

impl Channel {
    /// Opens the device that the kernel command line names.
    pub(crate) fn open() -> Result<Self, ChannelError> {
        Self::new(device()?)
    }

    pub(crate) fn open_port(name: &str) -> Result<Self, ChannelError> {
        let path = find_port(Path::new("/sys/class/virtio-ports"), name)
            .ok_or_else(|| ChannelError::NoPort(name.to_owned()))?;
        Self::new(open_when_present(&path).map_err(|why| ChannelError::Device(path, why))?)
    }

    fn new(device: File) -> Result<Self, ChannelError> {
        let to_host = device.try_clone().map_err(ChannelError::Read)?;
        Ok(Self { from_host: BufReader::new(device), to_host: BufWriter::new(to_host) })
    }

    /// Replaces the host by files: messages come from one, and answers go to another, which is created.
    pub(crate) fn from_files(messages: &Path, answers: &Path) -> Result<Self, ChannelError> {
        let from_host = File::open(messages).map_err(|why| ChannelError::Device(messages.to_owned(), why))?;
        let to_host = File::create(answers).map_err(|why| ChannelError::Device(answers.to_owned(), why))?;
        Ok(Self { from_host: BufReader::new(from_host), to_host: BufWriter::new(to_host) })
    }

    /// Waits for the host's next message; `None` if the host has closed the channel.
    pub(crate) fn receive(&mut self) -> Result<Option<HostMessage>, ChannelError> {
        let mut message = String::new();
        loop {
            let mut line = String::new();
            if self.from_host.read_line(&mut line).map_err(ChannelError::Read)? == 0 {
                return Ok(None);
            }
            if let Some(part) = line.strip_prefix(PART) {
                message.push_str(part.trim_end_matches('\n'));
                self.send(&GuestMessage::Ack)?;
                continue;
            }
            message.push_str(line.strip_prefix(LAST_PART).unwrap_or(&line));
            return Ok(Some(wire::decode(&message)?));
        }
    }

    /// Returns true if input is buffered, which poll(2) does not see.
    pub(crate) fn has_buffered_input(&self) -> bool {
        !self.from_host.buffer().is_empty()
    }

    pub(crate) fn send(&mut self, message: &GuestMessage) -> Result<(), ChannelError> {
        self.queue(message)?;
        self.flush()
    }

    /// Buffers a message until the next [`Self::flush`], since many small writes are slow.
    pub(crate) fn queue(&mut self, message: &GuestMessage) -> Result<(), ChannelError> {
        self.write(message)
    }

    /// Buffers an event in its serialized form.
    pub(crate) fn queue_event(&mut self, event: &RawValue) -> Result<(), ChannelError> {
        self.write(&Serialized::Event(event))
    }

    fn write(&mut self, message: &impl Serialize) -> Result<(), ChannelError> {
        serde_json::to_writer(&mut self.to_host, message).map_err(|why| ChannelError::Write(why.into()))?;
        self.to_host.write_all(b"\n").map_err(ChannelError::Write)
    }

    pub(crate) fn flush(&mut self) -> Result<(), ChannelError> {
        self.to_host.flush().map_err(ChannelError::Write)
    }
}

/// A [`GuestMessage`] whose content is serialized already.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Serialized<'a> {
    Event(&'a RawValue),
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.from_host.get_ref().as_fd()
    }
}

/// Opens the device that the kernel command line names, in raw mode if it is a terminal.
pub(crate) fn device() -> Result<File, ChannelError> {
    let path = procfs::kernel_parameter(PARAMETER).map_err(ChannelError::CommandLine)?;
    let path = path.ok_or(ChannelError::Unnamed)?;
    let device = open_when_present(&path).map_err(|why| ChannelError::Device(path, why))?;
    // A serial line would echo input and translate output; a virtio port is no terminal.
    if let Ok(mut settings) = termios::tcgetattr(&device) {
        termios::cfmakeraw(&mut settings);
        let _ = termios::tcsetattr(&device, SetArg::TCSANOW, &settings);
    }
    Ok(device)
}

fn find_port(listed: &Path, name: &str) -> Option<PathBuf> {
    let mut ports = std::fs::read_dir(listed).ok()?.flatten();
    let named = |port: &DirEntry| {
        std::fs::read_to_string(port.path().join("name")).is_ok_and(|it| it.trim_end() == name)
    };
    Some(Path::new("/dev").join(ports.find(named)?.file_name()))
}

fn open_when_present(path: &Path) -> io::Result<File> {
    let begun = Instant::now();
    loop {
        match OpenOptions::new().read(true).write(true).open(path) {
            Err(why) if why.kind() == io::ErrorKind::NotFound && begun.elapsed() < DEVICE_TIMEOUT => {
                std::thread::sleep(Duration::from_millis(2));
            }
            opened => return opened,
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum ChannelError {
    #[error("can't read /proc/cmdline: {0}")]
    CommandLine(#[source] io::Error),
    #[error("the kernel command line names no channel: add keyagents.channel=/dev/…")]
    Unnamed,
    #[error("the virtual machine has no port named {0}")]
    NoPort(String),
    #[error("can't open the channel {0}: {1}")]
    Device(PathBuf, #[source] io::Error),
    #[error("can't read from the host: {0}")]
    Read(#[source] io::Error),
    #[error("can't write to the host: {0}")]
    Write(#[source] io::Error),
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

#[cfg(test)]
mod tests {
    use scenarios::wire::{Event, EventKind};

    use super::*;

    #[test]
    fn serialized_event_is_sent_unchanged() {
        let kind = EventKind::Begun { pids: vec![7, 1] };
        let event =
            Event { process: "box".to_owned(), step: Some(0), worker: None, upcall: None, at_us: 9, kind };
        let serialized = serde_json::value::to_raw_value(&event).unwrap();
        let parsed = serde_json::to_string(&GuestMessage::Event(event)).unwrap();
        assert_eq!(serde_json::to_string(&Serialized::Event(&serialized)).unwrap(), parsed);
    }
}
