//! Reports for programs and for people: a file each, written whole, whatever becomes of the run.

pub mod comparison;
pub mod events;
pub mod github;
mod html;
mod json;
mod junit;
mod ktap;
pub mod live;
pub mod progress;

use std::mem::ManuallyDrop;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use chrono::{DateTime, Utc};

pub use crate::args::report::{Format, ReportArg};

use crate::host::interruption::{self, Cause, Registered};
use crate::host::output;
use crate::report::events::{End, Stream};
use crate::runner::last_run::LastRun;
use crate::runner::results::{RunResults, SharedResults};

/// Who is told of a run's beginning and its end.
#[derive(Default)]
pub struct Outlets {
    /// The reports that are written.
    pub report_args: Vec<ReportArg>,
    /// What the next run is to know of this one.
    pub last_run: Option<LastRun>,
    /// The program that reads events.
    pub events: Option<Stream>,
}

impl Outlets {
    fn is_empty(&self) -> bool {
        self.report_args.is_empty() && self.last_run.is_none() && self.events.is_none()
    }

    fn begin(&self, entries: &RunResults) -> Result<()> {
        if let Some(events) = &self.events {
            events.begin(entries);
        }
        self.remember(entries);
        write(files(&self.report_args), entries)
    }

    fn finish(&self, entries: &RunResults, end: End) -> Result<()> {
        self.remember(entries);
        write(&self.report_args, entries)?;
        if let Some(events) = &self.events {
            events.finish(entries, end);
        }
        Ok(())
    }

    fn remember(&self, entries: &RunResults) {
        if let Some(last_run) = &self.last_run {
            // It could be written when the run began, and is not what a run is for.
            let _ = last_run.write(entries);
        }
    }
}

/// Writes the reports of a run: at its beginning, when nothing is known, and again at its end.
///
/// A report that an earlier run has left is thus never taken for this one's, even if this one is killed.
pub struct ReportWriter {
    outlets: Arc<Outlets>,
    results: SharedResults,
    /// Whether the run's end has been written down.
    done: Arc<Mutex<bool>>,
    _registered: Option<Registered>,
}

impl ReportWriter {
    /// Writes reports that say that nothing is known, and sees to it that they say more when the run is interrupted.
    ///
    /// # Errors
    /// A report can't be written there.
    pub fn begin(outlets: Outlets, results: &SharedResults) -> Result<Self> {
        let mut reporter = Self {
            outlets: outlets.into(),
            results: results.clone(),
            done: Arc::default(),
            _registered: None,
        };
        if !reporter.outlets.is_empty() {
            reporter.outlets.begin(&results.entries())?;
            reporter._registered = Some(reporter.expect_end());
        }
        Ok(reporter)
    }

    /// Writes what is known at the end of the run, which an error may have cut short.
    ///
    /// # Errors
    /// A report can't be written.
    pub fn finish(&self, cut_short: Option<&anyhow::Error>) -> Result<()> {
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        *done = true;
        let mut entries = self.results.entries();
        entries.cut_short = cut_short.map(|error| format!("{error:#}"));
        self.outlets.finish(&entries, End::Exits)
    }

    /// Writes an event, unless the end of the run has been written.
    pub fn write_event(&self, write: impl FnOnce(&Stream)) {
        let done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(events) = self.outlets.events.as_ref().filter(|_| !*done) {
            write(events);
        }
    }

    /// What ends the run early ends it after the reports have been written.
    fn expect_end(&self) -> Registered {
        let (outlets, results, done) =
            (Arc::clone(&self.outlets), self.results.clone(), Arc::clone(&self.done));
        interruption::before_end(move |cause: &Cause| {
            // Held until the process ends: nobody writes a report after this.
            let done = ManuallyDrop::new(done.lock().unwrap_or_else(PoisonError::into_inner));
            if !**done {
                let mut entries = results.entries();
                entries.cut_short = Some(cause.describe());
                // Its path was good when the run began, and there is nobody left to be told.
                let _ = outlets.finish(&entries, End::Killed);
            }
        })
    }
}

impl Drop for ReportWriter {
    /// A run that ends by a panic leaves its reports, too.
    fn drop(&mut self) {
        let done = *self.done.lock().unwrap_or_else(PoisonError::into_inner);
        if !done && !self.outlets.is_empty() {
            let why = anyhow::anyhow!("the testbed itself failed");
            // Whatever is wrong now is less than what ended the run.
            let _ = self.finish(Some(&why));
        }
    }
}

/// Refuses reports that can't be written.
///
/// # Errors
/// There is no place for a report, or two are to be written to one file.
pub fn check(report_args: &[ReportArg]) -> Result<()> {
    for (index, report_arg) in report_args.iter().enumerate() {
        report_arg.check()?;
        if let Some(other) = report_args[..index].iter().find(|other| other.file == report_arg.file) {
            bail!(
                "two reports can't be one file: --report {report_arg} and --report {other}; give one another name"
            );
        }
    }
    Ok(())
}

/// When the run began.
fn when(entries: &RunResults) -> DateTime<Utc> {
    entries.began.into()
}

/// What is written at the beginning already. To standard output a report goes once.
fn files(report_args: &[ReportArg]) -> impl Iterator<Item = &ReportArg> {
    report_args.iter().filter(|report_arg| !output::is_standard_output(&report_arg.file))
}

fn write<'w>(report_args: impl IntoIterator<Item = &'w ReportArg>, entries: &RunResults) -> Result<()> {
    for report_arg in report_args {
        let text = match report_arg.format {
            Format::Ktap => ktap::text(entries),
            Format::Junit => junit::text(entries)?,
            Format::Json => json::text(entries)?,
            Format::Html => html::text(entries)?,
        };
        output::put_file(&report_arg.file, text.as_bytes())
            .with_context(|| format!("--report {report_arg}"))?;
    }
    Ok(())
}

/// To the millisecond: less is chance.
fn seconds(took: Duration) -> f64 {
    took.as_millis() as f64 / 1000.0
}

#[cfg(test)]
mod tests;
