//! What answers a request: a rule, or the program of `--exec`.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use keyagent::{KeySerial, Request};
use rustix::fs::{Access, access};

use super::args::ServiceOptions;
use super::failure::{Code, Failure, Result};
use super::helper::{Answering, Program};
use super::log;
use super::rules::{self, Expansion, Question, Rule, Rules, Severity, Unexpandable};
use super::rules_watch::RulesWatch;

/// The operations that rules are chosen by.
pub(crate) const CREATE: &str = "create";
pub(crate) const NEGATE: &str = "negate";

/// All that answers requests.
#[derive(Debug)]
pub(crate) enum Answers {
    Rules { paths: Vec<PathBuf>, rules: Rules, watch: Option<RulesWatch> },
    Program(Vec<OsString>),
}

/// What answers one request.
#[derive(Clone, Debug)]
pub(crate) enum Handler {
    Rule(Box<Rule>),
    Program(Vec<OsString>),
}

impl Answers {
    /// Loads the rules, or finds the program. Rules with errors are refused.
    pub(crate) fn new(options: &ServiceOptions) -> Result<Self> {
        if let Some(program) = &options.exec {
            return find_program(program).map(Self::Program);
        }
        let paths = options.rules.clone();
        let Some(rules) = load(&paths) else {
            return Err(Failure::new(Code::Config, "can't use the rules: correct the errors above"));
        };
        let watch = RulesWatch::new(rules::sources(&paths));
        let watch = watch.inspect_err(|why| {
            log::warning(&format!("can't notice changes of the rules: {why}; send SIGHUP after a change"));
        });
        Ok(Self::Rules { paths, rules, watch: watch.ok() })
    }

    /// Readable when the rules may have changed.
    pub(crate) fn watch_fd(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Rules { watch: Some(watch), .. } => Some(watch.as_fd()),
            _ => None,
        }
    }

    /// Whether the files of rules have changed since the last call.
    pub(crate) fn have_changed(&mut self) -> bool {
        match self {
            Self::Rules { watch: Some(watch), .. } => watch.take(),
            _ => false,
        }
    }

    /// Loads the rules again. The old ones stay if the new ones have errors.
    pub(crate) fn reload(&mut self) {
        let Self::Rules { paths, rules, .. } = self else { return };
        match load(paths) {
            Some(new) => {
                *rules = new;
                log::info(&format!("loaded the rules: {}", rules.iter().count()));
            }
            None => log::error("can't use the new rules: correct the errors above; the old ones stay"),
        }
    }

    pub(crate) fn handler(&self, operation: &str, request: &Request) -> Option<Handler> {
        match self {
            Self::Program(words) => Some(Handler::Program(words.clone())),
            Self::Rules { rules, .. } => {
                let (kind, operation) = (request.kind().as_bytes(), operation.as_bytes());
                let (description, callout) = (request.description(), request.callout());
                let found = rules.find(&Question { operation, kind, description, callout });
                found.cloned().map(Box::new).map(Handler::Rule)
            }
        }
    }
}

impl Handler {
    /// The program for a request. `session` is the session keyring that it gets.
    pub(crate) fn program(
        &self,
        operation: &str,
        request: &Request,
        session: KeySerial,
    ) -> std::result::Result<Program, Unexpandable> {
        let requester = request.requester();
        let [key, uid, gid, session] = [
            request.key().to_string(),
            requester.uid.to_string(),
            requester.gid.to_string(),
            session.to_string(),
        ];
        match self {
            Self::Rule(rule) => {
                let arguments = rule.action.expand(&Expansion {
                    operation: operation.as_bytes(),
                    key: key.as_bytes(),
                    kind: request.kind().as_bytes(),
                    description: request.description(),
                    callout: request.callout(),
                    uid: uid.as_bytes(),
                    gid: gid.as_bytes(),
                    session: session.as_bytes(),
                })?;
                let answering = if rule.action.is_pipe { Answering::ByPipe } else { Answering::Itself };
                Ok(Program { path: rule.action.program.clone(), arguments, variables: Vec::new(), answering })
            }
            Self::Program(words) => {
                let description = OsStr::from_bytes(request.description()).to_owned();
                let variables = vec![
                    ("KEY_TYPE", request.kind().into()),
                    ("KEY_DESCRIPTION", description),
                    ("KEY_SERIAL", key.into()),
                    ("KEY_UID", uid.into()),
                    ("KEY_GID", gid.into()),
                ];
                let (path, arguments) =
                    words.split_first().map_or_else(Default::default, |(path, arguments)| {
                        (PathBuf::from(path), arguments.to_vec())
                    });
                Ok(Program { path, arguments, variables, answering: Answering::ByExitCode })
            }
        }
    }

    /// Where the handler comes from, for the log.
    pub(crate) fn origin(&self) -> String {
        match self {
            Self::Rule(rule) => rule.place.to_string(),
            Self::Program(_) => "--exec".to_owned(),
        }
    }
}

/// Loads rules and logs their mistakes. `None` if there are errors.
fn load(paths: &[PathBuf]) -> Option<Rules> {
    let (rules, mistakes) = rules::load(paths);
    for mistake in &mistakes {
        let log = if mistake.severity == Severity::Error { log::error } else { log::warning };
        log(&mistake.to_string());
    }
    if mistakes.iter().any(|mistake| mistake.severity == Severity::Error) {
        return None;
    }
    if rules.is_empty() {
        log::warning(&format!("there are no rules in {}: all requests will be rejected", listed(paths)));
    }
    Some(rules)
}

fn listed(paths: &[PathBuf]) -> String {
    let paths: Vec<_> = rules::sources(paths).iter().map(|path| path.display().to_string()).collect();
    paths.join(" and ")
}

/// The words of `--exec`, the first of which becomes an absolute path, as helpers are started in another directory.
fn find_program(line: &str) -> Result<Vec<OsString>> {
    let unparsable =
        |why: &str| Failure::new(Code::Usage, format!("can't parse the words of --exec {line:?}{why}"));
    let words = shlex::split(line).filter(|words| !words.is_empty()).ok_or_else(|| unparsable(""))?;
    if has_comment(line) {
        return Err(unparsable(": quote the `#`, which would begin a comment"));
    }
    let mut words: Vec<OsString> = words.into_iter().map(OsString::from).collect();
    let name = PathBuf::from(&words[0]);
    let unusable = |why| Failure::new(Code::Config, format!("can't execute {}: {why}", name.display()));
    let path = if name.components().count() > 1 {
        name.clone()
    } else {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut found = std::env::split_paths(&path).map(|directory| directory.join(&name));
        let found = found.find(|path| executable(path).is_ok());
        found.ok_or_else(|| unusable("it is not in a directory of $PATH".to_owned()))?
    };
    let path = std::path::absolute(&path).map_err(Failure::os("find the current directory"))?;
    executable(&path).map_err(unusable)?;
    words[0] = path.into_os_string();
    Ok(words)
}

/// Whether a `#` begins a comment. A further word would be lost in it.
fn has_comment(line: &str) -> bool {
    const FURTHER: &str = "further";
    let words = shlex::split(&format!("{} {FURTHER}", line.replace('\n', " ")));
    words.as_ref().and_then(|words| words.last()).is_none_or(|last| last != FURTHER)
}

/// Why a file can't be executed.
pub(crate) fn executable(path: &Path) -> std::result::Result<(), String> {
    match std::fs::metadata(path) {
        Err(why) => Err(why.to_string()),
        Ok(metadata) if !metadata.is_file() => Err("it is not a regular file".to_owned()),
        Ok(_) => access(path, Access::EXEC_OK).map_err(|why| why.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn program_is_found_in_path_and_refused_if_missing() {
        let words = find_program("sh -c 'exit 3'").unwrap();
        assert!(Path::new(&words[0]).is_absolute());
        assert_eq!(words[1..], ["-c", "exit 3"]);
        assert_eq!(find_program("sh a#b '#c'").unwrap()[1..], ["a#b", "#c"]);
        for (line, code) in [
            ("/nonexistent a", Code::Config),
            ("nonexistent-program", Code::Config),
            ("/etc", Code::Config),
            ("'", Code::Usage),
            ("sh #a", Code::Usage),
            ("sh #a\nb", Code::Usage),
        ] {
            assert_eq!(find_program(line).unwrap_err().code, code, "{line}");
        }
    }
}
