//! Calls on the kernel of this machine. Each test has a thread, and so a session keyring, of its own.

use std::panic::resume_unwind;
use std::thread;

use keyring::{
    Capabilities, Errno, KeySerial, Permissions, Result, Rights, SpecialKey, add_key, capabilities, clear,
    describe, join_session_keyring, link, members, move_link, read, refusal, request_key, restrict, revoke,
    search, set_permissions, set_timeout, unlink, update,
};

/// Runs a test in a thread with a new session keyring, unless this machine denies the calls.
fn in_new_session(test: impl FnOnce(KeySerial) -> Result<()> + Send) -> Result<()> {
    if let Some(denied) = refusal() {
        eprintln!("skipped: {} is denied here ({})", denied.call, denied.error);
        return Ok(());
    }
    thread::scope(|scope| match scope.spawn(|| join_session_keyring(None).and_then(test)).join() {
        Ok(result) => result,
        Err(panic) => resume_unwind(panic),
    })
}

#[test]
fn key_is_added_found_updated_and_unlinked() -> Result<()> {
    in_new_session(|session| {
        let key = add_key(c"user", c"k", b"first", SpecialKey::Session)?;
        assert_eq!(request_key(c"user", c"k", None, None), Ok(key));
        assert_eq!(search(session, c"user", c"k", None), Ok(key));
        assert_eq!(members(session), Ok(vec![key]));
        update(key, &[7; 1000])?;
        assert_eq!(read(key)?, [7; 1000]);
        unlink(key, session)?;
        assert_eq!(request_key(c"user", c"k", None, None), Err(Errno::NOKEY));
        Ok(())
    })
}

#[test]
fn description_has_owner_permissions_and_text() -> Result<()> {
    in_new_session(|_| {
        let long = std::ffi::CString::new(vec![b'x'; 3000]).unwrap_or_default();
        let key = add_key(c"user", &long, b"p", SpecialKey::Session)?;
        let permissions = Permissions {
            possessor: Rights::all(),
            user: Rights::VIEW | Rights::SETATTR,
            ..Default::default()
        };
        set_permissions(key, permissions)?;
        set_timeout(key, 100)?;
        let described = describe(key)?;
        assert_eq!((described.kind.as_str(), described.permissions), ("user", permissions));
        assert_eq!(described.description, long.as_bytes());
        assert_eq!(described.target(), None);
        Ok(())
    })
}

#[test]
fn links_are_moved_and_cleared() -> Result<()> {
    in_new_session(|session| {
        let other = add_key(c"keyring", c"other", b"", session)?;
        let key = add_key(c"user", c"k", b"p", session)?;
        move_link(key, session, other)?;
        assert_eq!(members(other), Ok(vec![key]));
        restrict(other)?;
        assert_eq!(link(session, other), Err(Errno::PERM));
        clear(other)?;
        assert_eq!(members(other), Ok(vec![]));
        Ok(())
    })
}

#[test]
fn revoked_key_has_its_error() -> Result<()> {
    in_new_session(|session| {
        let key = add_key(c"user", c"k", b"p", session)?;
        revoke(key)?;
        assert_eq!(read(key), Err(Errno::KEYREVOKED));
        assert!(capabilities()?.contains(Capabilities::CAPABILITIES | Capabilities::MOVE));
        Ok(())
    })
}
