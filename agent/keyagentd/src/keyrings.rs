//! The session keyring in which the daemon registers.

use std::ffi::{CStr, CString};
use std::fs;

use keyagent::{Agent, KeySerial, SpecialKey};
use keyring::{Permissions, Rights};
use rustix::process::geteuid;

use super::failure::{Code, Failure, Result};
use super::log;

/// Joins the session keyring of a name, so that processes of the same user can join it as well. Returns the keyring for
/// agents' keys in it.
///
/// That one has a name as well. So a daemon finds it if it was started again, though nobody but those that are served
/// has kept it.
pub(crate) fn join(name: &str) -> Result<KeySerial> {
    let refused = Failure::keys(format!("use the keyring {name:?}"));
    let (agents, _) = enter(&format!("keyagentd:{name}"))?;
    protect(agents, Rights::all())?;
    // Kept over the change of the session keyring.
    keyring::link(agents, SpecialKey::Thread).map_err(&refused)?;
    let (session, mut permissions) = enter(name)?;
    // The kernel finds a keyring by its name only with this.
    permissions.user |= Rights::SEARCH;
    keyring::set_permissions(session, permissions).map_err(&refused)?;
    keyring::link(agents, session).map_err(&refused)?;
    let _ = keyring::unlink(agents, SpecialKey::Thread);
    Ok(agents)
}

/// Makes the keyring of a name, which must be this user's, the session keyring.
fn enter(name: &str) -> Result<(KeySerial, Permissions)> {
    let usage = |_| Failure::new(Code::Usage, "can't join a keyring: its name contains a NUL byte");
    let cname = CString::new(name).map_err(usage)?;
    let refused = Failure::keys(format!("join the session keyring {name:?}"));
    let keyring = keyring::join_session_keyring(Some(&cname)).map_err(&refused)?;
    let described = keyring::describe(keyring).map_err(&refused)?;
    // Its owner could put another agent's key in the place of this one's.
    if described.uid != geteuid().as_raw() {
        let message = format!(
            "can't join the session keyring {name:?}: it belongs to user {}; choose another name",
            described.uid
        );
        return Err(Failure::new(Code::NoPermission, message));
    }
    Ok((keyring, described.permissions))
}

/// Finds the keyring for agents' keys in the session keyring, or creates it.
pub(crate) fn shared() -> Result<KeySerial> {
    let is_shared = |key: &KeySerial| {
        keyring::describe(*key).is_ok_and(|key| {
            let (uid, kind, description) = (key.uid, key.kind.as_bytes(), key.description.as_slice());
            (uid, kind, description) == (geteuid().as_raw(), b"keyring", SHARED.to_bytes())
        })
    };
    if let Some(keyring) = members_of_session().into_iter().find(is_shared) {
        return Ok(keyring);
    }
    let keyring = create(SHARED)?;
    // A successor registers there as well.
    protect(keyring, Rights::all())?;
    Ok(keyring)
}

/// Creates a keyring in the session keyring for agents that nobody replaces. [`seal`] is to follow.
pub(crate) fn private() -> Result<KeySerial> {
    create(PRIVATE)
}

/// Ends changes of a keyring, by whomever.
pub(crate) fn seal(keyring: KeySerial) -> Result<()> {
    protect(keyring, POSSESSORS)
}

const SHARED: &CStr = c"keyagentd";
const PRIVATE: &CStr = c"keyagentd-run";

/// What all processes that are served may do with a keyring of agents. They may be other users', who must not be able
/// to end the service, or to take it over.
const POSSESSORS: Rights = Rights::VIEW.union(Rights::READ).union(Rights::SEARCH).union(Rights::LINK);

fn create(name: &CStr) -> Result<KeySerial> {
    keyring::add_key(c"keyring", name, &[], SpecialKey::Session)
        .map_err(Failure::keys("create a keyring for the agents"))
}

fn protect(keyring: KeySerial, owner: Rights) -> Result<()> {
    let permissions = Permissions { possessor: POSSESSORS, user: owner, ..Permissions::default() };
    keyring::set_permissions(keyring, permissions).map_err(Failure::keys("protect the keyring of the agents"))
}

fn members_of_session() -> Vec<KeySerial> {
    keyring::members(SpecialKey::Session).unwrap_or_default()
}

/// Refuses types that another process serves in the session keyring, or in one that is nested in it. Keys in
/// `replaced` are left out.
pub(crate) fn check_unserved(types: &[String], replaced: Option<KeySerial>) -> Result<()> {
    let members = members_of_session();
    let is_keyring = |key: &KeySerial| keyring::describe(*key).is_ok_and(|key| key.kind == "keyring");
    let nested = members.iter().filter(|key| Some(**key) != replaced && is_keyring(key));
    let nested = nested.filter_map(|key| keyring::members(*key).ok()).flatten();
    for key in members.iter().copied().chain(nested) {
        let Ok(described) = keyring::describe(key) else { continue };
        let kind = String::from_utf8_lossy(&described.description).into_owned();
        if described.kind != "keyagent" || !types.contains(&kind) {
            continue;
        }
        let agent = fs::read("/proc/keys").ok().and_then(|keys| state(&keys, key));
        let by = match agent {
            Some(Agency { is_alive: false, .. }) => continue,
            Some(Agency { pid, .. }) => format!("process {pid} does so"),
            None => "a process may do so, and /proc/keys does not tell,".to_owned(),
        };
        let remedy =
            if replaced.is_some() { "end it first" } else { "end it, or use --replace to take over" };
        let message = format!("can't serve {kind}: {by} in this session keyring, by key {key}; {remedy}");
        return Err(Failure::new(Code::Unavailable, message));
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

/// Whether keys of other agents have taken the places of these agents' keys in a keyring.
pub(crate) fn are_displaced(agents: &[Agent], keyring: KeySerial) -> bool {
    let keys = keyring::members(keyring).unwrap_or_default();
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

/// Finds a keyagent key in /proc/keys. `None` if two lines seem to be the key's: descriptions of other users' keys may
/// contain line breaks.
fn state(keys: &[u8], key: KeySerial) -> Option<Agency> {
    let lines = keys.split(|byte| *byte == b'\n').filter_map(|line| std::str::from_utf8(line).ok());
    let is_key = |line: &&str| {
        line.split(' ').next().and_then(|word| i32::from_str_radix(word, 16).ok()) == Some(key.get())
    };
    let mut lines = lines.filter(is_key);
    let (line, None) = (lines.next()?, lines.next()) else { return None };
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

    #[test]
    fn line_in_a_description_is_not_taken_for_the_keys() {
        let keys = b"0000001e I--Q---     1 perm 3f3f3f3f  1000     0 user      x\n\
            00000020 I--Q---     2 perm 1b250000     0     0 keyagent  user: pid:412 sig:35 pending:0 gone\n: 1\n\
            00000020 I--Q---     2 perm 1b250000     0     0 keyagent  user: pid:412 sig:35 pending:3 alive\n";
        assert_eq!(state(keys, KeySerial::new(0x20).unwrap()), None);
    }
}
