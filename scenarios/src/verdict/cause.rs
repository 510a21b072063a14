//! Cause of a crash, a hang or a broken run, with the evidence.

use std::fmt;
use std::path::PathBuf;

use crate::trace::Trace;
use crate::wire::Printed;

/// Cause of a crash, a hang or a broken run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cause {
    /// The error in one sentence.
    pub summary: String,
    /// The lines of the guest's console that show it.
    pub console: Vec<ConsoleLine>,
    /// The file with the whole console, if a guest was started.
    pub log: Option<PathBuf>,
    /// Reason why functions in the console have no place in the source.
    pub unlocated: Option<String>,
    /// The trace up to this point, if there is one.
    pub trace: Option<Trace>,
    /// What the scenario's programs have printed.
    pub printed: Vec<Printed>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsoleLine {
    /// As the guest printed it.
    pub text: String,
    /// File and line of the function that it names.
    pub place: Option<String>,
}

impl<T: Into<String>> From<T> for Cause {
    fn from(summary: T) -> Self {
        Self { summary: summary.into(), ..Self::default() }
    }
}

impl<T: Into<String>> From<T> for ConsoleLine {
    fn from(text: T) -> Self {
        Self { text: text.into(), place: None }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.summary.trim_end())?;
        for line in &self.console {
            write!(f, "\n  │ {line}")?;
        }
        if let Some(log) = &self.log {
            write!(f, "\n  the whole console: {}", log.display())?;
        }
        if let Some(why) = &self.unlocated {
            write!(f, "\n  (functions without file and line: {why})")?;
        }
        for printed in &self.printed {
            write!(f, "\n{printed}")?;
        }
        match &self.trace {
            Some(trace) => write!(f, "\n\nuntil then:\n{trace}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for ConsoleLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        match &self.place {
            Some(place) => write!(f, "  ← {place}"),
            None => Ok(()),
        }
    }
}
