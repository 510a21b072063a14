//! Live display of a run: a line for each virtual machine, and one for the total. Hidden without a
//! terminal.

use std::time::Duration;

use indicatif::ProgressBar;

use crate::host::terminal::{self, Terminal};
use crate::runner::result_word::Word;
use crate::runner::scenario_result::Tally;

const WORKER: &str = "  {spinner:.cyan} {spent:>4.dim} {msg}";
const TOTAL: &str = "  {bar:24.cyan/dim} {pos}/{len} {msg}";

/// The display. It ends when it is dropped.
pub struct ProgressDisplay {
    workers: Vec<ProgressBar>,
    total_bar: ProgressBar,
    tally: Tally,
    left: Duration,
}

impl ProgressDisplay {
    pub fn new(workers: usize, total: usize, terminal: &Terminal) -> Self {
        let worker = |_| terminal.bar(WORKER, None).with_message("waiting for a kernel");
        let workers = (0..workers).map(worker).collect();
        let total_bar = terminal.bar(TOTAL, Some(total as u64));
        Self { workers, total_bar, tally: Tally::default(), left: Duration::ZERO }
    }

    pub fn started(&self, worker: usize, what: String) {
        if let Some(bar) = self.workers.get(worker) {
            bar.reset_elapsed();
            bar.set_message(what);
        }
    }

    /// Sets the remaining work in seconds of one worker; `None` while a kernel is missing.
    pub fn set_remaining(&mut self, work: Option<f64>) {
        let left = work.unwrap_or_default() / self.workers.len().max(1) as f64;
        self.left = Duration::try_from_secs_f64(left).unwrap_or_default();
        self.update();
    }

    pub fn judged(&mut self, word: Word) {
        self.tally.count(word);
        self.total_bar.inc(1);
        self.update();
    }

    pub fn stranded(&self, count: usize) {
        self.total_bar.set_length(self.total_bar.length().unwrap_or_default().saturating_sub(count as u64));
    }

    fn update(&self) {
        let parts = [self.tally.to_string(), terminal::remaining(self.left)];
        let parts: Vec<&str> = parts.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
        self.total_bar.set_message(parts.join(" · "));
    }
}

impl Drop for ProgressDisplay {
    fn drop(&mut self) {
        for bar in self.workers.iter().chain([&self.total_bar]) {
            bar.finish_and_clear();
        }
    }
}
