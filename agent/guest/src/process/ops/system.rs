//! Operations on the whole system: mounts and modules.

use std::ffi::CString;
use std::fs::File;
use std::path::Path;

use nix::kmod::{DeleteModuleFlags, ModuleInitFlags, delete_module, finit_module};
use nix::mount::{MsFlags, mount};
use scenarios::plan::Op;

use super::{OpResult, Skip, done, misplaced, text};

const MODULES: &str = "/lib/modules";

pub(super) fn system_op(op: &Op) -> OpResult {
    match op {
        Op::Mount { kind, source, at, options } => Ok(done(mount(
            Some(source.as_str()),
            at.as_str(),
            Some(kind.as_str()),
            MsFlags::empty(),
            Some(options.as_str()),
        ))),
        Op::LoadModule { module } => load(module),
        Op::UnloadModule { module } => {
            // The kernel names a module by an identifier in C.
            let name = text(&module.replace('-', "_"))?;
            Ok(done(delete_module(&name, DeleteModuleFlags::O_NONBLOCK)))
        }
        _ => Ok(misplaced(op)),
    }
}

fn load(module: &str) -> OpResult {
    let path = Path::new(MODULES).join(format!("{module}.ko"));
    let file = File::open(&path).map_err(|why| Skip(format!("{}: {why}", path.display())))?;
    let loaded = finit_module(file, &CString::default(), ModuleInitFlags::empty());
    Ok(done(loaded))
}
