//! What PID 1 and the processes of a plan say to each other, and how.
//!
//! Commands go to each process over a socket of its own. Reports of all processes go through one socket, so that PID 1
//! hears of things in the order in which they happened.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use nix::sys::socket::{MsgFlags, recv, setsockopt, sockopt};
use scenarios::plan::{KeyRef, Op, Process};
use scenarios::wire::{Done, Event, What};
use serde::{Deserialize, Serialize};
use vmm_sys_util::sock_ctrl_msg::ScmSocket;

/// Where PID 1 takes reports: the stock upcall, which nobody of the plan has started, finds it here.
pub(crate) const REPORT_SOCKET: &str = "/run/reports";

/// Room for the largest message: a key's payload of a megabyte, in hexadecimal digits.
const MAX_MESSAGE: usize = 4 << 20;

/// What PID 1 tells a process.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Command {
    /// Do this.
    Run(Task),
    /// What stands for a key in this process's reactions now has this serial.
    SetKey(KeyRef, i32),
    /// A pidfd of a process whose namespaces the next child joins comes with the message.
    JoinTarget,
    /// Start a process as a child.
    Spawn(Box<SpawnRequest>),
    /// Serve every upcall that is already there, and say when that is done.
    Quiesce,
    /// Reap this child, which has been left as a zombie.
    Reap(String),
}

/// An operation, ready to be carried out.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Task {
    /// The step that it belongs to; set-up otherwise.
    pub(crate) step: Option<usize>,
    /// What to do, its variables replaced.
    pub(crate) op: Op,
    /// Pids of those that a signal goes to, as the process sees them.
    pub(crate) pids: Vec<i32>,
    /// How many workers do it in the background. None: the process itself does it.
    pub(crate) workers: Option<u32>,
    /// Which round of a repeated block it is.
    pub(crate) round: Option<u32>,
    /// When it is to begin, in microseconds since the plan was begun: it races with others.
    pub(crate) at_us: Option<u64>,
    /// A keyring to put the key into that it gives: processes yet to start will hold it, and get it there.
    pub(crate) lend: Option<i32>,
}

/// A process to start.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SpawnRequest {
    /// What it is.
    pub(crate) process: Process,
    /// Serials of the keys that it holds.
    pub(crate) holds: Vec<i32>,
    /// The pid that it gets, as its parent sees it. None: any.
    pub(crate) pid: Option<i32>,
}

/// What a process tells PID 1.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Report {
    /// For the host, too.
    Event(Event),
    /// All workers of this background step have been let go.
    WorkersReleased(usize),
    /// This child was to be reaped, and it went so.
    ChildReaped(String, Done),
    /// This keyagent has served all upcalls that were there.
    Quiesced(String),
    /// A child could not be started, or a part of the testbed failed.
    Failed(String),
}

/// The way to PID 1's ear.
#[derive(Debug)]
pub(crate) struct ReportSender(UnixDatagram);

impl ReportSender {
    /// Finds PID 1.
    pub(crate) fn connect(path: &Path) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.connect(path)?;
        // Raising the limit takes CAP_NET_ADMIN; a small message goes through without it.
        let _ = setsockopt(&socket, sockopt::SndBufForce, &MAX_MESSAGE);
        Ok(Self(socket))
    }

    /// Takes over a socket that was kept open across execve.
    pub(crate) fn adopt(fd: OwnedFd) -> Self {
        Self(fd.into())
    }

    /// Says it. Waits while PID 1 has much to read.
    pub(crate) fn send(&self, report: &Report) -> io::Result<()> {
        let bytes = serde_json::to_vec(report)?;
        loop {
            match self.0.send(&bytes) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                sent => return sent.map(drop),
            }
        }
    }

    /// Says what happened.
    pub(crate) fn send_event(&self, event: Event) -> io::Result<()> {
        self.send(&Report::Event(event))
    }

    /// The socket, to keep it open across execve.
    pub(crate) fn socket(&self) -> &UnixDatagram {
        &self.0
    }
}

/// PID 1's ear.
pub(crate) struct ReportReceiver {
    socket: UnixDatagram,
    buffer: Vec<u8>,
}

impl ReportReceiver {
    /// Opens it at `path`, for everybody.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        use std::os::unix::fs::PermissionsExt;
        let socket = UnixDatagram::bind(path)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666))?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, buffer: vec![0; MAX_MESSAGE] })
    }

    /// The next report, if there is one.
    pub(crate) fn take(&mut self) -> io::Result<Option<Report>> {
        match self.socket.recv(&mut self.buffer) {
            Ok(length) => Ok(Some(serde_json::from_slice(&self.buffer[..length])?)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// To wait on.
    pub(crate) fn socket(&self) -> &UnixDatagram {
        &self.socket
    }
}

/// PID 1's end of the way to a process. Sending never blocks.
#[derive(Debug)]
pub(crate) struct CommandSender(UnixDatagram);

/// The process's end.
#[derive(Debug)]
pub(crate) struct CommandReceiver(UnixDatagram);

/// A way from PID 1 to a process that is going to be.
pub(crate) fn command_channel() -> io::Result<(CommandSender, CommandReceiver)> {
    let (ours, theirs) = UnixDatagram::pair()?;
    ours.set_nonblocking(true)?;
    let _ = setsockopt(&ours, sockopt::SndBufForce, &MAX_MESSAGE);
    Ok((CommandSender(ours), CommandReceiver(theirs)))
}

impl CommandSender {
    /// Tells it, and hands a descriptor over.
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
    /// Takes over a socket that was kept open across execve.
    pub(crate) fn adopt(fd: OwnedFd) -> Self {
        Self(fd.into())
    }

    /// The next command, which is waited for.
    pub(crate) fn receive(&self) -> io::Result<(Command, Option<std::fs::File>)> {
        // Room for what comes and no more: a process that touches every page of a large buffer is slow where faults are.
        let peek = MsgFlags::MSG_PEEK | MsgFlags::MSG_TRUNC;
        let mut buffer = vec![0; recv(self.0.as_raw_fd(), &mut [], peek)?];
        let (length, file) = self.0.recv_with_fd(&mut buffer)?;
        Ok((serde_json::from_slice(&buffer[..length])?, file))
    }

    /// The socket, to wait on and to keep open across execve.
    pub(crate) fn socket(&self) -> &UnixDatagram {
        &self.0
    }
}

/// Whether something that happened is an upcall heard by a keyagent.
pub(crate) fn is_upcall(what: &What) -> bool {
    matches!(what, What::Doorbell(bell) if bell.signal == 0 || bell.code == crate::sys::signals::SI_KEYAGENT)
}
