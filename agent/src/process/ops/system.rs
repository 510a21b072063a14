//! Operations on the system as a whole.

use std::ffi::CString;
use std::fs::File;
use std::path::Path;

use nix::kmod::{DeleteModuleFlags, ModuleInitFlags, delete_module, finit_module};
use nix::mount::{MsFlags, mount};
use scenarios::plan::SystemOp;

use super::{Missing, Tried, done, text};

/// Where the guest has them.
const MODULES: &str = "/lib/modules";

pub(super) fn on_the_system(op: &SystemOp) -> Tried {
    match op {
        SystemOp::Mount { kind, source, at, options } => Ok(done(mount(
            Some(source.as_str()),
            at.as_str(),
            Some(kind.as_str()),
            MsFlags::empty(),
            Some(options.as_str()),
        ))),
        SystemOp::LoadModule { module } => load(module),
        SystemOp::UnloadModule { module } => {
            // The kernel knows it by a name that is an identifier in C.
            let name = text(&module.replace('-', "_"))?;
            Ok(done(delete_module(&name, DeleteModuleFlags::O_NONBLOCK)))
        }
    }
}

fn load(module: &str) -> Tried {
    let path = Path::new(MODULES).join(format!("{module}.ko"));
    let file = File::open(&path).map_err(|why| Missing(format!("{}: {why}", path.display())))?;
    let loaded = finit_module(file, &CString::default(), ModuleInitFlags::empty());
    Ok(done(loaded))
}
