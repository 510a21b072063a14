//! Lending keyrings, from which processes link the keys that they hold.
//!
//! A process can only link a key that it possesses. Every process may use the lending keyrings, and so
//! possesses the keys in them.

use std::collections::HashMap;
use std::ffi::{CStr, CString};

use keyring::{Errno, KeyId, KeySerial, Permissions, Rights, SpecialKey};
use scenarios::plan::Plan;

use super::{PlanError, Result};

/// Creates the keyring that holds the lending keyrings of each plan.
pub(crate) fn create() -> Result<KeySerial, Errno> {
    keyring::get_keyring_id(SpecialKey::Process, true)?;
    keyring_for_everybody(c"lending", SpecialKey::Process)
}

/// Creates a lending keyring for each key that a process holds. In one shared keyring, keys of the same type
/// and description would displace each other.
pub(super) fn lenders(lending: KeySerial, plan: &Plan) -> Result<HashMap<String, KeySerial>> {
    let names = plan.processes.iter().flat_map(|process| &process.session_keys);
    let lender = |name: &String| {
        let description = CString::new(name.as_str()).map_err(PlanError::during(name))?;
        let lender = keyring_for_everybody(&description, lending);
        Ok((name.clone(), lender.map_err(PlanError::during("a lending keyring"))?))
    };
    names.map(lender).collect()
}

/// Adds a keyring with all permissions for all users.
fn keyring_for_everybody(description: &CStr, parent: impl Into<KeyId>) -> Result<KeySerial, Errno> {
    let all = Rights::all();
    let everybody = Permissions { possessor: all, user: all, group: all, other: all };
    let keyring = keyring::add_key(c"keyring", description, &[], parent)?;
    keyring::set_permissions(keyring, everybody)?;
    Ok(keyring)
}
