//! Lines of a trace: their text in a snapshot, and its parser.

use std::fmt;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// A sysctl value, the initial state of a process, or the heading of a block.
    Heading(String),
    /// A step of a process.
    Step {
        /// Its number, from 1.
        number: usize,
        process: String,
        text: String,
        /// The result, if it is not success without a value. The results of several workers are in
        /// [`Line::Workers`].
        result: Option<String>,
    },
    /// A call in set-up, in the reaction to an upcall, or in a step that takes several calls.
    Call { process: String, text: String, result: Option<String> },
    /// An upcall that a process receives.
    Upcall {
        process: String,
        /// As in `upcall for k from box, uid 0`.
        text: String,
        /// Its ordinary completion, as in `answers with "c"`.
        completion: Option<String>,
    },
    /// The result of a number of workers of a step.
    Workers { count: usize, result: Option<String> },
    /// Lines that come several times. Without a number, it depends on chance.
    Repeated { times: Option<usize>, lines: Vec<Line> },
    /// The record of a tracepoint, or a remark.
    Remark(String),
    /// The end of a process.
    End { process: String, text: String },
}

impl Line {
    /// Returns true if it is about a process.
    pub(crate) fn is_by(&self, name: &str) -> bool {
        match self {
            Self::Step { process, .. }
            | Self::Call { process, .. }
            | Self::Upcall { process, .. }
            | Self::End { process, .. } => process == name,
            Self::Repeated { lines, .. } => lines.iter().any(|line| line.is_by(name)),
            Self::Heading(_) | Self::Workers { .. } | Self::Remark(_) => false,
        }
    }
}

/// Indentation of lines that belong to a step or to a process.
const INDENT: &str = "      ";
/// Further indentation of lines that come several times.
const REPEATED: &str = "  ";

const RESULT: &str = " → ";
const UPCALL: &str = "receives an upcall ";
pub(super) const ANSWERS: &str = "answers with ";
pub(super) const REJECTS: &str = "rejects it with ";
const EXITS: &str = "exits with ";
const IS_KILLED: &str = "is killed by ";
const AGAIN: &str = "again and again:";

impl fmt::Display for Line {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = |result: &Option<String>| match result {
            Some(result) => format!("{RESULT}{result}"),
            None => String::new(),
        };
        match self {
            Self::Heading(text) => out.write_str(text),
            Self::Step { number, process, text, result } => {
                write!(out, "{number:>3}.  {process} {text}{}", end(result))
            }
            Self::Call { process, text, result } => write!(out, "{INDENT}{process} {text}{}", end(result)),
            Self::Upcall { process, text, completion } => {
                write!(out, "{INDENT}{process} receives an {text}")?;
                completion.iter().try_for_each(|completion| write!(out, ", and {completion}"))
            }
            Self::Workers { count, result } => write!(out, "{INDENT}{count} ×{}", end(result)),
            Self::Repeated { times, lines } => {
                match times {
                    Some(times) => write!(out, "{INDENT}{times} times:")?,
                    None => write!(out, "{INDENT}{AGAIN}")?,
                }
                lines.iter().try_for_each(|line| write!(out, "\n{REPEATED}{line}"))
            }
            Self::Remark(text) => write!(out, "{INDENT}{text}"),
            Self::End { process, text } => write!(out, "{process} {text}"),
        }
    }
}

/// Parses the trace in a snapshot, given the names of all processes.
pub(super) fn parse(text: &str, processes: &[&str]) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for line in text.trim_end().lines() {
        let repeated = line.strip_prefix(REPEATED).filter(|line| line.starts_with(INDENT));
        match (repeated, lines.last_mut()) {
            (Some(line), Some(Line::Repeated { lines, .. })) => lines.push(parse_line(line, processes)),
            _ => lines.push(parse_line(line, processes)),
        }
    }
    lines
}

fn parse_line(line: &str, processes: &[&str]) -> Line {
    match line.strip_prefix(INDENT) {
        Some(text) => parse_indented(text, processes),
        None => parse_step(line, processes).unwrap_or_else(|| match by(line, processes) {
            Some((process, text)) if text.starts_with(EXITS) || text.starts_with(IS_KILLED) => {
                Line::End { process: process.to_owned(), text: text.to_owned() }
            }
            _ => Line::Heading(line.to_owned()),
        }),
    }
}

fn parse_step(line: &str, processes: &[&str]) -> Option<Line> {
    let (number, text) = line.split_once(".  ")?;
    let (process, text) = by(text, processes)?;
    let (text, result) = split_result(text);
    Some(Line::Step { number: number.trim_start().parse().ok()?, process: process.to_owned(), text, result })
}

fn parse_indented(line: &str, processes: &[&str]) -> Line {
    let Some((process, text)) = by(line, processes) else {
        if let Some((count, result)) = line.split_once(" ×")
            && let Ok(count) = count.parse()
        {
            return Line::Workers { count, result: split_result(result).1 };
        }
        let times = line.strip_suffix(" times:").and_then(|times| times.parse().ok());
        return match times {
            None if line != AGAIN => Line::Remark(line.to_owned()),
            times => Line::Repeated { times, lines: Vec::new() },
        };
    };
    let process = process.to_owned();
    if !text.starts_with(UPCALL) {
        let (text, result) = split_result(text);
        return Line::Call { process, text, result };
    }
    let text = text.trim_start_matches("receives an ");
    let completed = [ANSWERS, REJECTS].into_iter().filter_map(|it| text.find(&format!(", and {it}"))).min();
    let (text, completion) = text.split_at(completed.unwrap_or(text.len()));
    let completion = completion.strip_prefix(", and ").map(str::to_owned);
    Line::Upcall { process, text: text.to_owned(), completion }
}

/// Splits `box reads k` into `box` and `reads k`.
fn by<'l>(line: &'l str, processes: &[&str]) -> Option<(&'l str, &'l str)> {
    line.split_once(' ').filter(|(process, _)| processes.contains(process))
}

/// Splits a call from its result. An arrow in a quoted text is part of the call.
fn split_result(text: &str) -> (String, Option<String>) {
    let (mut quoted, mut escaped) = (false, false);
    for (at, character) in text.char_indices() {
        if let Some(result) = text[at..].strip_prefix(RESULT).filter(|_| !quoted) {
            return (text[..at].to_owned(), Some(result.to_owned()));
        }
        quoted ^= character == '"' && !escaped;
        escaped = character == '\\' && !escaped;
    }
    (text.to_owned(), None)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{snapshot, suite};

    #[test]
    fn every_snapshot_of_the_suite_is_printed_as_it_was_read() {
        let suite = suite::load(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/suite"))).unwrap();
        let mut upcalls = 0;
        for scenario in &suite {
            let trace = snapshot::read(scenario).unwrap().unwrap();
            assert_eq!(snapshot::compare(scenario, &trace.to_string()).unwrap(), [], "{}", scenario.name);
            upcalls += trace.lines.iter().filter(|line| matches!(line, Line::Upcall { .. })).count();
            let steps = trace.lines.iter().filter(|line| matches!(line, Line::Step { .. })).count();
            assert_eq!(steps, scenario.plan().steps.len(), "{}", scenario.name);
        }
        assert!(upcalls > suite.len() / 2, "{upcalls} upcalls");
    }

    #[test]
    fn each_kind_of_line_is_told_apart() {
        let trace = "agent is a keyagent\n      agent registers for \"a → b\" → agent\n\
                     \x20 1.  box requests user \"k\", 2 times at once\n\
                     \x20     agent receives an upcall for k from box, uid 0, and answers with \"c\"\n\
                     \x20     2 times:\n        agent reads k\n      2 ×\n      dispatch key=k\n\
                     \x20 2.  agent has ended → not in time\nagent is killed by SIGKILL";
        let lines = parse(trace, &["agent", "box"]);
        let told: Vec<String> = lines.iter().map(|line| format!("{line:?}")).collect();
        assert_eq!(
            told,
            [
                r#"Heading("agent is a keyagent")"#,
                r#"Call { process: "agent", text: "registers for \"a → b\"", result: Some("agent") }"#,
                r#"Step { number: 1, process: "box", text: "requests user \"k\", 2 times at once", result: None }"#,
                r#"Upcall { process: "agent", text: "upcall for k from box, uid 0", completion: Some("answers with \"c\"") }"#,
                r#"Repeated { times: Some(2), lines: [Call { process: "agent", text: "reads k", result: None }] }"#,
                "Workers { count: 2, result: None }",
                r#"Remark("dispatch key=k")"#,
                r#"Step { number: 2, process: "agent", text: "has ended", result: Some("not in time") }"#,
                r#"End { process: "agent", text: "is killed by SIGKILL" }"#,
            ]
        );
    }
}
