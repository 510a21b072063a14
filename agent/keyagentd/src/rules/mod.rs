//! The rules of request-key.conf(5): which program answers which request.
//!
//! The daemon reads them itself, rather than running request-key(8), for three reasons. Mistakes are reported when
//! the rules are loaded, with line and column, and not when a request fails. The helper is started with a known
//! environment, and is a child whose end the daemon sees. No second process is needed for each request.

mod command;
mod files;
mod parse;
mod pattern;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(crate) use command::{Action, Expansion, Unexpandable};
pub(crate) use files::{load, sources};
use pattern::Pattern;

/// What a rule is chosen by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question<'a> {
    pub(crate) operation: &'a [u8],
    pub(crate) kind: &'a [u8],
    pub(crate) description: &'a [u8],
    pub(crate) callout: &'a [u8],
}

/// A line of a file of rules.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) place: Place,
    patterns: [Pattern; 4],
    pub(crate) action: Action,
}

impl Rule {
    /// How much of the question the wildcards stand for, field by field. `None` if the rule does not match.
    fn skipped(&self, question: &Question<'_>) -> Option<[usize; 4]> {
        let [operation, kind, description, callout] = &self.patterns;
        Some([
            operation.skipped(question.operation)?,
            kind.skipped(question.kind)?,
            description.skipped(question.description)?,
            callout.skipped(question.callout)?,
        ])
    }
}

/// All rules, in the order in which they were read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules(Vec<Rule>);

impl Rules {
    /// The rule that matches best: the one whose wildcards stand for the least, where earlier fields count more.
    /// The first one of several.
    pub(crate) fn find(&self, question: &Question<'_>) -> Option<&Rule> {
        let matching = self.0.iter().filter_map(|rule| Some((rule.skipped(question)?, rule)));
        matching.min_by_key(|(skipped, _)| *skipped).map(|(_, rule)| rule)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.0.iter()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A line of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) file: Arc<PathBuf>,
    pub(crate) line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}

/// Whether the rules can be used in spite of a mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Severity {
    Error,
    Warning,
}

/// A mistake in the rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mistake {
    file: PathBuf,
    /// Line and column, from 1, of a mistake that is not the whole file's.
    at: Option<(usize, usize)>,
    pub(crate) severity: Severity,
    message: String,
}

impl Mistake {
    fn in_line(place: &Place, column: usize, severity: Severity, message: impl Into<String>) -> Self {
        let (file, at) = (place.file.to_path_buf(), Some((place.line, column)));
        Self { file, at, severity, message: message.into() }
    }

    fn in_file(file: &Path, severity: Severity, message: impl Into<String>) -> Self {
        Self { file: file.to_owned(), at: None, severity, message: message.into() }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if let Some((line, column)) = self.at {
            write!(f, "{line}:{column}:")?;
        }
        let severity = if self.severity == Severity::Error { "error" } else { "warning" };
        write!(f, " {severity}: {}", self.message)
    }
}
