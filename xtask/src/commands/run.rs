//! `cargo xtask run`: a program of the host on the patched kernel.

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args;
use kernel::is_executable;
use scenarios::wire::program::{AttachedProgram, Streams};

use super::shell;
use crate::args::one_guest::GuestOptions;
use crate::artifacts::program_closure::ProgramClosure;
use crate::artifacts::userland::Userland;
use crate::host::cache;
use crate::host::program;
use crate::host::terminal::Terminal;
use crate::runner::environment::Extras;
use crate::runner::single_guest;
use crate::vm::Kind;

const EXAMPLES: &str = "Examples:
  cargo xtask run -- ./reproducer --fast                 a program of the host
  cargo xtask run --include cases/ -- sh cases/all.sh    a script with files that it needs
  cargo xtask run --vm tcg -- sh -c 'cat > out; wc -c out' < dump
  cargo xtask run -- strace -f ./reproducer              the guest has strace, keyctl and busybox";

/// Program, additional files and guest.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// A file or a directory that the program needs; it has the same path in the guest. May be given several times
    #[arg(long, value_name = "FILE")]
    include: Vec<PathBuf>,

    #[command(flatten)]
    guest: GuestOptions,

    /// A program of the host, and its arguments
    #[arg(value_name = "PROGRAM", required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

pub fn run(options: &Options, terminal: &Terminal) -> Result<ExitCode> {
    let Some((program, arguments)) = options.command.split_first() else { bail!("no program was named") };
    let mut closure = ProgramClosure::default();
    options.include.iter().try_for_each(|path| closure.pack(path))?;
    let path = closure.pack_program(program)?;
    // Programs that `strace` and `env` start.
    let started =
        arguments.iter().map(Path::new).filter(|it| it.components().count() > 1 && is_executable(it));
    started.into_iter().try_for_each(|path| closure.pack(path))?;
    closure.remarks().iter().for_each(|remark| terminal.note(remark));
    let directory = env::current_dir().context("can't find the current directory")?;
    if closure.is_32bit && options.guest.vm == Some(Kind::Uml) {
        bail!("{program} is a 32-bit program, which User-Mode Linux does not run: use --vm tcg");
    }
    options.guest.ensure_host(terminal)?;
    // The program may start others. Packed files take precedence at their paths.
    let Userland { mut programs, .. } = Userland::collect().unwrap_or_default();
    programs.extend(closure.programs());
    let directories = closure.directories();
    let extras = Extras { programs, directories, links: closure.links(), ..Extras::default() };
    let mut kinds = options.guest.kinds(&cache::directory()?, terminal)?;
    kinds.retain(|kind| !(closure.is_32bit && *kind == Kind::Uml));
    let mut environment = options.guest.environment(&kinds, &extras, "run", terminal)?;
    // The archive and its unpacked files are in memory at the same time.
    let memory_mib = closure.size().saturating_mul(2) >> 20;
    environment.boot.memory_mib += u32::try_from(memory_mib).unwrap_or(u32::MAX / 2);
    let program = AttachedProgram {
        path,
        arguments: arguments.to_vec(),
        environment: guest_variables(&closure),
        directory: directory.to_string_lossy().into_owned(),
        streams: Streams::Pipes,
    };
    single_guest::conclude(shell::attach_program(&environment, program), terminal)
}

/// Returns the guest's environment, with the directories of the user's programs and libraries.
fn guest_variables(closure: &ProgramClosure) -> BTreeMap<String, String> {
    let mut variables = shell::guest_variables();
    if let Some(path) = env::var("PATH").ok().filter(|path| !path.is_empty()) {
        variables.entry("PATH".to_owned()).and_modify(|own| *own = format!("{path}:{own}"));
    }
    // cargo adds directories of its own, which the guest does not have.
    let places = program::library_path().into_iter();
    let places: Vec<String> =
        places.filter(|(_, place)| closure.has_below(place)).map(|(written, _)| written).collect();
    if !places.is_empty() {
        variables.insert("LD_LIBRARY_PATH".to_owned(), places.join(":"));
    }
    variables
}
