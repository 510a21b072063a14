//! Reports of a run. Each is one file, which is complete even if the run is interrupted.

pub mod events;
pub mod final_table;
pub mod github;
mod html;
mod json;
mod junit;
mod ktap;
pub mod live;
pub mod progress;

use std::mem::ManuallyDrop;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use chrono::{DateTime, Utc};

pub use crate::args::report::{Format, ReportArg};

use crate::host::interruption::{self, Cause, Registered};
use crate::host::mutex::lock;
use crate::host::output;
use crate::report::events::{End, Stream};
use crate::runner::last_run::LastRun;
use crate::runner::run_results::{RunResults, SharedResults};

/// Destinations of a run's results.
#[derive(Default)]
pub struct Outlets {
    pub report_args: Vec<ReportArg>,
    /// Record of failed scenarios, for the next run.
    pub last_run: Option<LastRun>,
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
        // Standard output is written once, at the end.
        write(self.report_args.iter().filter(|it| !output::is_standard_output(&it.file)), entries)
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
            // The file could be written when the run started, and is not the purpose of a run.
            let _ = last_run.write(entries);
        }
    }
}

/// Writer of a run's reports: first without results, at the start, and again at the end.
///
/// A report of an earlier run is thus never mistaken for this one's, even if this one is killed.
pub struct ReportWriter {
    outlets: Arc<Outlets>,
    results: SharedResults,
    /// True after the final reports have been written.
    done: Arc<Mutex<bool>>,
    _registered: Option<Registered>,
}

impl ReportWriter {
    /// Writes reports without results, and registers the final ones for an interruption.
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

    /// Writes the final reports. `cut_short` is the error that ended the run, if any.
    pub fn finish(&self, cut_short: Option<&anyhow::Error>) -> Result<()> {
        let mut done = lock(&self.done);
        *done = true;
        let mut entries = self.results.entries();
        entries.cut_short = cut_short.map(|error| format!("{error:#}"));
        self.outlets.finish(&entries, End::Exits)
    }

    /// Writes an event, unless the final reports have been written.
    pub fn write_event(&self, write: impl FnOnce(&Stream)) {
        let done = lock(&self.done);
        if let Some(events) = self.outlets.events.as_ref().filter(|_| !*done) {
            write(events);
        }
    }

    /// Registers the final reports to be written before an early end of the process.
    fn expect_end(&self) -> Registered {
        let (outlets, results, done) =
            (Arc::clone(&self.outlets), self.results.clone(), Arc::clone(&self.done));
        interruption::before_end(move |cause: &Cause| {
            // Locked until the process ends, so that no report is written after this.
            let done = ManuallyDrop::new(lock(&done));
            if !**done {
                let mut entries = results.entries();
                entries.cut_short = Some(cause.describe());
                // The path was valid when the run started, and an error could no longer be reported.
                let _ = outlets.finish(&entries, End::Killed);
            }
        })
    }
}

impl Drop for ReportWriter {
    /// Writes the reports of a run that ends by a panic.
    fn drop(&mut self) {
        let done = *lock(&self.done);
        if !done && !self.outlets.is_empty() {
            let why = anyhow::anyhow!("the testbed itself failed");
            // An error here is less important than the panic.
            let _ = self.finish(Some(&why));
        }
    }
}

pub fn check(report_args: &[ReportArg]) -> Result<()> {
    for (index, report_arg) in report_args.iter().enumerate() {
        output::check_writable(&report_arg.file)?;
        if let Some(other) = report_args[..index].iter().find(|other| other.file == report_arg.file) {
            bail!(
                "two reports can't be one file: --report {report_arg} and --report {other}; give one another name"
            );
        }
    }
    Ok(())
}

fn when(entries: &RunResults) -> DateTime<Utc> {
    entries.started.into()
}

fn write<'w>(report_args: impl IntoIterator<Item = &'w ReportArg>, entries: &RunResults) -> Result<()> {
    for report_arg in report_args {
        let text = match report_arg.format {
            Format::Ktap => ktap::text(entries),
            Format::Junit => junit::text(entries)?,
            Format::Json => json::text(entries)?,
            Format::Html => html::text(entries)?,
        };
        output::write_file(&report_arg.file, text.as_bytes())
            .with_context(|| format!("--report {report_arg}"))?;
    }
    Ok(())
}

/// Rounds to milliseconds; smaller differences are noise.
fn seconds(took: Duration) -> f64 {
    took.as_millis() as f64 / 1000.0
}

#[cfg(test)]
mod tests;
