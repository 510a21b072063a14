//! Live display of a run: a line for each virtual machine, and one for the total. Hidden without a
//! terminal.

use std::time::Duration;

use indicatif::ProgressBar;

use crate::host::terminal::{self, Terminal};
use crate::runner::result::Tally;
use crate::runner::word::Word;

const LANE: &str = "  {spinner:.cyan} {past:>4.dim} {msg}";
const WHOLE: &str = "  {bar:24.cyan/dim} {pos}/{len} {msg}";

/// The display. It ends when it is dropped.
pub struct Display {
    workers: Vec<ProgressBar>,
    whole: ProgressBar,
    tally: Tally,
    left: Duration,
}

impl Display {
    /// Creates a display for `workers` workers and `total` verdicts.
    pub fn new(workers: usize, total: usize, terminal: &Terminal) -> Self {
        let worker = |_| terminal.bar(LANE, None).with_message("waits for a kernel");
        let workers = (0..workers).map(worker).collect();
        let whole = terminal.bar(WHOLE, Some(total as u64));
        Self { workers, whole, tally: Tally::default(), left: Duration::ZERO }
    }

    /// Shows a worker's next scenario.
    pub fn begun(&self, worker: usize, what: String) {
        if let Some(bar) = self.workers.get(worker) {
            bar.reset_elapsed();
            bar.set_message(what);
        }
    }

    /// Sets the remaining work in seconds of one worker; `None` while a kernel is missing.
    pub fn left(&mut self, work: Option<f64>) {
        let left = work.unwrap_or_default() / self.workers.len().max(1) as f64;
        self.left = Duration::try_from_secs_f64(left).unwrap_or_default();
        self.tell();
    }

    /// Counts a verdict with this word.
    pub fn judged(&mut self, word: Word) {
        self.tally.count(word);
        self.whole.inc(1);
        self.tell();
    }

    /// Removes `count` verdicts from the total.
    pub fn stranded(&self, count: usize) {
        self.whole.set_length(self.whole.length().unwrap_or_default().saturating_sub(count as u64));
    }

    fn tell(&self) {
        let told = [self.tally.to_string(), terminal::left(self.left)];
        let told: Vec<&str> = told.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
        self.whole.set_message(told.join(" · "));
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        for bar in self.workers.iter().chain([&self.whole]) {
            bar.finish_and_clear();
        }
    }
}
