//! `cargo xtask completions`: scripts for shells.

use std::io::{self, Write};

use anyhow::{Context, Result};
use clap::{Args, CommandFactory};
use clap_complete::{Shell, generate};

use super::Cli;

const EXAMPLES: &str = "Examples:
  cargo xtask completions bash >> ~/.bash_completion              for `cargo xtask`
  alias xtask='cargo xtask'                                       what other shells complete is this alias:
  cargo xtask completions zsh > ~/.zfunc/_xtask                   with ~/.zfunc in fpath
  cargo xtask completions fish > ~/.config/fish/completions/xtask.fish";

/// Has bash complete `cargo xtask …` like `xtask …`, and leaves all else to cargo's own completion.
const BASH_OF_CARGO: &str = r#"
_xtask_of_cargo() {
    if [ "${COMP_WORDS[1]}" = xtask ] && [ "$COMP_CWORD" -gt 1 ]; then
        COMP_WORDS=("${COMP_WORDS[@]:1}")
        COMP_CWORD=$((COMP_CWORD - 1))
        _xtask xtask "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
    elif declare -F _cargo > /dev/null; then
        _cargo "$@"
    fi
}
complete -F _xtask_of_cargo -o bashdefault -o default cargo
"#;

/// For which shell.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Runs the command.
///
/// # Errors
/// Standard output is closed.
pub fn run(options: &Options) -> Result<()> {
    io::stdout().write_all(&script(options.shell)).context("can't write the script")
}

fn script(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    generate(shell, &mut Cli::command(), "xtask", &mut script);
    if shell == Shell::Bash {
        script.extend_from_slice(BASH_OF_CARGO.as_bytes());
    }
    script
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn bash_completes_the_commands_below_cargo() {
        let script = String::from_utf8(script(Shell::Bash)).unwrap();
        let ask = "COMP_WORDS=(cargo xtask scen); COMP_CWORD=2; _xtask_of_cargo cargo scen xtask; echo \"${COMPREPLY[@]}\"";
        let output = Command::new("bash").args(["-c", &format!("{script}\n{ask}")]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "scenarios", "{output:?}");
    }
}
