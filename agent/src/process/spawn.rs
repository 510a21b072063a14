//! How a process of a plan comes to be.
//!
//! The parent forks. The child takes its session keyring and enters its namespaces, in the plan's order; where pid
//! namespaces are concerned it forks once more (`CLONE_PARENT`, so that the process has the right parent). Meanwhile it
//! talks with the parent, which alone can write the id maps, over a socket that closes if it dies.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::prctl;
use nix::unistd::{ForkResult, Pid};
use scenarios::plan::{IdRange, Ids, Namespace, Process, Session};
use serde::{Deserialize, Serialize};

use super::credentials::{Credentials, limit};
use super::{ProcessContext, loopback};
use crate::ipc::SpawnRequest;
use crate::keyring::{self, KeySerial, Special};
use crate::sys::errno;
use crate::sys::prefault;
use crate::sys::process::{exit_now, fork, reap};
use crate::sys::procfs;

/// What the child says to the parent.
#[derive(Debug, Serialize, Deserialize)]
enum SetupMessage {
    /// It is in a user namespace of its own, and this is its pid in the initial one.
    NeedsIdMaps(i32),
    /// The process has these pids, the initial namespace's first.
    Pids(Vec<i32>),
    /// It is all that it should be.
    Ready,
    /// It can't be.
    Failed(String),
}

/// Which of the two a birth returns in.
pub(crate) enum Forked {
    /// The parent: the child's pid as the parent sees it.
    Parent(i32),
    /// The child itself, ready to act, and its session keyring.
    Child(Option<KeySerial>),
}

/// Starts a process. `targets` are pidfds of the processes that it joins, in their order.
///
/// # Errors
/// What could not be done, in the parent; the child is gone then.
pub(crate) fn spawn(
    request: &SpawnRequest,
    targets: &[File],
    context: &ProcessContext,
) -> Result<Forked, String> {
    let (ours, theirs) = UnixStream::pair().map_err(|why| format!("no socket for a new process: {why}"))?;
    let forked = fork_as(request.pid);
    prefault::copy_shared_pages();
    match forked {
        Err(errno) => Err(format!("fork: {}", errno::name(errno))),
        Ok(ForkResult::Parent { child }) => {
            drop(theirs);
            let born = supervise(ours, &request.process, context.depth);
            if born.as_ref() != Ok(&child.as_raw()) {
                reap(child.as_raw());
            }
            born.map(Forked::Parent)
        }
        Ok(ForkResult::Child) => {
            drop(ours);
            let mut setup = ChildSetup { to_parent: theirs, process: &request.process };
            match setup.run(request, targets, context) {
                Ok(session) => Ok(Forked::Child(session)),
                Err(why) => setup.fail(why),
            }
        }
    }
}

/// fork(2); the child has this pid, if one is given: EEXIST if somebody else has it.
fn fork_as(pid: Option<i32>) -> Result<ForkResult, Errno> {
    let Some(pid) = pid else { return fork() };
    // SAFETY: all zeroes is a valid clone_args.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.exit_signal = libc::SIGCHLD as u64;
    args.set_tid = &raw const pid as u64;
    args.set_tid_size = 1;
    // SAFETY: without CLONE_VM and with no stack of its own the child goes on like one of fork(2); there is one thread. The
    // arguments, and the pid that they point to, are borrowed over the call.
    let child = unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of::<libc::clone_args>()) };
    Ok(match Errno::result(child)? {
        0 => ForkResult::Child,
        child => ForkResult::Parent { child: Pid::from_raw(child as i32) },
    })
}

/// The parent's part: writes id maps and waits until the process is ready.
fn supervise(mut child: UnixStream, process: &Process, depth: usize) -> Result<i32, String> {
    let reader = child.try_clone().map_err(|why| why.to_string())?;
    let mut pid = None;
    for line in BufReader::new(reader).lines() {
        let line = line.map_err(|why| why.to_string())?;
        match serde_json::from_str(&line).map_err(|why| why.to_string())? {
            SetupMessage::NeedsIdMaps(pid) => {
                write_maps(pid, process).map_err(|why| format!("{}: id maps: {why}", process.name))?;
                child.write_all(b"\n").map_err(|why| why.to_string())?;
            }
            SetupMessage::Pids(pids) => pid = pids.get(depth).copied(),
            SetupMessage::Ready => return pid.ok_or_else(|| format!("{}: has no pid", process.name)),
            SetupMessage::Failed(why) => {
                pid.into_iter().for_each(reap);
                return Err(format!("{}: {why}", process.name));
            }
        }
    }
    Err(format!("{}: ended while it was being set up", process.name))
}

fn write_maps(pid: i32, process: &Process) -> io::Result<()> {
    let proc = Path::new("/proc").join(pid.to_string());
    fs::write(proc.join("uid_map"), map(&process.uid_map))?;
    match fs::write(proc.join("gid_map"), map(&process.gid_map)) {
        // A parent without CAP_SETGID may map its own group only if setgroups(2) is given up.
        Err(why) if why.raw_os_error() == Some(libc::EPERM) => {
            fs::write(proc.join("setgroups"), "deny")?;
            fs::write(proc.join("gid_map"), map(&process.gid_map))
        }
        written => written,
    }
}

/// The kernel takes a map in one write.
fn map(ranges: &[IdRange]) -> String {
    ranges.iter().map(|range| format!("{} {} {}\n", range.inside, range.outside, range.count)).collect()
}

/// The child before it is a process of the plan.
struct ChildSetup<'a> {
    to_parent: UnixStream,
    process: &'a Process,
}

/// Names what failed.
fn at<T>(what: &str, result: Result<T, Errno>) -> Result<T, String> {
    result.map_err(|errno| format!("{what}: {}", errno::name(errno)))
}

fn own_pids(context: &ProcessContext) -> Result<Vec<i32>, String> {
    procfs::pids(&context.proc, "self").map_err(|why| format!("own pids: {why}"))
}

impl ChildSetup<'_> {
    fn run(
        &mut self,
        request: &SpawnRequest,
        targets: &[File],
        context: &ProcessContext,
    ) -> Result<Option<KeySerial>, String> {
        let session = self.session(context)?;
        self.hold(&request.holds, context)?;
        let enters_user = self.join(targets)? | self.unshare_user(context)?;
        self.unshare_rest()?;
        self.send(&SetupMessage::Pids(own_pids(context)?))?;
        self.set_up_namespaces()?;
        self.take_on_ids(enters_user)?;
        self.send(&SetupMessage::Ready)?;
        Ok(session)
    }

    fn session(&self, context: &ProcessContext) -> Result<Option<KeySerial>, String> {
        match self.process.session {
            Session::Inherited => Ok(context.session),
            Session::Fresh => at("session keyring", keyring::join_session_keyring(None)).map(Some),
        }
    }

    /// Links keys into the session keyring. They are possessed, and so may be linked, by way of the keyring that all may use.
    fn hold(&self, holds: &[i32], context: &ProcessContext) -> Result<(), String> {
        if holds.is_empty() {
            return Ok(());
        }
        let session = KeySerial::from(Special::Session);
        at("the lending keyring", keyring::link(context.run.lending(), session))?;
        for key in holds {
            at("a key that it holds", keyring::link(KeySerial(*key), session))?;
        }
        at("the lending keyring", keyring::unlink(context.run.lending(), session))
    }

    /// Enters the namespaces of other processes. Says whether a user namespace is among them.
    fn join(&mut self, targets: &[File]) -> Result<bool, String> {
        let process = self.process;
        let all = || process.join.iter().flat_map(|join| &join.namespaces);
        for (join, target) in process.join.iter().zip(targets) {
            let flags = join.namespaces.iter().copied().map(flag).collect::<CloneFlags>();
            at("setns", setns(target.as_fd(), flags))?;
        }
        if all().any(|namespace| *namespace == Namespace::Pid) {
            self.refork_into_pidns()?;
        }
        Ok(all().any(|namespace| *namespace == Namespace::User))
    }

    fn unshare_user(&mut self, context: &ProcessContext) -> Result<bool, String> {
        if !self.process.unshare.contains(&Namespace::User) {
            return Ok(false);
        }
        at("unshare user", unshare(CloneFlags::CLONE_NEWUSER))?;
        let pid = own_pids(context)?.first().copied().unwrap_or_default();
        self.send(&SetupMessage::NeedsIdMaps(pid))?;
        let mut answer = String::new();
        BufReader::new(&self.to_parent).read_line(&mut answer).map_err(|why| why.to_string())?;
        Ok(true)
    }

    fn unshare_rest(&mut self) -> Result<(), String> {
        let own = |namespace| self.process.unshare.contains(&namespace);
        let rest = self.process.unshare.iter().copied().filter(|namespace| *namespace != Namespace::User);
        let flags = rest.map(flag).collect::<CloneFlags>();
        at("unshare", unshare(flags))?;
        let (pid, time) = (own(Namespace::Pid), own(Namespace::Time));
        if time {
            // unshare(2) moves only children; setns(2) moves the caller.
            let clock = File::open("/proc/self/ns/time_for_children")
                .map_err(|why| format!("time namespace: {why}"))?;
            at("setns time", setns(clock, flag(Namespace::Time)))?;
        }
        if pid {
            self.refork_into_pidns()?;
        }
        Ok(())
    }

    /// Goes on in a child, which alone is in the new pid namespace and has the same parent as its forebear.
    fn refork_into_pidns(&mut self) -> Result<(), String> {
        let flags = libc::CLONE_PARENT | libc::SIGCHLD;
        // SAFETY: without CLONE_VM and with no stack of its own the child goes on like one of fork(2); there is one thread.
        let pid = unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) };
        match at("clone", Errno::result(pid))? {
            0 => prefault::copy_shared_pages(),
            _ => exit_now(0),
        }
        Ok(())
    }

    /// What namespaces of one's own come with.
    fn set_up_namespaces(&self) -> Result<(), String> {
        let own = |namespace| self.process.unshare.contains(&namespace);
        if own(Namespace::Mount) {
            let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
            at("private mounts", mount(None::<&str>, "/", None::<&str>, private, None::<&str>))?;
            if own(Namespace::Pid) {
                let safe = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
                at("mount proc", mount(Some("proc"), "/proc", Some("proc"), safe, None::<&str>))?;
            }
        }
        if own(Namespace::Net) {
            at("loopback", loopback::bring_up())?;
        }
        match &self.process.hostname {
            Some(name) => at("host name", nix::unistd::sethostname(name)),
            None => Ok(()),
        }
    }

    /// In a user namespace that it has just entered, a process that is not told otherwise is root.
    fn take_on_ids(&self, enters_user: bool) -> Result<(), String> {
        let process = self.process;
        at("limits", limit(&process.rlimits))?;
        if enters_user {
            let root =
                Credentials { uid: Some(Ids::All(0)), gid: Some(Ids::All(0)), ..Credentials::default() };
            match root.assume() {
                // The map has no root.
                Err(Errno::EINVAL) => {}
                assumed => at("root", assumed)?,
            }
        }
        let credentials = Credentials {
            uid: process.uid.map(Ids::All),
            gid: process.gid.map(Ids::All),
            capabilities: process.capabilities.as_deref(),
            ..Credentials::default()
        };
        at("ids and capabilities", credentials.assume())?;
        at("dumpable", prctl::set_dumpable(process.dumpable.unwrap_or(true)))?;
        if process.no_new_privs { at("no_new_privs", prctl::set_no_new_privs()) } else { Ok(()) }
    }

    fn send(&mut self, message: &SetupMessage) -> Result<(), String> {
        let mut line = serde_json::to_vec(message).map_err(|why| why.to_string())?;
        line.push(b'\n');
        self.to_parent.write_all(&line).map_err(|why| format!("the parent does not listen: {why}"))
    }

    fn fail(&mut self, why: String) -> ! {
        let _ = self.send(&SetupMessage::Failed(why));
        exit_now(1)
    }
}

pub(super) fn flag(namespace: Namespace) -> CloneFlags {
    match namespace {
        Namespace::User => CloneFlags::CLONE_NEWUSER,
        Namespace::Pid => CloneFlags::CLONE_NEWPID,
        Namespace::Mount => CloneFlags::CLONE_NEWNS,
        Namespace::Net => CloneFlags::CLONE_NEWNET,
        Namespace::Ipc => CloneFlags::CLONE_NEWIPC,
        Namespace::Uts => CloneFlags::CLONE_NEWUTS,
        Namespace::Cgroup => CloneFlags::CLONE_NEWCGROUP,
        Namespace::Time => CloneFlags::from_bits_retain(CLONE_NEWTIME),
    }
}

/// Shares its bit with the exit signal of clone(2), so that nix does not name it.
const CLONE_NEWTIME: i32 = 0x80;
