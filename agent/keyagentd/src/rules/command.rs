//! The command of a rule, and what its macros stand for.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// What a rule runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Action {
    /// Whether the callout information is piped in, and the payload out.
    pub(crate) is_pipe: bool,
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<Argument>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Argument {
    Literal(Vec<u8>),
    Macro(Macro),
    /// `%{TYPE:DESCRIPTION}`: the payload of a key of the requester.
    Payload(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Macro {
    Operation,
    Key,
    Kind,
    Description,
    Callout,
    Uid,
    Gid,
    ThreadKeyring,
    ProcessKeyring,
    SessionKeyring,
}

impl Macro {
    const NAMES: [(char, Self); 10] = [
        ('o', Self::Operation),
        ('k', Self::Key),
        ('t', Self::Kind),
        ('d', Self::Description),
        ('c', Self::Callout),
        ('u', Self::Uid),
        ('g', Self::Gid),
        ('T', Self::ThreadKeyring),
        ('P', Self::ProcessKeyring),
        ('S', Self::SessionKeyring),
    ];

    pub(crate) fn named(letter: u8) -> Option<Self> {
        Self::NAMES.iter().find(|(name, _)| *name == char::from(letter)).map(|(_, of)| *of)
    }

    /// Whether the requester has chosen what the macro stands for.
    fn is_requesters(self) -> bool {
        matches!(self, Self::Description | Self::Callout)
    }
}

/// As in a rule.
impl fmt::Display for Macro {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Self::NAMES.iter().filter(|(_, of)| of == self).try_for_each(|(name, _)| write!(f, "%{name}"))
    }
}

/// What the macros of a command stand for, as bytes. Numbers are decimal.
#[derive(Clone, Debug)]
pub(crate) struct Expansion<'a> {
    pub(crate) operation: &'a [u8],
    pub(crate) key: &'a [u8],
    pub(crate) kind: &'a [u8],
    pub(crate) description: &'a [u8],
    pub(crate) callout: &'a [u8],
    pub(crate) uid: &'a [u8],
    pub(crate) gid: &'a [u8],
    pub(crate) session: &'a [u8],
}

impl<'a> Expansion<'a> {
    fn of(&self, name: Macro) -> &'a [u8] {
        match name {
            Macro::Operation => self.operation,
            Macro::Key => self.key,
            Macro::Kind => self.kind,
            Macro::Description => self.description,
            Macro::Callout => self.callout,
            Macro::Uid => self.uid,
            Macro::Gid => self.gid,
            // An agent is given no keyring of the requester.
            Macro::ThreadKeyring | Macro::ProcessKeyring => b"0",
            Macro::SessionKeyring => self.session,
        }
    }
}

/// A command that must not be run for a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unexpandable {
    /// Otherwise a requester could choose an option of a program that runs with the daemon's rights. The text itself
    /// is left out, as callout information may be a secret.
    #[error(
        "can't pass {0} to the helper: it begins with `-` and could be taken for an option; write `--` before {0} in the \
         rule if the helper knows it"
    )]
    Option(Macro),
    #[error("can't pass the callout information to the helper: it contains a NUL byte")]
    Nul,
    #[error("can't find the key of %{{{0}}}: an agent is not given the requester's keyrings")]
    Payload(String),
}

impl Action {
    /// The arguments for one request, without the program's name.
    pub(crate) fn expand(&self, expansion: &Expansion<'_>) -> Result<Vec<OsString>, Unexpandable> {
        let mut is_after_options = false;
        let mut expanded = Vec::with_capacity(self.arguments.len());
        for argument in &self.arguments {
            let text = match argument {
                Argument::Literal(text) => {
                    is_after_options |= text == b"--";
                    text.as_slice()
                }
                Argument::Macro(name) => {
                    let text = expansion.of(*name);
                    if name.is_requesters() && text.starts_with(b"-") && !is_after_options {
                        return Err(Unexpandable::Option(*name));
                    }
                    text
                }
                Argument::Payload(key) => return Err(Unexpandable::Payload(key.clone())),
            };
            if text.contains(&0) {
                return Err(Unexpandable::Nul);
            }
            expanded.push(OsStr::from_bytes(text).to_owned());
        }
        Ok(expanded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPANSION: Expansion<'_> = Expansion {
        operation: b"create",
        key: b"7",
        kind: b"user",
        description: b"a; rm *\n",
        callout: b"-x",
        uid: b"1",
        gid: b"2",
        session: b"9",
    };

    fn expand(arguments: Vec<Argument>) -> Result<Vec<OsString>, Unexpandable> {
        Action { is_pipe: false, program: "/bin/a".into(), arguments }.expand(&EXPANSION)
    }

    #[test]
    fn each_macro_is_one_argument() {
        let macros: Vec<_> =
            b"oktdugTPS".iter().map(|name| Argument::Macro(Macro::named(*name).unwrap())).collect();
        assert_eq!(expand(macros).unwrap(), ["create", "7", "user", "a; rm *\n", "1", "2", "0", "0", "9"]);
    }

    #[test]
    fn requesters_option_is_passed_only_after_two_hyphens() {
        let callout = || Argument::Macro(Macro::Callout);
        let literal = |text: &[u8]| Argument::Literal(text.to_vec());
        assert!(
            Unexpandable::Option(Macro::Callout).to_string().starts_with("can't pass %c to the helper: it")
        );
        assert_eq!(expand(vec![literal(b"-v"), callout()]), Err(Unexpandable::Option(Macro::Callout)));
        assert_eq!(expand(vec![literal(b"--"), callout()]).unwrap(), ["--", "-x"]);
    }

    #[test]
    fn requesters_keys_are_not_found() {
        let expanded = expand(vec![Argument::Payload("user:a".into())]);
        assert_eq!(expanded, Err(Unexpandable::Payload("user:a".into())));
    }
}
