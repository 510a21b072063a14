//! List of lines that no test can reach, each with the reason.
//!
//! Entries identify code by its text and function, not by line numbers, so that edits elsewhere do
//! not affect them.

use std::fmt;

use serde::Deserialize;

use crate::coverage::{File, State};
use crate::host::exemptions::Exemption;

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unreachable {
    pub file: String,
    function: Option<String>,
    /// The line before them, where the same code occurs more than once.
    after: Option<String>,
    /// The lines, without indentation; `None` for the whole function.
    code: Option<String>,
    reason: String,
    /// Kernels that the entry applies to; `None` for all.
    kernels: Option<Vec<String>>,
}

impl Exemption for Unreachable {
    const NAME: &str = "unreachable";

    fn kernels(&self) -> Option<&[String]> {
        self.kernels.as_deref()
    }
}

impl Unreachable {
    /// Marks the file's lines as unreachable, with the reason.
    pub(super) fn apply(&self, file: &mut File) -> Result<(), String> {
        let numbers: Vec<usize> =
            self.place(file)?.filter(|number| file.lines.contains_key(number)).collect();
        if numbers.is_empty() {
            return Err("there is no code of the series' there".into());
        }
        let reached = numbers.iter().find(|number| matches!(file.lines[number].state, State::Reached(_)));
        if let Some(number) = reached {
            return Err(format!("line {number} was reached"));
        }
        for number in numbers {
            if let Some(line) = file.lines.get_mut(&number) {
                line.state = State::Unreachable(self.reason.clone());
            }
        }
        Ok(())
    }

    fn place(&self, file: &File) -> Result<impl Iterator<Item = usize> + use<>, String> {
        let within = match &self.function {
            None => 1..=file.text.len(),
            Some(name) => {
                let function = file.functions.iter().find(|function| function.name == *name);
                let function = function.ok_or("the series has no code in that function")?;
                function.first..=function.last
            }
        };
        let Some(code) = &self.code else { return Ok(within) };
        let code: Vec<&str> = code.trim().lines().map(str::trim).collect();
        let is_here = |first: &usize| {
            code.iter().enumerate().all(|(index, line)| file.source(first + index) == *line)
                && self.after.as_ref().is_none_or(|after| file.source(first - 1) == after.trim())
        };
        let last = (within.end() + 1).saturating_sub(code.len());
        match (*within.start()..=last).filter(is_here).collect::<Vec<_>>().as_slice() {
            [] => Err("there is no such code".into()),
            [first] => Ok(*first..=first + code.len() - 1),
            several => {
                let numbers: Vec<String> = several.iter().map(ToString::to_string).collect();
                Err(format!("it is in lines {}: say which with `after`", numbers.join(", ")))
            }
        }
    }
}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if let Some(function) = &self.function {
            write!(f, ", {function}()")?;
        }
        let code = self.code.as_ref().and_then(|code| code.trim().lines().next());
        code.map_or(Ok(()), |code| write!(f, ", `{}`", code.trim()))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::host::exemptions::parse;

    #[test]
    fn entry_applies_to_the_named_kernels() {
        let text = "[[unreachable]]\nfile = 'a.c'\ncode = 'x;'\nreason = 'r'\nkernels = ['7.3']\n";
        let entries = |kernel| parse::<Unreachable>(text, Path::new("u.toml"), kernel).unwrap().len();
        assert_eq!((entries("7.3"), entries("6.12")), (1, 0));
    }

    #[test]
    fn entry_for_an_unknown_kernel_is_refused() {
        let text = "[[unreachable]]\nfile = 'a.c'\ncode = 'x;'\nreason = 'r'\nkernels = ['6.l']\n";
        let error = parse::<Unreachable>(text, Path::new("u.toml"), "7.3").unwrap_err();
        let expected = "u.toml, the entry a.c, `x;`: `kernels`: there is no kernel named `6.l`; there are ";
        assert!(format!("{error:#}").starts_with(expected), "{error:#}");
    }

    #[test]
    fn entry_without_a_reason_is_refused() {
        let text = "[[unreachable]]\nfile = 'a.c'\n";
        let error = parse::<Unreachable>(text, Path::new("u.toml"), "7.3").unwrap_err();
        assert!(format!("{error:#}").contains("missing field `reason`"), "{error:#}");
    }

    #[test]
    fn entry_of_another_list_is_refused() {
        let text = "[[equivalent]]\nfile = 'a.c'\nreason = 'r'\n";
        let error = parse::<Unreachable>(text, Path::new("u.toml"), "7.3").unwrap_err();
        let expected = "can't read u.toml: `equivalent` is unknown; entries begin with [[unreachable]]";
        assert_eq!(format!("{error:#}"), expected);
    }
}
