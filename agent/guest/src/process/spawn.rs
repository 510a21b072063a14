//! Spawns a process of a plan.
//!
//! The parent forks. The child links its keys and enters its namespaces in the plan's order. For pid
//! namespaces it forks again with `CLONE_PARENT`, which keeps the parent. Only the parent can write the id
//! maps, so both talk over a socket.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;

use keyring::{KeyId, KeySerial, SpecialKey};
use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::prctl;
use nix::unistd::{ForkResult, Pid};
use scenarios::plan::{IdRange, Ids, Namespace, Process, Session};
use serde::{Deserialize, Serialize};

use super::credentials::{Credentials, set_rlimits};
use super::{ProcessContext, loopback, own_files};
use crate::ipc::SpawnRequest;
use crate::sys::process::{exit_now, fork, reap};
use crate::sys::{errno, prefault, procfs};

/// A message from the child to the parent during set-up.
#[derive(Debug, Serialize, Deserialize)]
enum SetupMessage {
    /// The child waits for its id maps; its pid in the initial namespace.
    NeedsIdMaps(i32),
    /// The process's pids, from the initial namespace inwards.
    Pids(Vec<i32>),
    Ready,
    Failed(String),
}

/// The two returns of a fork.
pub(crate) enum Forked {
    /// In the parent: the child's pid in the parent's namespace.
    Parent(i32),
    /// In the child, which is set up: its session keyring.
    Child(Option<KeySerial>),
}

/// Spawns a process. `targets` are pidfds of the processes that it joins, in the plan's order.
///
/// # Errors
/// The failed call, in the parent. The child is reaped.
pub(crate) fn spawn(
    request: &SpawnRequest,
    targets: &[File],
    context: &ProcessContext,
) -> Result<Forked, String> {
    let (ours, theirs) = UnixStream::pair().map_err(|why| format!("can't create a socket pair: {why}"))?;
    let forked = fork_as(request.pid);
    prefault::copy_shared_pages();
    match forked {
        Err(errno) => Err(format!("fork: {}", errno::name(errno))),
        Ok(ForkResult::Parent { child }) => {
            drop(theirs);
            let pid = supervise(ours, &request.process, context.depth);
            if pid.as_ref() != Ok(&child.as_raw()) {
                reap(child.as_raw());
            }
            pid.map(Forked::Parent)
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

/// fork(2) with a chosen pid for the child; EEXIST if the pid is in use.
fn fork_as(pid: Option<i32>) -> Result<ForkResult, Errno> {
    let Some(pid) = pid else { return fork() };
    // SAFETY: all zeroes is a valid clone_args.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.exit_signal = libc::SIGCHLD as u64;
    args.set_tid = &raw const pid as u64;
    args.set_tid_size = 1;
    // SAFETY: without CLONE_VM and a stack the child continues as after fork(2), from the only thread.
    // Arguments and pid are borrowed over the call.
    let child = unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of::<libc::clone_args>()) };
    Ok(match Errno::result(child)? {
        0 => ForkResult::Child,
        child => ForkResult::Parent { child: Pid::from_raw(child as i32) },
    })
}

/// The parent's part: writes id maps, and waits until the child is set up.
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
    Err(format!("{}: exited during set-up", process.name))
}

fn write_maps(pid: i32, process: &Process) -> io::Result<()> {
    let proc = Path::new("/proc").join(pid.to_string());
    fs::write(proc.join("uid_map"), id_map(&process.uid_map))?;
    match fs::write(proc.join("gid_map"), id_map(&process.gid_map)) {
        // Without CAP_SETGID a parent may map its own group, after denying setgroups(2).
        Err(why) if why.raw_os_error() == Some(libc::EPERM) => {
            fs::write(proc.join("setgroups"), "deny")?;
            fs::write(proc.join("gid_map"), id_map(&process.gid_map))
        }
        written => written,
    }
}

/// The kernel takes a map in one write.
fn id_map(ranges: &[IdRange]) -> String {
    ranges.iter().map(|range| format!("{} {} {}\n", range.inside, range.outside, range.count)).collect()
}

/// The child's part of the set-up.
struct ChildSetup<'a> {
    to_parent: UnixStream,
    process: &'a Process,
}

/// Adds the failed call's name.
fn during<T, E: Into<io::Error>>(what: &str, result: Result<T, E>) -> Result<T, String> {
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
        self.set_label()?;
        let session = self.session(context)?;
        self.link_session_keys(&request.session_keys, context)?;
        let enters_user = self.join_namespaces(targets)? | self.unshare_user(context)?;
        self.unshare_rest()?;
        self.send(&SetupMessage::Pids(own_pids(context)?))?;
        self.set_up_namespaces()?;
        self.apply_limits_and_root(enters_user)?;
        own_files::write(&self.process.files)?;
        self.apply_credentials()?;
        self.send(&SetupMessage::Ready)?;
        Ok(session)
    }

    fn set_label(&self) -> Result<(), String> {
        match &self.process.label {
            Some(label) => fs::write("/proc/self/attr/smack/current", label)
                .map_err(|why| format!("security label {label:?}: {why}")),
            None => Ok(()),
        }
    }

    fn session(&self, context: &ProcessContext) -> Result<Option<KeySerial>, String> {
        match self.process.session {
            Session::Inherited => Ok(context.session),
            Session::Fresh => during("session keyring", keyring::join_session_keyring(None)).map(Some),
        }
    }

    /// Links keys into the session keyring. The lending keyring is linked meanwhile, so that the process
    /// possesses the keys.
    fn link_session_keys(&self, keys: &[i32], context: &ProcessContext) -> Result<(), String> {
        if keys.is_empty() {
            return Ok(());
        }
        let session = SpecialKey::Session;
        during("the lending keyring", keyring::link(context.run.lending, session))?;
        for key in keys {
            during("a key for its session keyring", keyring::link(KeyId::from_raw(*key), session))?;
        }
        during("the lending keyring", keyring::unlink(context.run.lending, session))
    }

    /// Enters the namespaces of other processes. Returns whether a user namespace is among them.
    fn join_namespaces(&mut self, targets: &[File]) -> Result<bool, String> {
        let process = self.process;
        let all = || process.join.iter().flat_map(|join| &join.namespaces);
        for (join, target) in process.join.iter().zip(targets) {
            let flags = join.namespaces.iter().copied().map(flag).collect::<CloneFlags>();
            during("setns", setns(target.as_fd(), flags))?;
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
        during("unshare user", unshare(CloneFlags::CLONE_NEWUSER))?;
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
        during("unshare", unshare(flags))?;
        let (pid, time) = (own(Namespace::Pid), own(Namespace::Time));
        if time {
            // unshare(2) moves only future children; setns(2) moves the caller.
            let clock = File::open("/proc/self/ns/time_for_children")
                .map_err(|why| format!("time namespace: {why}"))?;
            during("setns time", setns(clock, flag(Namespace::Time)))?;
        }
        if pid {
            self.refork_into_pidns()?;
        }
        Ok(())
    }

    /// Continues in a sibling, since a new pid namespace takes only new processes.
    fn refork_into_pidns(&mut self) -> Result<(), String> {
        let flags = libc::CLONE_PARENT | libc::SIGCHLD;
        // SAFETY: without CLONE_VM and a stack the child continues as after fork(2), from the only thread.
        let pid = unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) };
        match during("clone", Errno::result(pid))? {
            0 => prefault::copy_shared_pages(),
            _ => exit_now(0),
        }
        Ok(())
    }

    /// Sets up new namespaces: private mounts, /proc, the loopback interface, the host name.
    fn set_up_namespaces(&self) -> Result<(), String> {
        let own = |namespace| self.process.unshare.contains(&namespace);
        if own(Namespace::Mount) {
            let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
            during("private mounts", mount(None::<&str>, "/", None::<&str>, private, None::<&str>))?;
            if own(Namespace::Pid) {
                let safe = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
                during("mount proc", mount(Some("proc"), "/proc", Some("proc"), safe, None::<&str>))?;
            }
        }
        if own(Namespace::Net) {
            during("loopback", loopback::bring_up())?;
        }
        match &self.process.hostname {
            Some(name) => during("host name", nix::unistd::sethostname(name)),
            None => Ok(()),
        }
    }

    /// Applies limits. In a new user namespace, makes the process root.
    fn apply_limits_and_root(&self, enters_user: bool) -> Result<(), String> {
        during("limits", set_rlimits(&self.process.rlimits))?;
        if !enters_user {
            return Ok(());
        }
        let root = Credentials { uid: Some(Ids::All(0)), gid: Some(Ids::All(0)), ..Credentials::default() };
        match root.apply() {
            // The map has no root.
            Err(Errno::EINVAL) => Ok(()),
            assumed => during("root", assumed),
        }
    }

    /// Applies ids and capabilities.
    fn apply_credentials(&self) -> Result<(), String> {
        let process = self.process;
        let credentials = Credentials {
            uid: process.uid.map(Ids::All),
            gid: process.gid.map(Ids::All),
            capabilities: process.capabilities.as_deref(),
            ..Credentials::default()
        };
        during("ids and capabilities", credentials.apply())?;
        during("dumpable", prctl::set_dumpable(process.dumpable.unwrap_or(true)))?;
        if process.no_new_privs { during("no_new_privs", prctl::set_no_new_privs()) } else { Ok(()) }
    }

    fn send(&mut self, message: &SetupMessage) -> Result<(), String> {
        let mut line = serde_json::to_vec(message).map_err(|why| why.to_string())?;
        line.push(b'\n');
        self.to_parent.write_all(&line).map_err(|why| format!("the parent is gone: {why}"))
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

/// nix does not name it, since it shares its bit with clone(2)'s exit signal.
const CLONE_NEWTIME: i32 = 0x80;
