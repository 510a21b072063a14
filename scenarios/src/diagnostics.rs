//! Diagnostics of scenario files, with source locations.

use std::{fmt, iter, ops::Range};

use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteDiagnostic, NamedSource, Report};

/// One mistake in a scenario file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub message: String,
    /// Its place, in bytes from the start of the file.
    pub span: Range<usize>,
    pub help: Option<String>,
    /// Related places in the file, each with its label.
    pub related: Vec<(Range<usize>, String)>,
}

impl Problem {
    pub(crate) fn new(span: Range<usize>, message: impl Into<String>) -> Self {
        Self { message: message.into(), span, help: None, related: Vec::new() }
    }

    #[must_use]
    pub(crate) fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds the nearest of the right names as advice, or all of them if none is near.
    #[must_use]
    pub(crate) fn with_names<'n>(self, wrong: &str, right: impl IntoIterator<Item = &'n str>) -> Self {
        let right: Vec<&str> = right.into_iter().collect();
        match nearest(wrong, &right) {
            Some(name) => self.with_help(format!("did you mean `{name}`?")),
            None if right.is_empty() || right.len() > 40 => self,
            None => self.with_help(format!("known are: {}", right.join(", "))),
        }
    }

    fn report(&self, source: NamedSource<String>) -> Report {
        let primary = LabeledSpan::new_primary_with_span(None, self.span.clone());
        let related = self.related.iter().cloned();
        let related = related.map(|(span, label)| LabeledSpan::new_with_span(Some(label), span));
        let mut diagnostic =
            MietteDiagnostic::new(&self.message).with_labels(iter::once(primary).chain(related));
        diagnostic.help.clone_from(&self.help);
        Report::new(diagnostic).with_source_code(source)
    }
}

/// A list of one, so that `?` makes it in a parser that finds several.
impl From<Problem> for Vec<Problem> {
    fn from(problem: Problem) -> Self {
        vec![problem]
    }
}

/// Returns the most similar name.
fn nearest<'n>(wrong: &str, right: &[&'n str]) -> Option<&'n str> {
    let slips = |name: &str| strsim::damerau_levenshtein(wrong, name);
    right.iter().copied().filter(|name| slips(name) <= 1.max(name.len() / 3)).min_by_key(|name| slips(name))
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileProblems {
    /// The file's name, as it is shown.
    pub file: String,
    pub text: String,
    /// In the order of their places.
    pub problems: Vec<Problem>,
}

/// All mistakes in the scenarios that were read.
///
/// Its `Display` shows each problem as `file:line:column`, the line, a caret, and advice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostics {
    pub files: Vec<FileProblems>,
}

impl std::error::Error for Diagnostics {}

impl fmt::Display for Diagnostics {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let handler = GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor()).with_width(110);
        for file in &self.files {
            for problem in &file.problems {
                let source = NamedSource::new(&file.file, file.text.clone());
                handler.render_report(out, problem.report(source).as_ref())?;
            }
        }
        let count: usize = self.files.iter().map(|file| file.problems.len()).sum();
        write!(out, "{count} problem{}", if count == 1 { "" } else { "s" })
    }
}
