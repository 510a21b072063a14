//! Set-user-id copies of the guest's program, for steps that exec one (R12).

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::PathBuf;

use scenarios::plan::{Op, Plan};

use crate::process;

/// The copies, which are removed on drop.
#[derive(Default)]
pub(super) struct Copies(Vec<PathBuf>);

/// Creates the copies that the plan's steps exec.
pub(super) fn copies_for(plan: &Plan) -> Result<Copies, String> {
    let mut copies = Copies::default();
    for step in &plan.steps {
        if let Op::Exec { setuid: Some(uid) } = step.op {
            let path = process::setuid_copy(uid);
            copies.0.push(path.clone());
            copy(&path, uid).map_err(|why| format!("{}: {why}", path.display()))?;
        }
    }
    Ok(copies)
}

/// chown(2) clears the set-user-id bit, so the mode is set last.
fn copy(path: &PathBuf, uid: u32) -> io::Result<()> {
    fs::copy("/proc/self/exe", path)?;
    chown(path, Some(uid), None)?;
    fs::set_permissions(path, Permissions::from_mode(0o4755))
}

impl Drop for Copies {
    fn drop(&mut self) {
        for path in &self.0 {
            // Several steps may name the same copy.
            let _ = fs::remove_file(path);
        }
    }
}
