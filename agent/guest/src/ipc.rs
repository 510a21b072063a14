//! IPC between PID 1 and the processes of a plan.
//!
//! Each process receives commands over its own socket. All processes share one report socket, so that PID 1
//! receives reports in the order of events.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use nix::sys::socket::{MsgFlags, recv, setsockopt, sockopt};
use scenarios::plan::{KeyRef, Op, Process};
use scenarios::wire::{Done, Event, EventKind};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use vmm_sys_util::sock_ctrl_msg::ScmSocket;

/// Path of PID 1's report socket. The stock upcall, which the kernel starts, connects here too.
pub(crate) const REPORT_SOCKET: &str = "/run/reports";

/// Fits the largest message: a key's payload of 1 MiB in hexadecimal digits.
const MAX_MESSAGE: usize = 4 << 20;

/// A command from PID 1 to a process.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Command {
    Run(Task),
    /// Set the serial that a key reference in the keyagent's reactions resolves to.
    SetKey(KeyRef, i32),
    /// The next child joins namespaces of a process, whose pidfd comes with the message.
    JoinTarget,
    Spawn(Box<SpawnRequest>),
    /// Serve all pending upcalls, then report [`Report::Quiesced`].
    Quiesce,
    /// Reap the named child, a zombie.
    Reap(String),
}

/// An operation with its variables resolved.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Task {
    /// The step that it belongs to; `None` for set-up.
    pub(crate) step: Option<usize>,
    pub(crate) op: Op,
    /// Pids of the receivers, as the process sees them.
    pub(crate) pids: Vec<i32>,
    /// Number of background workers; `None` for the process itself.
    pub(crate) workers: Option<u32>,
    /// Round of a repeated block.
    pub(crate) round: Option<u32>,
    /// Start time of a raced step, in microseconds since the plan's start.
    pub(crate) at_us: Option<u64>,
    /// Lending keyring for the key that the operation returns: processes started later will hold the key.
    pub(crate) lend: Option<i32>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SpawnRequest {
    pub(crate) process: Process,
    /// Serials of the keys to link into the session keyring.
    pub(crate) session_keys: Vec<i32>,
    /// The pid to assign, as the parent sees it; `None` for any.
    pub(crate) pid: Option<i32>,
}

/// A report from a process to PID 1.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Report {
    /// An event, which PID 1 forwards to the host.
    Event(Event),
    /// An [`Event`] that PID 1 forwards without parsing it, which would take longer than all else about it.
    ForwardOnly(Box<RawValue>),
    /// All workers of this background step have started.
    WorkersReleased(usize),
    /// Result of [`Command::Reap`].
    ChildReaped(String, Done),
    /// This keyagent has served all upcalls that were pending.
    Quiesced(String),
    /// The testbed failed, for example to spawn a child.
    Failed(String),
}

#[derive(Debug)]
pub(crate) struct ReportSender(pub(crate) UnixDatagram);

impl ReportSender {
    pub(crate) fn connect(path: &Path) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.connect(path)?;
        // Raising the limit takes CAP_NET_ADMIN; without it small messages still fit.
        let _ = setsockopt(&socket, sockopt::SndBufForce, &MAX_MESSAGE);
        Ok(Self(socket))
    }

    /// Sends a report; blocks while PID 1's queue is full.
    pub(crate) fn send(&self, report: &Report) -> io::Result<()> {
        let bytes = serde_json::to_vec(report)?;
        loop {
            match self.0.send(&bytes) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                sent => return sent.map(drop),
            }
        }
    }

    /// Sends an event that PID 1 itself has no use for.
    pub(crate) fn send_to_host(&self, event: &Event) -> io::Result<()> {
        self.send(&Report::ForwardOnly(serde_json::value::to_raw_value(event)?))
    }
}

/// PID 1's receiving end of the report socket.
pub(crate) struct ReportReceiver {
    pub(crate) socket: UnixDatagram,
    buffer: Vec<u8>,
}

impl ReportReceiver {
    /// Creates the socket at `path`, writable for every user.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        use std::os::unix::fs::PermissionsExt;
        let socket = UnixDatagram::bind(path)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666))?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, buffer: vec![0; MAX_MESSAGE] })
    }

    /// The next report; `None` if there is none yet.
    pub(crate) fn take(&mut self) -> io::Result<Option<Report>> {
        match self.socket.recv(&mut self.buffer) {
            Ok(length) => Ok(Some(serde_json::from_slice(&self.buffer[..length])?)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// PID 1's sending end of a process's command socket; sending never blocks.
#[derive(Debug)]
pub(crate) struct CommandSender(UnixDatagram);

/// A process's receiving end of its command socket.
#[derive(Debug)]
pub(crate) struct CommandReceiver(pub(crate) UnixDatagram);

pub(crate) fn command_channel() -> io::Result<(CommandSender, CommandReceiver)> {
    let (ours, theirs) = UnixDatagram::pair()?;
    ours.set_nonblocking(true)?;
    let _ = setsockopt(&ours, sockopt::SndBufForce, &MAX_MESSAGE);
    Ok((CommandSender(ours), CommandReceiver(theirs)))
}

impl CommandSender {
    pub(crate) fn send(&self, command: &Command, fd: Option<BorrowedFd<'_>>) -> io::Result<()> {
        let bytes = serde_json::to_vec(command)?;
        match fd {
            Some(fd) => {
                self.0.send_with_fd(bytes.as_slice(), fd.as_raw_fd()).map_err(io::Error::from).map(drop)
            }
            None => self.0.send(&bytes).map(drop),
        }
    }
}

impl CommandReceiver {
    pub(crate) fn receive(&self) -> io::Result<(Command, Option<std::fs::File>)> {
        // Exactly as large as the message: touching every page of a large buffer is slow where page faults
        // are.
        let peek = MsgFlags::MSG_PEEK | MsgFlags::MSG_TRUNC;
        let mut buffer = vec![0; recv(self.0.as_raw_fd(), &mut [], peek)?];
        let (length, file) = self.0.recv_with_fd(&mut buffer)?;
        Ok((serde_json::from_slice(&buffer[..length])?, file))
    }
}

pub(crate) fn is_upcall(kind: &EventKind) -> bool {
    matches!(kind, EventKind::UpcallSignal(siginfo) if siginfo.signal == 0 || siginfo.code == crate::sys::signals::SI_KEYAGENT)
}
