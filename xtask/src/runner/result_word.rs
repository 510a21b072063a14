//! Word for a result: a verdict's, or `flaky`. Its symbol, colour and severity.

use std::fmt;

use console::{Style, StyledObject};
use scenarios::kernel_report::FailureKind;
use scenarios::verdict::{Failure, Verdict};

/// Word for a result, in the order in which a summary counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Word {
    Passed,
    /// The scenario passed in a retry.
    Flaky,
    Failed,
    Crashed,
    Hung,
    Broken,
    Skipped,
}

impl Word {
    pub const ALL: [Self; 7] =
        [Self::Passed, Self::Flaky, Self::Failed, Self::Crashed, Self::Hung, Self::Broken, Self::Skipped];

    /// Returns the word for a verdict after earlier attempts, or without any.
    pub fn of(verdict: &Verdict, was_retried: bool) -> Self {
        match verdict {
            Verdict::Passed if was_retried => Self::Flaky,
            Verdict::Passed => Self::Passed,
            Verdict::Failed(_) => Self::Failed,
            Verdict::Crashed(_) => Self::Crashed,
            Verdict::Hung(_) => Self::Hung,
            Verdict::Broken(_) => Self::Broken,
            Verdict::Skipped(_) => Self::Skipped,
        }
    }

    /// Returns the text, which is stable.
    pub fn name(self) -> &'static str {
        match self {
            Self::Passed => Verdict::Passed.word(),
            Self::Flaky => "flaky",
            Self::Failed => Verdict::Failed(Failure::default()).word(),
            Self::Crashed => FailureKind::Crashed.word(),
            Self::Hung => FailureKind::Hung.word(),
            Self::Broken => FailureKind::Broken.word(),
            Self::Skipped => Verdict::Skipped(String::new()).word(),
        }
    }

    /// Checks whether a scenario neither passed nor was skipped.
    pub fn is_bad(self) -> bool {
        matches!(self, Self::Failed | Self::Crashed | Self::Hung | Self::Broken)
    }

    /// Returns the severity: higher is worse.
    pub fn severity(self) -> u8 {
        match self {
            Self::Passed => 0,
            Self::Skipped => 1,
            Self::Flaky => 2,
            Self::Broken => 3,
            Self::Failed => 4,
            Self::Hung => 5,
            Self::Crashed => 6,
        }
    }

    pub fn mark(self) -> &'static str {
        match self {
            Self::Passed => "✓",
            Self::Flaky => "~",
            Self::Failed => "✗",
            Self::Crashed => "‼",
            Self::Hung => "…",
            Self::Broken => "?",
            Self::Skipped => "–",
        }
    }

    pub fn coloured_mark(self) -> StyledObject<&'static str> {
        self.colour().apply_to(self.mark())
    }

    pub fn colour(self) -> Style {
        match self {
            Self::Passed => Style::new().green(),
            Self::Failed | Self::Crashed | Self::Hung => Style::new().red(),
            Self::Broken | Self::Flaky => Style::new().yellow(),
            Self::Skipped => Style::new().dim(),
        }
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
