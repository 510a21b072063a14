//! Operations that enter or create namespaces.

use std::fs::File;
use std::io::Write;

use nix::fcntl::{OFlag, openat};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::stat::Mode;
use nix::{Result, errno::Errno};
use scenarios::plan::{Namespace, Op};
use scenarios::wire::Outcome;

use super::{done, misplaced};
use crate::process::{PlanProcess, spawn};
use crate::sys::{errno, process::pidfd_open};

impl PlanProcess<'_> {
    /// `pids` are those of the process whose namespaces are entered.
    pub(super) fn namespace_op(&mut self, op: &Op, pids: &[i32]) -> Outcome {
        let flags = |kinds: &[Namespace]| kinds.iter().copied().map(spawn::flag).collect::<CloneFlags>();
        done(match op {
            Op::Enter { namespaces, .. } => {
                let pidfd = pids.first().ok_or(Errno::ESRCH).and_then(|pid| pidfd_open(*pid));
                pidfd.and_then(|pidfd| setns(pidfd, flags(namespaces)))
            }
            Op::Unshare { namespaces } => self.unshare(flags(namespaces), namespaces),
            _ => return misplaced(op),
        })
    }

    fn unshare(&self, flags: CloneFlags, namespaces: &[Namespace]) -> Result<()> {
        let (uid, gid) = (nix::unistd::geteuid(), nix::unistd::getegid());
        unshare(flags)?;
        if namespaces.contains(&Namespace::User) {
            // An unprivileged process may map its own ids, its group only after denying setgroups(2).
            self.write("setgroups", "deny")?;
            self.write("uid_map", &format!("0 {uid} 1"))?;
            self.write("gid_map", &format!("0 {gid} 1"))?;
        }
        Ok(())
    }

    fn write(&self, file: &str, text: &str) -> Result<()> {
        let path = format!("self/{file}");
        let file =
            openat(&self.context.proc, path.as_str(), OFlag::O_WRONLY | OFlag::O_CLOEXEC, Mode::empty())?;
        let written = File::from(file).write_all(text.as_bytes());
        written.map_err(errno::from_io)
    }
}
