//! `cargo xtask scenarios new`: a scenario to begin with.

use anyhow::Result;
use clap::Args;
use console::style;
use scenarios::template;

use crate::host::terminal::Terminal;
use crate::host::workspace;

/// What it is called.
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

/// Runs the command.
///
/// # Errors
/// The name is unfit or taken, or the files can't be written.
pub fn run(options: &Options, terminal: &Terminal) -> Result<()> {
    let name = &options.name;
    for path in template::write(&workspace::suite(), name)? {
        let shown = path.strip_prefix(workspace::root()).unwrap_or(&path).display();
        terminal.say(&format!("{} {shown}", style("wrote").green()));
    }
    terminal.say(&format!(
        "\nIt passes as it is. Next:\n\
         \x20 1. say in it what you want to know; docs/scenarios-tutorial.md shows how, docs/scenarios-reference.md has every word\n\
         \x20 2. cargo xtask test {name}\n\
         \x20 3. cargo xtask scenarios accept {name}    when the story that it shows is the right one\n\
         \x20 4. cargo xtask scenarios generate         puts it on the map in scenarios/README.md"
    ));
    Ok(())
}
