//! `cargo xtask shell`: an interactive shell on the patched kernel.

use std::collections::BTreeMap;
use std::env;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use console::style;
use scenarios::program::{Attached, Streams};

use crate::desk::{self, DeskOptions};
use crate::ground::{Extras, Ground};
use crate::seat::{self, Seat};
use crate::session::{Failure, Session, Used};
use crate::terminal::Terminal;
use crate::userland::Userland;
use crate::vm::Boot;

const EXAMPLES: &str = "Examples:
  cargo xtask shell                                   a shell; exit or Ctrl-D leaves it
  cargo xtask shell --vm tcg --kernel 6.1             on another kernel, with two processors
  echo 'keyctl show @s; exit 3' | cargo xtask shell   a script: its output, and its exit code 3";

/// What to sit at.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    #[command(flatten)]
    desk: DeskOptions,
}

/// Runs the command.
///
/// # Errors
/// The testbed could not do its part.
pub fn run(options: &Options, terminal: &Terminal) -> Result<ExitCode> {
    options.desk.ensure_shell(terminal)?;
    let Userland { programs, lacks, .. } = Userland::gather()?;
    for (name, package) in lacks {
        terminal
            .note(&format!("the guest goes without {name}, which this machine lacks (package {package})"));
    }
    let extras = Extras { programs, ..Extras::default() };
    let kinds = options.desk.kinds(&crate::cache::directory()?, terminal)?;
    let ground = options.desk.ground(&kinds, &extras, "shell", terminal)?;
    if Seat::is_taken() {
        let about = format!("{} · exit leaves, {}", ground.describe(), seat::WAY_OUT);
        terminal.say(&format!("{} {}", style("keyagents").bold(), style(about).dim()));
    }
    let shell = Attached {
        path: "/bin/sh".into(),
        arguments: Vec::new(),
        environment: environment(),
        directory: "/root".into(),
        streams: Streams::Pipes,
    };
    desk::conclude(use_program(&ground, shell), terminal)
}

/// Starts a guest, and has somebody use a program in it, wherever they sit.
///
/// # Errors
/// The guest did not come up, or did not last.
pub fn use_program(ground: &Ground, program: Attached) -> Result<Used, Box<Failure>> {
    if !Seat::is_taken() {
        return ground.start(&ground.boot).map_err(Box::new)?.pipe(&program);
    }
    let seat = Seat::take().map_err(|error| Box::new(Failure::broken(&format!("{error:#}"))))?;
    let boot = Boot { interactive: true, listener: seat.listener(), ..ground.boot.clone() };
    let program = Attached { streams: Streams::Terminal(Seat::size()), ..program };
    let mut session: Session = ground.start(&boot).map_err(Box::new)?;
    session.seat(&program, &seat)
}

/// What programs in the guest find in their environment.
pub fn environment() -> BTreeMap<String, String> {
    let own = [
        ("HOME", "/root"),
        ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
        ("PS1", r"\[\e[1m\]keyagents:\w\$\[\e[0m\] "),
        ("USER", "root"),
    ];
    let own = own.map(|(name, value)| (name.to_owned(), value.to_owned()));
    // What the terminal is, the guest can't find out.
    let passed = ["TERM", "COLORTERM", "LANG", "LC_ALL"];
    let passed = passed.into_iter().filter_map(|name| Some((name.to_owned(), env::var(name).ok()?)));
    own.into_iter().chain(passed).collect()
}
