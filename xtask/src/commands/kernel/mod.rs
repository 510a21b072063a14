//! `cargo xtask kernel`: commands for the patched kernel and its series.

pub mod backport;
pub mod check;
pub mod edit;
pub mod test;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::artifacts::image::{self, KernelOptions, Target};
use crate::host::cache;
use crate::host::packages::{self, Purpose};
use crate::host::terminal::Terminal;

/// Subcommands of `cargo xtask kernel`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Build the image and print its path on standard output
    Image(ImageOptions),
    /// Run the series' own tests in virtual machines
    ///
    /// KUnit runs while a guest boots. The programs of tools/testing/selftests/keys are linked statically and run in another guest, as
    /// root and as an ordinary user. Each case has a name: kunit/SUITE/TEST, PROGRAM/root/TEST, PROGRAM/user/TEST. Missing or
    /// incomplete results are failures. A case during which the kernel reports a fault has crashed.
    Test(test::Options),
    /// Apply the changes of the first kernel's series to another kernel's
    ///
    /// The other series keeps its own differences. A patch with conflicts stops the command: the conflict is in a work tree, and nothing
    /// is written before all are resolved. The file `backported-from` beside the patches records what they were made of.
    Backport(backport::Options),
    /// Check each patch with compilers, sparse, checkpatch and kernel-doc
    ///
    /// Where a kernel's series differs from that of the first kernel in lines that it adds or removes, the differences are shown. A
    /// paragraph `Differs from 7.3: …` in the patch explains them, in its message or behind `---`; without one they are a finding.
    Check(check::Options),
    /// Make a git tree with the series as commits
    Edit(edit::EditOptions),
    /// Write the commits of such a tree into kernel/patches
    Export(edit::ExportOptions),
}

/// Kernel and virtual machine of an image.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo xtask kernel image                                  # the default kernel, built if necessary
  $(cargo xtask kernel image --arch um) mem=64M             # User-Mode Linux is a program
  cp $(cargo xtask kernel image --profile debug) /boot/")]
pub struct ImageOptions {
    #[command(flatten)]
    kernel: KernelOptions,

    /// The virtual machine that the kernel is built for
    #[arg(long, value_enum, default_value_t)]
    arch: Target,

    /// Install missing packages, with sudo if necessary
    #[arg(long)]
    install: bool,
}

pub fn run(command: &Command, terminal: &Terminal) -> Result<ExitCode> {
    match command {
        Command::Image(options) => {
            packages::ensure(Purpose::Build, options.install, terminal)?;
            let image =
                image::image(&options.kernel, options.arch.into(), &[], &cache::directory()?, terminal)?;
            terminal.say(&image.path.display().to_string());
            Ok(ExitCode::SUCCESS)
        }
        Command::Test(options) => test::run(options, terminal),
        Command::Backport(options) => backport::run(options, terminal),
        Command::Check(options) => check::run(options, terminal),
        Command::Edit(options) => edit::edit(options, terminal),
        Command::Export(options) => edit::export(options, terminal),
    }
}
