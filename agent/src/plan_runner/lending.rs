//! Lending keyrings, through which processes get the keys that they hold.
//!
//! A process may link a key into its session keyring if it possesses the key. Everybody may use the lending keyrings, so a key
//! that is linked there can be had by any process.

use std::collections::HashMap;
use std::ffi::{CStr, CString};

use nix::errno::Errno;
use scenarios::plan::Plan;

use super::PlanError;
use crate::keyring::{self, KeySerial, Special};

/// Creates PID 1's lending keyring, which holds those of each plan.
pub(crate) fn create() -> Result<KeySerial, Errno> {
    let process = Special::Process.into();
    keyring::get_keyring_id(process, true)?;
    keyring_for_everybody(c"lending", process)
}

/// A keyring for each key that some process holds: in one keyring, keys of the same type and description would displace one
/// another.
pub(super) fn lenders(lending: KeySerial, plan: &Plan) -> Result<HashMap<String, KeySerial>, PlanError> {
    let names = plan.processes.iter().flat_map(|process| &process.holds);
    let lender = |name: &String| {
        let description = CString::new(name.as_str()).map_err(|why| PlanError::broken(name, why))?;
        let lender = keyring_for_everybody(&description, lending);
        Ok((name.clone(), lender.map_err(|errno| PlanError::broken("a lending keyring", errno))?))
    };
    names.map(lender).collect()
}

/// A new keyring that everybody may do everything with.
fn keyring_for_everybody(description: &CStr, parent: KeySerial) -> Result<KeySerial, Errno> {
    const EVERYBODY: u32 = 0x3f3f_3f3f;
    let keyring = keyring::add_key(c"keyring", Some(description), Some(&[]), parent)?;
    keyring::set_permissions(keyring, EVERYBODY)?;
    Ok(keyring)
}
