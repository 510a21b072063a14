//! Credentials and resource limits of a process.

use std::collections::BTreeMap;

use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};
use nix::unistd::{Gid, Uid, getgroups, setfsgid, setfsuid, setgroups, setresgid, setresuid};
use nix::{Result, errno::Errno};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities as capabilities_of, remove_capability_from_bounding_set,
    set_capabilities,
};
use scenarios::plan::Ids;

use crate::sys::errno;

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Credentials<'a> {
    pub(super) uid: Option<Ids>,
    pub(super) gid: Option<Ids>,
    /// Supplementary groups; `None` drops them if all ids are changed, else keeps them.
    pub(super) groups: Option<&'a [u32]>,
    pub(super) capabilities: Option<&'a [String]>,
    /// Capabilities that execve(2) preserves.
    pub(super) inheritable: &'a [String],
}

impl Credentials<'_> {
    pub(super) fn apply(self) -> Result<()> {
        let capabilities = self.capabilities.map(capability_set).transpose()?;
        if let Some(keep) = capabilities {
            for other in CapabilitySet::all().difference(keep).iter() {
                // A capability that this kernel does not know is not in the bounding set either.
                let _ = remove_capability_from_bounding_set(other);
            }
            prctl::set_keepcaps(true)?;
        }
        let whole = [self.gid, self.uid].iter().any(|ids| matches!(ids, Some(Ids::All(_))));
        match self.groups {
            Some(groups) => setgroups(&groups.iter().copied().map(Gid::from_raw).collect::<Vec<_>>())?,
            None if whole && !getgroups()?.is_empty() => setgroups(&[])?,
            None => {}
        }
        if let Some((gids, fs)) = self.gid.map(split_ids) {
            let [real, effective, saved] = gids.map(Gid::from_raw);
            setresgid(real, effective, saved)?;
            fs.map(Gid::from_raw).map(setfsgid);
        }
        if let Some((uids, fs)) = self.uid.map(split_ids) {
            let [real, effective, saved] = uids.map(Uid::from_raw);
            setresuid(real, effective, saved)?;
            fs.map(Uid::from_raw).map(setfsuid);
        }
        if capabilities.is_none() && self.inheritable.is_empty() {
            return Ok(());
        }
        let old = capabilities_of(None).map_err(errno::from_io)?;
        let keep = |old| capabilities.unwrap_or(old);
        let inheritable = capability_set(self.inheritable)?;
        let sets =
            CapabilitySets { effective: keep(old.effective), permitted: keep(old.permitted), inheritable };
        set_capabilities(None, sets).map_err(errno::from_io)
    }
}

/// Real, effective and saved id for setresuid(2), where -1 is no change; and the filesystem id.
fn split_ids(ids: Ids) -> ([u32; 3], Option<u32>) {
    match ids {
        Ids::All(id) => ([id; 3], None),
        Ids::Each { real, effective, saved, fs } => {
            ([real, effective, saved].map(|id| id.unwrap_or(u32::MAX)), fs)
        }
    }
}

/// Parses lower-case names without `CAP_`; EINVAL for an unknown name.
fn capability_set(names: &[String]) -> Result<CapabilitySet> {
    names.iter().try_fold(CapabilitySet::empty(), |set, name| {
        let capability = CapabilitySet::from_name(&name.to_uppercase()).ok_or(Errno::EINVAL)?;
        Ok(set | capability)
    })
}

/// Sets soft and hard limits by lower-case names without `RLIMIT_`.
pub(super) fn set_rlimits(limits: &BTreeMap<String, u64>) -> Result<()> {
    limits
        .iter()
        .try_for_each(|(name, value)| setrlimit(resource(name).ok_or(Errno::EINVAL)?, *value, *value))
}

fn resource(name: &str) -> Option<Resource> {
    Some(match name {
        "as" => Resource::RLIMIT_AS,
        "core" => Resource::RLIMIT_CORE,
        "cpu" => Resource::RLIMIT_CPU,
        "data" => Resource::RLIMIT_DATA,
        "fsize" => Resource::RLIMIT_FSIZE,
        "locks" => Resource::RLIMIT_LOCKS,
        "memlock" => Resource::RLIMIT_MEMLOCK,
        "msgqueue" => Resource::RLIMIT_MSGQUEUE,
        "nice" => Resource::RLIMIT_NICE,
        "nofile" => Resource::RLIMIT_NOFILE,
        "nproc" => Resource::RLIMIT_NPROC,
        "rss" => Resource::RLIMIT_RSS,
        "rtprio" => Resource::RLIMIT_RTPRIO,
        "rttime" => Resource::RLIMIT_RTTIME,
        "sigpending" => Resource::RLIMIT_SIGPENDING,
        "stack" => Resource::RLIMIT_STACK,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capability_names_are_lower_case() {
        let set = capability_set(&["sys_ptrace".to_owned(), "setuid".to_owned()]).unwrap();
        assert_eq!(set, CapabilitySet::SYS_PTRACE | CapabilitySet::SETUID);
        assert_eq!(capability_set(&["flying".to_owned()]), Err(Errno::EINVAL));
    }
}
