//! `cargo xtask scenarios new`: writes a new scenario.

use anyhow::Result;
use clap::Args;
use console::style;
use scenarios::template;

use crate::host::terminal::Terminal;
use crate::host::workspace;

/// Name of the new scenario.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo xtask scenarios new lifetime/exec-while-two-wait
  cargo xtask scenarios new my-family/first       # a new family is a new folder")]
pub struct Options {
    /// FAMILY/NAME, each of lower-case letters, digits and hyphens
    #[arg(value_name = "FAMILY/NAME")]
    name: String,
}

pub fn run(options: &Options, terminal: &Terminal) -> Result<()> {
    let name = &options.name;
    for path in template::write(&workspace::suite(), name)? {
        let shown = path.strip_prefix(workspace::root()).unwrap_or(&path).display();
        terminal.say(&format!("{} {shown}", style("wrote").green()));
    }
    terminal.say(&format!(
        "\nIt passes unchanged. Next:\n\
         \x20 1. edit it; docs/scenarios-tutorial.md shows how, docs/scenarios-reference.md describes every key\n\
         \x20 2. cargo xtask test {name}\n\
         \x20 3. cargo xtask scenarios accept {name}    if its trace is right\n\
         \x20 4. cargo xtask scenarios generate         adds it to scenarios/README.md"
    ));
    Ok(())
}
