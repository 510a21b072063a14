//! `cargo xtask shell`: an interactive shell on the patched kernel.

use std::collections::BTreeMap;
use std::env;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args;
use console::style;
use kernel::Fragment;
use scenarios::wire::program::{AttachedProgram, Streams};

use crate::args::one_guest::GuestOptions;
use crate::artifacts::initramfs;
use crate::artifacts::userland::Userland;
use crate::host::cache;
use crate::host::terminal::{Terminal, supports_colours};
use crate::runner::environment::{Environment, Extras};
use crate::runner::single_guest;
use crate::session::raw_terminal::{self, RawTerminal};
use crate::session::{AttachedRun, Failure, Session};
use crate::vm::vng::{self, Vng};
use crate::vm::{BootConfig, Kind};

const EXAMPLES: &str = "Examples:
  cargo xtask shell                                   a shell; exit or Ctrl-D ends it
  cargo xtask shell --vm tcg --kernel 6.12            on another kernel, with two processors
  cargo xtask shell --host                            with the host's files and programs
  cargo xtask shell --host -- make -C ~/src check     one command, with its exit code
  echo 'keyctl show @s; exit 3' | cargo xtask shell   a script: its output, and its exit code 3";

/// User space, guest and command of a shell.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// Use the host's files, which are copied on write, in a guest made by virtme-ng
    #[arg(long)]
    host: bool,

    #[command(flatten)]
    guest: GuestOptions,

    /// A command in place of the shell, and its arguments
    #[arg(value_name = "COMMAND", trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

pub fn run(options: &Options, terminal: &Terminal) -> Result<ExitCode> {
    let (environment, shell, what) = match options.host {
        true => options.on_host_files(terminal)?,
        false => options.in_own_userland(terminal)?,
    };
    if RawTerminal::is_tty() && options.command.is_empty() {
        let about = format!("{}{what} · exit leaves, {}", environment.describe(), raw_terminal::ESCAPE_HINT);
        terminal.say(&format!("{} {}", style("keyagents").bold(), style(about).dim()));
    }
    single_guest::conclude(attach_program(&environment, shell), terminal)
}

impl Options {
    fn in_own_userland(&self, terminal: &Terminal) -> Result<(Environment, AttachedProgram, &'static str)> {
        self.guest.ensure_shell(terminal)?;
        let Userland { programs, missing, .. } = Userland::collect()?;
        for (name, package) in missing {
            terminal.note(&format!("the guest has no {name}: install the package {package} on this machine"));
        }
        let extras = Extras { programs, ..Extras::default() };
        let kinds = self.guest.kinds(&cache::directory()?, terminal)?;
        let environment = self.guest.environment(&kinds, &extras, "shell", terminal)?;
        Ok((environment, self.program("/bin/sh".into(), guest_variables(), "/root".into()), ""))
    }

    fn on_host_files(&self, terminal: &Terminal) -> Result<(Environment, AttachedProgram, &'static str)> {
        let (vng, version) = vng::find()?;
        if version != vng::VERSION {
            let known = vng::VERSION;
            terminal.note(&format!("virtme-ng {known} is known to work, and {} is {version}", vng.display()));
        }
        if self.guest.vm == Some(Kind::Uml) {
            bail!("virtme-ng makes no guests for User-Mode Linux: leave --vm out, or use --vm tcg");
        }
        let directory = env::current_dir().context("can't find the current directory")?;
        self.guest.ensure_host(terminal)?;
        let mut kinds = self.guest.kinds(&cache::directory()?, terminal)?;
        kinds.retain(|kind| *kind != Kind::Uml);
        let extras = Extras { fragments: vec![Fragment::named("virtme")?], ..Extras::default() };
        let mut environment = self.guest.environment(&kinds, &extras, "shell", terminal)?;
        // Written files stay in memory.
        environment.boot.memory_mib += 512;
        let guest = Vng::compose(&vng, &initramfs::agent(terminal)?, environment.kind(), &environment.boot)?;
        let shell = env::var("SHELL").unwrap_or_else(|_| "/bin/sh".to_owned());
        let program = self.program(shell, host_variables(), directory.to_string_lossy().into_owned());
        Ok((environment.with_backend(Box::new(guest)), program, " · your files, copied when written to"))
    }

    /// Returns the shell, or the command in its place.
    fn program(
        &self,
        shell: String,
        environment: BTreeMap<String, String>,
        directory: String,
    ) -> AttachedProgram {
        let (path, arguments) = match self.command.as_slice() {
            [] => (shell, Vec::new()),
            // A shell searches for programs, and reports those that it does not find.
            command => {
                let exec = ["-c", "exec \"$@\"", "sh"].map(str::to_owned);
                ("/bin/sh".to_owned(), exec.into_iter().chain(command.iter().cloned()).collect())
            }
        };
        AttachedProgram { path, arguments, environment, directory, streams: Streams::Pipes }
    }
}

/// Starts a guest and attaches a program in it to standard input and output, or to the terminal.
pub fn attach_program(
    environment: &Environment,
    program: AttachedProgram,
) -> Result<AttachedRun, Box<Failure>> {
    if !RawTerminal::is_tty() {
        return environment.start(&environment.boot)?.pipe(&program);
    }
    let raw_terminal = RawTerminal::enable().map_err(|error| Failure::broken(&format!("{error:#}")))?;
    let boot =
        BootConfig { interactive: true, observer: raw_terminal.observer(), ..environment.boot.clone() };
    let program = AttachedProgram { streams: Streams::Terminal(RawTerminal::size()), ..program };
    let mut session: Session = environment.start(&boot)?;
    session.raw_terminal(&program, &raw_terminal)
}

pub fn guest_variables() -> BTreeMap<String, String> {
    let own = [
        ("HOME", "/root"),
        ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
        ("PS1", if supports_colours() { r"\[\e[1m\]keyagents:\w\$\[\e[0m\] " } else { r"keyagents:\w\$ " }),
        ("USER", "root"),
    ];
    let own = own.map(|(name, value)| (name.to_owned(), value.to_owned()));
    // The guest can't detect the type of the terminal.
    own.into_iter().chain(inherited(&["TERM", "COLORTERM", "LANG", "LC_ALL"])).collect()
}

/// Returns the environment variables of programs with the host's files: the host's, with another
/// user.
fn host_variables() -> BTreeMap<String, String> {
    let who = ["USER", "LOGNAME"].map(|name| (name.to_owned(), "root".to_owned()));
    let same = ["HOME", "PATH", "SHELL", "TERM", "COLORTERM", "LANG", "LC_ALL", "EDITOR", "PAGER"];
    who.into_iter().chain(inherited(&same)).collect()
}

fn inherited<'a>(names: &'a [&str]) -> impl Iterator<Item = (String, String)> + use<'a> {
    names.iter().filter_map(|name| Some(((*name).to_owned(), env::var(name).ok()?)))
}
