//! First line of a script: its interpreter, and the program that env(1) starts.

use anyhow::{Context, Result, bail};

/// First line of a script, as the kernel parses it (`fs/binfmt_script.c`).
pub(super) struct Shebang {
    pub(super) interpreter: String,
    /// The rest of the line, as one word.
    argument: Option<String>,
}

impl Shebang {
    pub(super) fn of(script: &[u8]) -> Result<Self> {
        /// Number of bytes that the kernel reads.
        const LONGEST: usize = 256;
        let line =
            script[..script.len().min(LONGEST)].split(|byte| *byte == b'\n').next().unwrap_or_default();
        let line = std::str::from_utf8(&line[2..]).context("its first line is no UTF-8")?;
        let line = line.trim_matches([' ', '\t']);
        let (interpreter, argument) = match line.split_once([' ', '\t']) {
            Some((interpreter, argument)) => (interpreter, Some(argument.trim_start_matches([' ', '\t']))),
            None => (line, None),
        };
        match interpreter {
            "" | "\r" => bail!("its first line names no interpreter"),
            name if name.ends_with('\r') => bail!(carriage_return(name)),
            name => Ok(Self { interpreter: name.to_owned(), argument: argument.map(str::to_owned) }),
        }
    }

    /// Returns the program that `env` searches for in `PATH`.
    pub(super) fn env_program(&self) -> Result<Option<String>> {
        let Some(argument) = self.argument.as_ref().filter(|_| self.interpreter.ends_with("/env")) else {
            return Ok(None);
        };
        // All white space separates words, even a carriage return.
        let split = |rest: &str| {
            shlex::split(&rest.replace('\r', " "))
                .with_context(|| format!("env can't split `{rest}` into words"))
        };
        let words = match argument.strip_prefix('-').and_then(|option| option.split_once('S')) {
            Some((others, rest)) if others.chars().all(|c| c.is_ascii_alphanumeric()) => split(rest)?,
            _ => match argument.strip_prefix("--split-string") {
                Some(rest) => split(rest.trim_start_matches('='))?,
                None => vec![argument.clone()],
            },
        };
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            match word.trim_end_matches('\r') {
                "-u" | "--unset" | "-C" | "--chdir" => _ = words.next(),
                option if option.starts_with('-') || option.contains('=') => {}
                _ => return Ok(Some(word)),
            }
        }
        Ok(None)
    }
}

/// Explains a search for a name that ends in a carriage return.
pub(super) fn carriage_return(name: &str) -> String {
    format!(
        "its lines end in CRLF, so that a program `{}` is looked for (sed -i 's/\\r$//' mends that)",
        name.escape_debug()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn program_of_env_is_found_in_every_form() {
        let env_program = |line: &str| {
            let shebang = Shebang::of(format!("#!/usr/bin/env {line}\nexit\n").as_bytes()).unwrap();
            shebang.env_program().unwrap()
        };
        for (line, name) in [
            ("sh", "sh"),
            ("sh -e", "sh -e"),
            ("-S sh -e", "sh"),
            ("-Ssh", "sh"),
            ("-vS -i -u HOME A=1 sh", "sh"),
            ("--split-string='a b' c", "a b"),
            ("-S sh\r", "sh"),
        ] {
            assert_eq!(env_program(line).as_deref(), Some(name), "{line}");
        }
        assert_eq!(env_program("-i"), None);
    }
}
