//! `cargo xtask kernel edit` and `export`: the series as commits of a git tree, and back.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use kernel::{Edit, Exported, Origin, Subsystem, counted};

use crate::artifacts::kernel_choice;
use crate::host::cache;
use crate::host::process::quoted;
use crate::host::terminal::Terminal;

/// Kernel and directory of a git tree.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo xtask kernel edit ~/keyagents
  git -C ~/keyagents rebase -i HEAD~3                       # work on the commits, then export them
  cargo xtask kernel edit --kernel 6.12 ~/keyagents-6.12
  cargo xtask kernel edit --subsystem nfs ~/keyagents-nfs   # NFS's patches, on top of the others")]
pub struct EditOptions {
    /// A kernel of kernel/kernels.toml, such as 6.12 [default: the first that this machine can have]
    #[arg(long, value_name = "NAME")]
    kernel: Option<String>,

    /// Another kernel source, a directory or a tarball; it is only read
    #[arg(long, value_name = "DIR|TARBALL")]
    kernel_src: Option<PathBuf>,

    /// A subsystem whose patches become the commits, on top of the kernel's own: nfs
    #[arg(long, value_name = "NAME")]
    subsystem: Option<Subsystem>,

    /// The directory of the git tree; it must not exist yet
    directory: PathBuf,
}

/// Git tree and kernel of an export.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo xtask kernel export ~/keyagents-6.12                # into kernel/patches
  cargo xtask test                                          # tests the exported series")]
pub struct ExportOptions {
    /// The kernel of the series [default: the one that the tree was made for]
    #[arg(long, value_name = "NAME")]
    kernel: Option<String>,

    /// The git tree that `edit` made
    directory: PathBuf,
}

pub fn edit(options: &EditOptions, terminal: &Terminal) -> Result<ExitCode> {
    let edit = Edit {
        kernel: kernel_choice::kernel(options.kernel.as_deref(), options.kernel_src.is_some())?,
        subsystem: options.subsystem,
        origin: options.kernel_src.as_deref().map(Origin::at).transpose()?,
        directory: options.directory.clone(),
    };
    let edited = kernel::edit(&edit, &cache::directory()?, terminal)?;
    for patch in &edited.restyled {
        terminal.note(&format!("{patch} is not written as `kernel export` writes it, which will restyle it"));
    }
    let directory = edit.directory.display();
    terminal.say(&format!(
        "{directory} has {} on the branch keyagents, on top of {}.\n\
         Work on them (git rebase -i {2}), then: cargo xtask kernel export {3}",
        counted(edited.patches, "commit", "commits"),
        edited.base,
        &edited.base[..12],
        quoted(&edit.directory),
    ));
    Ok(ExitCode::SUCCESS)
}

pub fn export(options: &ExportOptions, terminal: &Terminal) -> Result<ExitCode> {
    let exported = kernel::export(&options.directory, options.kernel.as_deref())?;
    say_written(&exported, terminal);
    Ok(ExitCode::SUCCESS)
}

/// Prints the patches that were written and removed.
pub(super) fn say_written(exported: &Exported, terminal: &Terminal) {
    for (what, names) in [("written", &exported.written), ("removed", &exported.removed)] {
        for name in names {
            terminal.say(&format!("{what}: {name}"));
        }
    }
    let unchanged = exported.patches - exported.written.len();
    terminal.say(&format!(
        "{} has {}, {unchanged} of them as before.",
        exported.directory.display(),
        counted(exported.patches, "patch", "patches"),
    ));
}
