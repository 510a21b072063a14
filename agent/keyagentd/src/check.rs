//! `keyagentd check`: what is wrong with the rules, and what would run for a key.

use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;

use super::answers::{CREATE, executable};
use super::args::CheckOptions;
use super::failure::{Code, Failure, Result};
use super::log;
use super::rules::{self, Expansion, Question, Rule, Severity};

/// Prints mistakes, one a line, and the rule for a key if one is named.
pub(crate) fn check(options: &CheckOptions) -> Result<ExitCode> {
    let (rules, mistakes) = rules::load(&options.rules);
    let mut lines: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
    let has_errors = mistakes.iter().any(|mistake| mistake.severity == Severity::Error);
    lines.extend(rules.iter().filter_map(missing_program));
    let mut code = if has_errors { Code::Config.into() } else { ExitCode::SUCCESS };
    if let (Some(kind), Some(description)) = (&options.kind, &options.description) {
        let question = Question {
            operation: CREATE.as_bytes(),
            kind: kind.as_bytes(),
            description: description.as_bytes(),
            callout: options.callout.as_bytes(),
        };
        match rules.find(&question) {
            Some(rule) => lines.push(format!("{}: {}", rule.place, command(rule, &question))),
            None => {
                lines.push("no rule matches: the request would be rejected with ENOKEY".to_owned());
                code = if has_errors { code } else { ExitCode::from(1) };
            }
        }
    }
    let mut stdout = io::stdout().lock();
    lines
        .iter()
        .try_for_each(|line| writeln!(stdout, "{}", log::on_one_line(line)))
        .map_err(Failure::os("print the result"))?;
    if has_errors {
        log::error(
            "the rules have errors: a daemon does not start with them, and one that runs keeps its old ones",
        );
    }
    Ok(code)
}

/// The command of a rule, with names for what only a request has.
fn command(rule: &Rule, question: &Question<'_>) -> String {
    let expanded = rule.action.expand(&Expansion {
        operation: question.operation,
        key: b"KEY",
        kind: question.kind,
        description: question.description,
        callout: question.callout,
        uid: b"UID",
        gid: b"GID",
        session: b"KEYRING",
    });
    let bar = if rule.action.is_pipe { "|" } else { "" };
    let program = rule.action.program.display();
    match expanded {
        Err(why) => format!("{bar}{program} is not run: {why}"),
        Ok(arguments) => {
            let word = |word: &OsString| {
                shlex::bytes::try_quote(word.as_bytes()).map_or_else(
                    |_| word.to_string_lossy().into_owned(),
                    |word| String::from_utf8_lossy(&word).into_owned(),
                )
            };
            let words: Vec<_> = arguments.iter().map(|argument| format!(" {}", word(argument))).collect();
            format!("{bar}{program}{}", words.concat())
        }
    }
}

/// The complaint about a rule's program that can't be executed.
fn missing_program(rule: &Rule) -> Option<String> {
    let program = &rule.action.program;
    let why = executable(program).err()?;
    Some(format!("{}: warning: can't execute {}: {why}", rule.place, program.display()))
}
