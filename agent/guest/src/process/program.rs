//! A process that is a real program.

use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use scenarios::plan::Program;
use scenarios::programs;

use crate::sys::signals::Signals;

/// Where programs find others.
pub(super) const PATH: &str = "/bin:/sbin:/usr/bin:/usr/sbin";

/// The most bytes of a file that a program may write.
pub(crate) const MAX_PRINTED: u64 = 64 << 20;

/// Executes a program in place of this one. Returns only on failure.
pub(super) fn execute(program: &Program, output: &File) -> String {
    let Some(known) = programs::find(&program.name) else {
        return format!("guests have no program {}", program.name);
    };
    let prepared = Signals::NONE.block().and_then(|()| limit_output()).map_err(io::Error::from);
    let error = match prepared.and_then(|()| Ok((output.try_clone()?, output.try_clone()?))) {
        Ok((stdout, stderr)) => Command::new(known.path)
            .args(&program.arguments)
            .env_clear()
            .env("PATH", PATH)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(stderr)
            .exec(),
        Err(error) => error,
    };
    format!("can't execute {}: {error}", known.path)
}

/// Its output is in the guest's memory.
fn limit_output() -> Result<(), Errno> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_FSIZE)?;
    setrlimit(Resource::RLIMIT_FSIZE, soft.min(MAX_PRINTED), hard.min(MAX_PRINTED))
}
