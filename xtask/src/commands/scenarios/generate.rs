//! `cargo xtask scenarios generate`: files generated from the scenarios and their types.

use std::fs;

use anyhow::{Context, Result};
use clap::Args;
use console::style;
use scenarios::docs;

use crate::host::terminal::Terminal;
use crate::host::workspace;
use crate::runner::selection;

/// `generate` has no options.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo xtask scenarios generate && git diff scenarios docs

Run it after a scenario came, went, or changed its title or rules, and after a change to the words of scenarios. \
`cargo test -p scenarios` fails while a file is not what this would write.")]
pub struct Options {}

pub fn run(_: &Options, terminal: &Terminal) -> Result<()> {
    let root = workspace::root();
    for file in docs::files(root, &selection::select(&[])?)? {
        let path = root.join(file.path);
        if fs::read_to_string(&path).is_ok_and(|found| found == file.text) {
            terminal.say(&format!("{} {}", style("current").dim(), file.path));
        } else {
            fs::write(&path, &file.text).with_context(|| format!("can't write {}", path.display()))?;
            terminal.say(&format!("{}   {}", style("wrote").green(), file.path));
        }
    }
    Ok(())
}
