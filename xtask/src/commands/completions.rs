//! `cargo xtask completions`: shell completion scripts.

use std::env;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use clap_complete::env::{Bash, EnvCompleter, Fish, Zsh};

use crate::host::output;

const EXAMPLES: &str = "\
The script completes `cargo xtask …`. Other cargo commands complete as before. It takes effect in a new shell.

Examples:
  cargo xtask completions bash >> ~/.bash_completion
  cargo xtask completions fish > ~/.config/fish/conf.d/xtask.fish
  cargo xtask completions zsh > ~/.xtask.zsh   and, below compinit in ~/.zshrc: source ~/.xtask.zsh";

/// Environment variable that a shell sets to request a completion.
pub const VARIABLE: &str = "XTASK_COMPLETE";

/// Completion of `cargo xtask …` as `xtask …` in bash; other lines are left to cargo's own completion.
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

const ZSH_OF_CARGO: &str = r#"
_xtask_of_cargo() {
    if [[ ${words[2]} == xtask ]] && (( CURRENT > 2 )); then
        shift words
        (( CURRENT-- ))
        _clap_dynamic_completer_xtask
    elif (( $+functions[_cargo] )); then
        _cargo "$@"
    else
        _default
    fi
}
compdef _xtask_of_cargo cargo
"#;

/// The same for fish, which merges all completions of cargo.
const FISH_OF_CARGO: &str = r#"
function _xtask_words
    commandline --current-process --tokenize --cut-at-cursor
end
function _xtask_of_cargo
    XTASK_COMPLETE=fish PROGRAM -- (_xtask_words)[2..] (commandline --current-token)
end
complete --keep-order --exclusive --command cargo --condition 'test "$(_xtask_words)[2]" = xtask' --arguments '(_xtask_of_cargo)'
"#;

/// Shell of a completion script.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Shell {
    Bash,
    Fish,
    Zsh,
}

pub fn run(options: &Options) -> Result<()> {
    let program = env::current_exe().context("can't find the path of this program")?;
    let script = script(options.shell, &program.to_string_lossy())?;
    output::write_stdout(&script);
    Ok(())
}

fn script(shell: Shell, program: &str) -> Result<Vec<u8>> {
    let (asker, of_cargo): (&dyn EnvCompleter, _) = match shell {
        Shell::Bash => (&Bash, BASH_OF_CARGO.to_owned()),
        Shell::Fish => (&Fish, FISH_OF_CARGO.replace("PROGRAM", &shlex::try_quote(program)?)),
        Shell::Zsh => (&Zsh, ZSH_OF_CARGO.to_owned()),
    };
    let mut script = Vec::new();
    asker
        .write_registration(VARIABLE, "xtask", "xtask", program, &mut script)
        .context("can't write the script")?;
    script.extend_from_slice(of_cargo.as_bytes());
    Ok(script)
}
