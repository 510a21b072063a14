//! `cargo xtask completions`: scripts with which shells ask this program what a line could go on with.

use std::env;
use std::io::{self, Write};

use anyhow::{Context, Result};
use clap::Args;
use clap_complete::Shell;
use clap_complete::env::{Bash, Elvish, EnvCompleter, Fish, Powershell, Zsh};

const EXAMPLES: &str = "Examples:
  cargo xtask completions bash >> ~/.bash_completion              for `cargo xtask`
  alias xtask='cargo xtask'                                       what other shells complete is this alias:
  cargo xtask completions zsh > ~/.zfunc/_xtask                   with ~/.zfunc in fpath
  cargo xtask completions fish > ~/.config/fish/completions/xtask.fish";

/// The environment variable by which this program knows that a shell wants to complete a line.
pub const VARIABLE: &str = "XTASK_COMPLETE";

/// Has bash complete `cargo xtask …` like `xtask …`, and leaves all else to cargo's own completion.
const BASH_OF_CARGO: &str = r#"
_xtask_of_cargo() {
    if [ "${COMP_WORDS[1]}" = xtask ] && [ "$COMP_CWORD" -gt 1 ]; then
        COMP_WORDS=("${COMP_WORDS[@]:1}")
        COMP_CWORD=$((COMP_CWORD - 1))
        _clap_complete_xtask xtask "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
    elif declare -F _cargo > /dev/null; then
        _cargo "$@"
    fi
}
complete -o bashdefault -o default -o nosort -F _xtask_of_cargo cargo
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
    let program = env::current_exe().context("can't tell what this program is")?;
    let script = script(options.shell, &program.to_string_lossy()).context("can't write the script")?;
    io::stdout().write_all(&script).context("can't write the script")
}

/// Has the shell ask this `program`.
fn script(shell: Shell, program: &str) -> io::Result<Vec<u8>> {
    let asker: &dyn EnvCompleter = match shell {
        Shell::Elvish => &Elvish,
        Shell::Fish => &Fish,
        Shell::PowerShell => &Powershell,
        Shell::Zsh => &Zsh,
        _ => &Bash,
    };
    let mut script = Vec::new();
    asker.write_registration(VARIABLE, "xtask", "xtask", program, &mut script)?;
    if shell == Shell::Bash {
        script.extend_from_slice(BASH_OF_CARGO.as_bytes());
    }
    Ok(script)
}
