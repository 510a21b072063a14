//! Leak check: finds keys and quota charges that a plan leaves behind (R26).

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::{Duration, Instant};

use keyring::{Errno, KeySerial};
use nix::unistd::{Uid, setfsuid};
use scenarios::wire::{KeyUser, ProcKey};

use crate::sys::procfs;

/// Time limit for collection beyond `kernel.keys.gc_delay`, which is one second in the guest. Keys of a
/// network namespace go with it, and that takes seconds on a busy debug kernel.
const GC_TIMEOUT: Duration = Duration::from_secs(15);

/// Pause between two snapshots. Most keys go at once, and the rest not before `gc_delay` has passed.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(40);

/// All keys in the kernel.
pub(super) struct KeySnapshot {
    seen: BTreeMap<i32, ProcKey>,
    /// Number of each user's keys that no user may view.
    hidden_counts: BTreeMap<u32, i64>,
}

impl KeySnapshot {
    /// Takes a snapshot. /proc/keys shows only keys that its reader may view, so it is read as every owner.
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
        let hidden_counts =
            users.iter().map(|user| (user.uid, i64::from(user.keys) - of(user.uid))).collect();
        Ok(Self { seen, hidden_counts })
    }

    pub(super) fn serials(&self) -> BTreeSet<i32> {
        self.seen.keys().copied().collect()
    }

    pub(super) fn has(&self, serial: i32) -> bool {
        self.seen.contains_key(&serial)
    }

    /// Returns true if the key's line contains this text in its flags, its timeout or the columns after
    /// the type.
    pub(super) fn shows(&self, serial: i32, text: &str) -> bool {
        let key = self.seen.get(&serial);
        key.is_some_and(|key| format!("{} {} {}", key.flags, key.timeout, key.summary).contains(text))
    }

    fn leaked_since(&self, before: &Self) -> Vec<ProcKey> {
        let new = self.seen.values().filter(|key| !before.has(key.serial) && !is_user_keyring(key));
        let hidden = self.hidden_counts.iter().filter_map(|(uid, count)| {
            let more = count - before.hidden_counts.get(uid).unwrap_or(&0);
            (more > 0)
                .then(|| leak_note(*uid, format!("{more} more of this user's keys, which no user may view")))
        });
        new.cloned().chain(hidden).collect()
    }

    /// Users whose own keyrings are not in `before`. Root is among them, since its `.user_reg` grows with
    /// each user.
    fn new_owners_since(&self, before: &Self) -> BTreeSet<u32> {
        let new = self.seen.values().filter(|key| !before.has(key.serial) && is_user_keyring(key));
        new.flat_map(|key| [key.uid, 0]).collect()
    }
}

/// The quota that each user is charged: /proc/key-users.
pub(super) struct QuotaSnapshot(BTreeMap<u32, KeyUser>);

impl QuotaSnapshot {
    pub(super) fn take() -> io::Result<Self> {
        Ok(Self(procfs::key_users()?.into_iter().map(|user| (user.uid, user)).collect()))
    }

    /// Users charged with more than in `before`, without the `exempt` ones.
    fn exceeding(&self, before: &Self, exempt: &BTreeSet<u32>) -> Vec<ProcKey> {
        let charged = self.0.values().filter(|user| !exempt.contains(&user.uid));
        let more = charged.filter_map(|user| {
            let (keys, bytes) =
                before.0.get(&user.uid).map_or((0, 0), |user| (user.quota_keys, user.quota_bytes));
            let what = format!(
                "user {} is charged with {} keys and {} bytes, and was with {keys} and {bytes}",
                user.uid, user.quota_keys, user.quota_bytes
            );
            (user.quota_keys > keys || user.quota_bytes > bytes).then(|| leak_note(user.uid, what))
        });
        more.collect()
    }
}

/// Clears the users' own keyrings, which outlive every process. Then waits until all keys and charges that
/// are not in the snapshots are gone.
///
/// Returns what is left at the timeout.
pub(super) fn find_leaks(before: &KeySnapshot, quota: &QuotaSnapshot) -> io::Result<Vec<ProcKey>> {
    let begun = Instant::now();
    let mut pause = FIRST_PAUSE;
    loop {
        let now = KeySnapshot::take()?;
        for key in now.seen.values().filter(|key| is_user_keyring(key)) {
            setfsuid(Uid::from_raw(key.uid));
            let _ = KeySerial::new(key.serial).map(empty);
            setfsuid(Uid::from_raw(0));
        }
        let mut left = now.leaked_since(before);
        left.extend(QuotaSnapshot::take()?.exceeding(quota, &now.new_owners_since(before)));
        if left.is_empty() || begun.elapsed() > GC_TIMEOUT {
            return Ok(left);
        }
        std::thread::sleep(pause);
        pause = LONGEST_PAUSE.min(pause * 2);
    }
}

/// Unlinks every member that is not itself one of the user's own keyrings.
fn empty(keyring: KeySerial) -> Result<(), Errno> {
    for member in keyring::members(keyring)? {
        let own = keyring::describe(member)
            .is_ok_and(|key| key.kind == "keyring" && key.description.starts_with(b"_uid"));
        if !own {
            keyring::unlink(member, keyring)?;
        }
    }
    Ok(())
}

/// Returns true for a keyring that a stock kernel keeps for a user from first use on
/// (`look_up_user_keyrings()`).
///
/// Of another user namespace they carry the user's id there. They must go with the namespace.
fn is_user_keyring(key: &ProcKey) -> bool {
    let name = key.summary.split(':').next().unwrap_or_default();
    let owner = ["_uid.", "_uid_ses.", "_persistent."].iter().find_map(|stem| name.strip_prefix(stem));
    let is_own = owner.is_some_and(|owner| owner.parse() == Ok(key.uid));
    key.kind == "keyring" && (is_own || name == ".persistent_register")
}

/// A leak that is not a visible key, in the form of one.
fn leak_note(uid: u32, what: String) -> ProcKey {
    ProcKey {
        serial: 0,
        flags: String::new(),
        usage: 0,
        timeout: String::new(),
        perm: 0,
        uid,
        gid: -1,
        kind: String::new(),
        summary: what,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(serial: i32, uid: u32, summary: &str) -> (i32, ProcKey) {
        (serial, ProcKey { serial, kind: "keyring".to_owned(), ..leak_note(uid, summary.to_owned()) })
    }

    #[test]
    fn user_keyrings_are_no_leak_except_those_of_other_namespaces() {
        let before = KeySnapshot {
            seen: BTreeMap::from([key(1, 0, "_ses: 1")]),
            hidden_counts: BTreeMap::from([(0, 1)]),
        };
        let own = [key(1, 0, "_ses: 1"), key(2, 7, "_uid.7: empty")];
        let left = [key(3, 0, "_ses: 2"), key(4, 100_000, "_uid.0: 1")];
        let seen = own.into_iter().chain(left).collect();
        let after = KeySnapshot { seen, hidden_counts: BTreeMap::from([(0, 1), (7, 2)]) };
        let left = after.leaked_since(&before);
        assert_eq!(
            left.iter().map(|key| (key.serial, key.uid)).collect::<Vec<_>>(),
            [(3, 0), (4, 100_000), (0, 7)]
        );
        assert_eq!(after.new_owners_since(&before), BTreeSet::from([0, 7]));
    }

    #[test]
    fn remaining_quota_charge_is_a_leak() {
        let user = |uid, quota_keys| KeyUser { uid, keys: 1, instantiated: 1, quota_keys, quota_bytes: 9 };
        let accounts =
            |users: &[KeyUser]| QuotaSnapshot(users.iter().map(|it| (it.uid, it.clone())).collect());
        let before = accounts(&[user(0, 1)]);
        let after = accounts(&[user(0, 2), user(7, 1), user(8, 1)]);
        let left = after.exceeding(&before, &BTreeSet::from([8]));
        assert_eq!(left.iter().map(|it| it.uid).collect::<Vec<_>>(), [0, 7]);
        assert_eq!(before.exceeding(&after, &BTreeSet::new()).len(), 0);
    }
}
