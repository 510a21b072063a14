//! `cargo xtask doctor`: report on this machine's packages and virtual machines.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use console::style;
use kernel::counted;
use scenarios::explain::wrapping;

use crate::doctor::{self, Finding, State};
use crate::host::cache;
use crate::host::terminal::Terminal;

const EXAMPLES: &str = "Examples:
  cargo xtask doctor                 this machine's programs and virtual machines
  cargo xtask doctor && cargo xtask test
  cargo xtask host --install         installs all missing packages

Exit codes: 0 `cargo xtask test` can run; 2 it can't.";

/// Width of the text, and indentation after a label.
const WIDTH: usize = 100;
const INDENT: &str = "                           ";

/// `doctor` has no options.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {}

pub fn run(_: &Options, terminal: &Terminal) -> Result<ExitCode> {
    let sections = doctor::examine(cache::directory(), terminal)?;
    for section in &sections {
        terminal.say(&format!("\n{}", style(section.title).bold()));
        section.findings.iter().for_each(|finding| terminal.say(&formatted(finding)));
    }
    let (degraded, missing) = doctor::counts(&sections);
    terminal.say("");
    if missing > 0 {
        let requirements = counted(missing, "requirement is", "requirements are");
        let message = format!("`cargo xtask test` can't run here: {requirements} missing (✗).");
        terminal.say(&style(message).red().to_string());
        return Ok(ExitCode::from(2));
    }
    let aside = match degraded {
        0 => String::new(),
        count => format!("; {} it (–)", counted(count, "finding limits", "findings limit")),
    };
    terminal.say(&style(format!("`cargo xtask test` can run here{aside}.")).green().to_string());
    Ok(ExitCode::SUCCESS)
}

fn formatted(finding: &Finding) -> String {
    let (mark, remedy) = match &finding.state {
        State::Good => (style("✓").green(), None),
        State::Degraded(remedy) => (style("–").yellow(), Some(remedy)),
        State::Missing(remedy) => (style("✗").red(), Some(remedy)),
    };
    let remedy = remedy.map(|remedy| format!("\n{}", hanging(remedy))).unwrap_or_default();
    format!("  {mark} {:<20} {}{remedy}", finding.about, finding.observed)
}

/// Formats a remedy below its finding, after an arrow.
fn hanging(remedy: &str) -> String {
    let first = format!("{:25}{} ", "", style("→").dim());
    textwrap::fill(remedy, wrapping(WIDTH).initial_indent(&first).subsequent_indent(INDENT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problem_is_followed_by_its_remedy() {
        let state = State::Missing("apt-get install bison".into());
        let finding = Finding { about: "bison".into(), observed: "not found".into(), state };
        let formatted = console::strip_ansi_codes(&formatted(&finding)).into_owned();
        assert_eq!(
            formatted,
            format!("  ✗ bison                not found\n{:25}→ apt-get install bison", "")
        );
    }
}
