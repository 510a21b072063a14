//! The session keyring in which the daemon registers.

use std::ffi::CString;
use std::fs;

use keyagent::{Agent, KeySerial, SpecialKey};
use keyring::Rights;
use rustix::process::geteuid;

use super::failure::{Code, Failure, Result};
use super::log;

/// Joins the session keyring of a name, so that processes of the same user can join it as well.
pub(crate) fn join(name: &str) -> Result<()> {
    let usage = |_| Failure::new(Code::Usage, "can't join a keyring: its name contains a NUL byte");
    let cname = CString::new(name).map_err(usage)?;
    let refused =
        |why| Failure::new(Code::OsError, format!("can't join the session keyring {name:?}: {why}"));
    let keyring = keyring::join_session_keyring(Some(&cname)).map_err(refused)?;
    let described = keyring::describe(keyring).map_err(refused)?;
    // Its owner could put another agent's key in the place of this one's.
    if described.uid != geteuid().as_raw() {
        let message = format!(
            "can't join the session keyring {name:?}: it belongs to user {}; choose another name",
            described.uid
        );
        return Err(Failure::new(Code::NoPermission, message));
    }
    let mut permissions = described.permissions;
    // The kernel finds a keyring by its name only with this.
    permissions.user |= Rights::SEARCH;
    keyring::set_permissions(keyring, permissions).map_err(refused)
}

/// The session keyring's serial number.
pub(crate) fn session() -> Result<KeySerial> {
    keyring::get_keyring_id(SpecialKey::Session, true).map_err(Failure::os("find the session keyring"))
}

/// Refuses types that another process serves in the session keyring.
pub(crate) fn check_unserved(types: &[String]) -> Result<()> {
    let keys = keyring::members(SpecialKey::Session).unwrap_or_default();
    for key in keys {
        let Ok(described) = keyring::describe(key) else { continue };
        let kind = String::from_utf8_lossy(&described.description).into_owned();
        if described.kind != "keyagent" || !types.contains(&kind) {
            continue;
        }
        let agent = fs::read("/proc/keys").ok().and_then(|keys| state(&keys, key));
        if let Some(Agency { pid, is_alive: true }) = agent {
            let message = format!(
                "can't serve {kind}: process {pid} does so in this session keyring, by key {key}; end it, or use \
                 --replace to take over"
            );
            return Err(Failure::new(Code::Unavailable, message));
        }
    }
    Ok(())
}

/// The agents' keys in a keyring, which are kept while others may take their places.
#[derive(Debug)]
pub(crate) struct Predecessors {
    keyring: KeySerial,
    keys: Vec<KeySerial>,
}

impl Predecessors {
    pub(crate) fn of(keyring: KeySerial) -> Self {
        let is_agent = |key: &KeySerial| keyring::describe(*key).is_ok_and(|key| key.kind == "keyagent");
        let mut keys = keyring::members(keyring).unwrap_or_default();
        // A link of its own gives the permission to link them again.
        keys.retain(|key| is_agent(key) && keyring::link(*key, SpecialKey::Thread).is_ok());
        Self { keyring, keys }
    }

    /// Puts the keys back into their places.
    pub(crate) fn restore(&self) {
        for key in &self.keys {
            if let Err(why) = keyring::link(*key, self.keyring) {
                log::warning(&format!("can't put back key {key}, which was displaced: {why}"));
            }
        }
    }
}

impl Drop for Predecessors {
    fn drop(&mut self) {
        for key in &self.keys {
            let _ = keyring::unlink(*key, SpecialKey::Thread);
        }
    }
}

/// Whether keys of other agents have taken the places of these agents' keys in the session keyring.
pub(crate) fn are_displaced(agents: &[Agent]) -> bool {
    let keys = keyring::members(SpecialKey::Session).unwrap_or_default();
    let kinds: Vec<_> = keys.iter().filter_map(|key| keyring::describe(*key).ok()).collect();
    let is_served = |agent: &Agent| {
        kinds.iter().any(|key| key.kind == "keyagent" && key.description == agent.kind().as_bytes())
    };
    agents.iter().all(|agent| !keys.contains(&agent.key()) && is_served(agent))
}

/// The process of a keyagent key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Agency {
    /// 0 if it is not in this pid namespace.
    pid: u32,
    is_alive: bool,
}

/// Finds a keyagent key in /proc/keys.
fn state(keys: &[u8], key: KeySerial) -> Option<Agency> {
    let lines = keys.split(|byte| *byte == b'\n').filter_map(|line| std::str::from_utf8(line).ok());
    let is_key = |line: &&str| {
        line.split(' ').next().and_then(|word| i32::from_str_radix(word, 16).ok()) == Some(key.get())
    };
    let line = lines.into_iter().find(is_key)?;
    let pid = line.rsplit(' ').find_map(|word| word.strip_prefix("pid:")).and_then(|pid| pid.parse().ok());
    Some(Agency { pid: pid.unwrap_or_default(), is_alive: line.ends_with(" alive") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn process_of_a_key_is_found() {
        let keys = b"0000001e I--Q---     2 perm 1b250000     0     0 user      x: 4\n\
            0000001f I--Q---     2 perm 1b250000     0     0 keyagent  user: pid:412 sig:35 pending:3 alive\n\
            00000020 I--Q---     2 perm 1b250000     0     0 keyagent  user: pid:0 sig:35 pending:0 gone\n";
        let state = |key| state(keys, KeySerial::new(key).unwrap());
        assert_eq!(state(0x1f), Some(Agency { pid: 412, is_alive: true }));
        assert_eq!(state(0x20), Some(Agency { pid: 0, is_alive: false }));
        assert_eq!(state(0x21), None);
    }
}
