//! A process that is a real program.

use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use scenarios::plan::Program;
use scenarios::programs;

use crate::sys::signals::Signals;

/// Where programs find others.
pub(super) const PATH: &str = "/bin:/sbin:/usr/bin:/usr/sbin";

/// Executes a program in place of this one. Returns only on failure.
pub(super) fn execute(program: &Program, output: &File) -> String {
    let Some(known) = programs::find(&program.name) else {
        return format!("guests have no program {}", program.name);
    };
    let prepared = Signals::NONE.block().map_err(io::Error::from);
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
