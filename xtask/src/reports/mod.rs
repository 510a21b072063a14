//! Reports for programs and for people: a file each, written whole, whatever becomes of the run.

mod html;
mod json;
mod junit;
mod ktap;
mod wish;

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result, bail};
use chrono::{DateTime, Utc};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::{emulate_default_handler, signal_name};

pub use wish::{Format, Wish, place};

use crate::cache;
use crate::ledger::{Entries, Ledger};

/// Writes the reports of a run: at its beginning, when nothing is known, and again at its end.
///
/// A report that an earlier run has left is thus never taken for this one's, even if this one is killed.
pub struct Reporter {
    wishes: Arc<[Wish]>,
    ledger: Ledger,
    /// Whether the run's end has been written down.
    done: Arc<Mutex<bool>>,
}

impl Reporter {
    /// Writes reports that say that nothing is known, and sees to it that they say more when the run is interrupted.
    ///
    /// # Errors
    /// A report can't be written there.
    pub fn begin(wishes: &[Wish], ledger: &Ledger) -> Result<Self> {
        let reporter = Self { wishes: wishes.into(), ledger: ledger.clone(), done: Arc::default() };
        if !wishes.is_empty() {
            write(wishes, &ledger.entries())?;
            reporter.await_signals()?;
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
        let mut entries = self.ledger.entries();
        entries.cut_short = cut_short.map(|error| format!("{error:#}"));
        write(&self.wishes, &entries)
    }

    /// A signal that ends the run ends it after the reports have been written.
    fn await_signals(&self) -> Result<()> {
        let mut signals = Signals::new([SIGINT, SIGTERM]).context("can't listen for Ctrl-C")?;
        let (wishes, ledger, done) = (Arc::clone(&self.wishes), self.ledger.clone(), Arc::clone(&self.done));
        thread::spawn(move || {
            let Some(signal) = signals.forever().next() else { return };
            // Held until the process ends: nobody writes a report after this.
            let done = done.lock().unwrap_or_else(PoisonError::into_inner);
            let mut entries = ledger.entries();
            if !*done {
                let name = signal_name(signal).unwrap_or("a signal");
                entries.cut_short = Some(format!("the run was interrupted ({name})"));
                // Its path was good when the run began, and there is nobody left to be told.
                let _ = write(&wishes, &entries);
            }
            let _ = emulate_default_handler(signal);
        });
        Ok(())
    }
}

impl Drop for Reporter {
    /// A run that ends by a panic leaves its reports, too.
    fn drop(&mut self) {
        let done = *self.done.lock().unwrap_or_else(PoisonError::into_inner);
        if !done && !self.wishes.is_empty() {
            let why = anyhow::anyhow!("the testbed itself failed");
            // Whatever is wrong now is less than what ended the run.
            let _ = self.finish(Some(&why));
        }
    }
}

/// Refuses wishes that can't come true.
///
/// # Errors
/// There is no place for a report, or two are to be written to one file.
pub fn check(wishes: &[Wish]) -> Result<()> {
    for (index, wish) in wishes.iter().enumerate() {
        wish.check()?;
        if let Some(other) = wishes[..index].iter().find(|other| other.file == wish.file) {
            bail!(
                "two reports can't be one file: --report {wish} and --report {other}; give one another name"
            );
        }
    }
    Ok(())
}

/// When the run began.
fn when(entries: &Entries) -> DateTime<Utc> {
    entries.began.into()
}

fn write(wishes: &[Wish], entries: &Entries) -> Result<()> {
    for wish in wishes {
        let text = match wish.format {
            Format::Ktap => ktap::text(entries),
            Format::Junit => junit::text(entries)?,
            Format::Json => json::text(entries)?,
            Format::Html => html::text(entries)?,
        };
        // Through a symbolic link, which stays one.
        let file = wish.file.canonicalize().unwrap_or_else(|_| wish.file.clone());
        cache::write_whole(&file, text.as_bytes()).with_context(|| format!("--report {wish}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
