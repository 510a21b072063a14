//! `cargo xtask kernel backport`: the changes of the primary series, applied to the series of
//! another kernel.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use kernel::{Backport, Backported, Conflict, KernelSpec, Kernels, Start, counted, quoted};

use super::edit::say_written;
use crate::host::cache;
use crate::host::completion;
use crate::host::terminal::Terminal;

/// Kernels of a backport, and how to go on after a conflict.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo xtask kernel backport              # after a change in the first kernel's series
  cargo xtask kernel backport --continue   # a conflict is resolved, and its files are added
  cargo xtask kernel backport --abort      # leaves the series as it was")]
pub struct Options {
    /// The kernel whose series was changed [default: the first of kernel/kernels.toml]
    #[arg(long, value_name = "NAME", add = completion::kernel())]
    from: Option<String>,

    /// The kernel whose series follows [default: the next one there]
    #[arg(long, value_name = "NAME", add = completion::kernel())]
    to: Option<String>,

    /// Go on after a conflict, with the work tree's index as its resolution
    #[arg(long = "continue", conflicts_with = "abort")]
    resolved: bool,

    /// Give up after a conflict
    #[arg(long)]
    abort: bool,
}

pub fn run(options: &Options, terminal: &Terminal) -> Result<ExitCode> {
    let backport = options.kernels()?;
    let cache = cache::directory()?;
    if options.abort {
        kernel::abort(backport.to, &cache, terminal)?;
        terminal.say(&format!("the series for {} is as it was", backport.to.name));
        return Ok(ExitCode::SUCCESS);
    }
    let start = if options.resolved { Start::Resolved } else { Start::New };
    match kernel::backport(&backport, start, &cache, terminal)? {
        Backported::Done(exported) => {
            say_written(&exported, terminal);
            Ok(ExitCode::SUCCESS)
        }
        Backported::Stopped(conflict) => {
            terminal.say(&advice(&backport, &conflict));
            Ok(ExitCode::from(1))
        }
    }
}

impl Options {
    fn kernels(&self) -> Result<Backport<'static>> {
        let kernels = Kernels::load()?;
        let from = self.from.as_deref().map_or_else(|| kernels.primary(), |name| kernels.get(name))?;
        let is_other = |kernel: &&KernelSpec| kernel.name != from.name;
        let to = match &self.to {
            Some(name) => Some(kernels.get(name)?).filter(is_other),
            None => kernels.iter().find(is_other),
        };
        let to = to.context("the series of a kernel follows that of another one: name two")?;
        Ok(Backport { from, to })
    }
}

/// Describes a conflict, and how to go on.
fn advice(backport: &Backport<'_>, conflict: &Conflict) -> String {
    let Conflict { patch, what, files, tree } = conflict;
    let pair = format!("--from {} --to {}", backport.from.name, backport.to.name);
    let number = counted(files.len(), "file has conflicts", "files have conflicts");
    let files: String = files.iter().map(|file| format!("\n  {file}")).collect();
    format!(
        "{patch}: {what} does not apply to {}; {number} in {}:{files}\n\
         Resolve them and `git add -u` there, then: cargo xtask kernel backport {pair} --continue\n\
         Or give up: cargo xtask kernel backport {pair} --abort",
        backport.to.name,
        quoted(tree),
    )
}
