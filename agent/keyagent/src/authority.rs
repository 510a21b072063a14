//! The authority over a request that this thread assumes for a call, or keeps.

use std::cell::Cell;

use keyring::{KeySerial, SpecialKey};

thread_local! {
    /// The target over which this thread keeps the authority.
    static KEPT: Cell<Option<KeySerial>> = const { Cell::new(None) };
}

/// Reads the callout information of a target's request with assumed authority, which is kept if that is wanted. Returns
/// the authorization key, too.
pub(crate) fn read_callout(target: KeySerial, keep: bool) -> keyring::Result<(KeySerial, Vec<u8>)> {
    let authkey = assume(target)?;
    let callout = keyring::read(SpecialKey::AssumedAuthkey);
    if keep && callout.is_ok() {
        KEPT.set(Some(target));
    } else {
        keyring::drop_authority()?;
    }
    Ok((authkey, callout?))
}

/// Makes a call with the authority over a target, which ends with it. Success of a call that completes the target ends
/// it in the kernel.
pub(crate) fn with_authority(
    target: KeySerial,
    call: impl FnOnce() -> keyring::Result<()>,
) -> keyring::Result<()> {
    if KEPT.get() != Some(target) {
        assume(target)?;
    }
    KEPT.set(None);
    let returned = call();
    if returned.is_err() {
        let _ = keyring::drop_authority();
    }
    returned
}

/// Assumes the authority over a target in place of another one that is kept. If that fails, none is left.
fn assume(target: KeySerial) -> keyring::Result<KeySerial> {
    let assumed = keyring::assume_authority(target);
    if assumed.is_err() {
        give_up();
    }
    KEPT.set(None);
    assumed
}

/// Gives up the authority that was kept and not used.
pub(crate) fn give_up() {
    if KEPT.take().is_some() {
        let _ = keyring::drop_authority();
    }
}
