//! Which keys there are, whoever they belong to, and which of them a plan has left behind (R26).

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::{Duration, Instant};

use nix::unistd::{Uid, setfsuid};
use scenarios::wire::ProcKey;

use crate::keyring::{self, KeySerial};
use crate::procfs;

/// How long collection may take after `kernel.keys.gc_delay`, which is one second in the guest.
const PATIENCE: Duration = Duration::from_secs(4);

/// A count of keys.
pub(super) struct Census {
    seen: BTreeMap<i32, ProcKey>,
    /// Keys of each user that nobody was shown.
    unseen: BTreeMap<u32, i64>,
}

impl Census {
    /// Counts. /proc/keys shows a key to those who may view it, so every owner has a look.
    pub(super) fn take() -> io::Result<Self> {
        let users = procfs::key_users()?;
        let mut seen = BTreeMap::new();
        for user in &users {
            setfsuid(Uid::from_raw(user.uid));
            let keys = procfs::keys();
            setfsuid(Uid::from_raw(0));
            seen.extend(keys?.into_iter().map(|key| (key.serial, key)));
        }
        let of = |uid| seen.values().filter(|key: &&ProcKey| key.uid == uid).count() as i64;
        let unseen = users.iter().map(|user| (user.uid, i64::from(user.keys) - of(user.uid))).collect();
        Ok(Self { seen, unseen })
    }

    pub(super) fn serials(&self) -> BTreeSet<i32> {
        self.seen.keys().copied().collect()
    }

    pub(super) fn has(&self, serial: i32) -> bool {
        self.seen.contains_key(&serial)
    }

    /// What is here and was not there `before`.
    fn left_since(&self, before: &Self) -> Vec<ProcKey> {
        let new = self.seen.values().filter(|key| !before.has(key.serial) && !is_a_users_own(key));
        let hidden = self.unseen.iter().filter_map(|(uid, count)| {
            let more = count - before.unseen.get(uid).unwrap_or(&0);
            (more > 0).then(|| unseen_keys(*uid, more))
        });
        new.cloned().chain(hidden).collect()
    }
}

/// Empties the users' own keyrings, which outlive every process, and waits until all keys since `before` are gone.
///
/// Returns those that stay.
pub(super) fn leftovers(before: &Census) -> io::Result<Vec<ProcKey>> {
    let begun = Instant::now();
    loop {
        let now = Census::take()?;
        for key in now.seen.values().filter(|key| is_a_users_own(key)) {
            setfsuid(Uid::from_raw(key.uid));
            // Those of another user namespace go away with it.
            let _ = empty(KeySerial(key.serial));
            setfsuid(Uid::from_raw(0));
        }
        let left = now.left_since(before);
        if left.is_empty() || begun.elapsed() > PATIENCE {
            return Ok(left);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Takes everything out that is not itself one of the user's own keyrings.
fn empty(keyring: KeySerial) -> Result<(), keyring::Errno> {
    for member in keyring::members(keyring)? {
        let own = keyring::describe(member)
            .is_ok_and(|text| text.starts_with("keyring;") && text.contains(";_uid"));
        if !own {
            keyring::unlink(member, keyring)?;
        }
    }
    Ok(())
}

/// Keyrings that a stock kernel keeps for a user from first use on (`look_up_user_keyrings()`).
fn is_a_users_own(key: &ProcKey) -> bool {
    let names = ["_uid.", "_uid_ses.", ".user_reg", "_persistent.", ".persistent_register"];
    key.kind == "keyring" && names.iter().any(|name| key.summary.starts_with(name))
}

fn unseen_keys(uid: u32, count: i64) -> ProcKey {
    ProcKey {
        serial: 0,
        flags: String::new(),
        usage: 0,
        timeout: String::new(),
        perm: 0,
        uid,
        gid: -1,
        kind: String::new(),
        summary: format!("{count} more of this user's keys, which nobody may view"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(serial: i32, summary: &str) -> (i32, ProcKey) {
        (
            serial,
            ProcKey { serial, kind: "keyring".to_owned(), summary: summary.to_owned(), ..unseen_keys(0, 0) },
        )
    }

    #[test]
    fn users_own_keyrings_are_not_left_behind_but_hidden_keys_are() {
        let before = Census { seen: BTreeMap::from([key(1, "_ses: 1")]), unseen: BTreeMap::from([(0, 1)]) };
        let seen = BTreeMap::from([key(1, "_ses: 1"), key(2, "_uid.7: empty"), key(3, "_ses: 2")]);
        let after = Census { seen, unseen: BTreeMap::from([(0, 1), (7, 2)]) };
        let left = after.left_since(&before);
        assert_eq!(left.iter().map(|key| (key.serial, key.uid)).collect::<Vec<_>>(), [(3, 0), (0, 7)]);
    }
}
