//! Who a process is: its ids, capabilities, limits and flags.

use std::collections::BTreeMap;

use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};
use nix::unistd::{Gid, Uid, getgroups, setgroups, setresgid, setresuid};
use rustix::thread::{CapabilitySet, CapabilitySets, remove_capability_from_bounding_set, set_capabilities};

/// Ids and capabilities to take on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Person<'a> {
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
    pub(super) capabilities: Option<&'a [String]>,
}

impl Person<'_> {
    /// Becomes that person, for good.
    pub(super) fn assume(self) -> Result<(), Errno> {
        let capabilities = self.capabilities.map(capability_set).transpose()?;
        if let Some(keep) = capabilities {
            for other in CapabilitySet::all().difference(keep).iter() {
                // One that this kernel does not know is not in the set either.
                let _ = remove_capability_from_bounding_set(other);
            }
            prctl::set_keepcaps(true)?;
        }
        if self.gid.is_some() || self.uid.is_some() {
            drop_groups()?;
        }
        if let Some(gid) = self.gid.map(Gid::from_raw) {
            setresgid(gid, gid, gid)?;
        }
        if let Some(uid) = self.uid.map(Uid::from_raw) {
            setresuid(uid, uid, uid)?;
        }
        if let Some(keep) = capabilities {
            let sets =
                CapabilitySets { effective: keep, permitted: keep, inheritable: CapabilitySet::empty() };
            set_capabilities(None, sets).map_err(|error| Errno::from_raw(error.raw_os_error()))?;
        }
        Ok(())
    }
}

fn drop_groups() -> Result<(), Errno> {
    if getgroups()?.is_empty() { Ok(()) } else { setgroups(&[]) }
}

/// Capabilities by their names without `CAP_`, in lower case. EINVAL: there is no such name.
fn capability_set(names: &[String]) -> Result<CapabilitySet, Errno> {
    names.iter().try_fold(CapabilitySet::empty(), |set, name| {
        let capability = CapabilitySet::from_name(&name.to_uppercase()).ok_or(Errno::EINVAL)?;
        Ok(set | capability)
    })
}

/// Sets limits by their names without `RLIMIT_`, in lower case, soft and hard alike.
pub(super) fn limit(limits: &BTreeMap<String, u64>) -> Result<(), Errno> {
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
    fn capabilities_go_by_their_lower_case_names() {
        let set = capability_set(&["sys_ptrace".to_owned(), "setuid".to_owned()]).unwrap();
        assert_eq!(set, CapabilitySet::SYS_PTRACE | CapabilitySet::SETUID);
        assert_eq!(capability_set(&["flying".to_owned()]), Err(Errno::EINVAL));
    }
}
