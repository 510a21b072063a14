//! Terminal output: results on standard output, progress and notes on standard error.
//!
//! On a terminal, progress is drawn in place. Otherwise (no terminal, `CI`, `NO_COLOR`) it is one
//! plain line for each long task.

use std::collections::BTreeSet;
use std::env;
use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use console::style;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use kernel::Phase;

use crate::host::mutex::lock;
use crate::host::output;

const SPINNER: &str = "  {spinner:.cyan} {msg} {spent:.dim}";
const BYTES: &str = "  {spinner:.cyan} {msg} {bar:24.cyan/dim} {bytes}/{total_bytes} {left:.dim}";
const THINGS: &str = "  {spinner:.cyan} {msg} {bar:24.cyan/dim} {pos}/{len} {left:.dim}";

/// Minimum duration of a task that gets a line of its own.
const MIN_SHOWN: Duration = Duration::from_millis(1500);

#[derive(Debug)]
pub struct Terminal {
    live: bool,
    bars: MultiProgress,
    phase: Mutex<Option<Work>>,
    noted: Mutex<BTreeSet<String>>,
    /// True if standard output is reserved for a program, so that results go to standard error.
    results_redirected: AtomicBool,
    cancelled: AtomicBool,
}

impl Default for Terminal {
    fn default() -> Self {
        let colours = supports_colours();
        console::set_colors_enabled(colours && io::stdout().is_terminal());
        console::set_colors_enabled_stderr(colours && io::stderr().is_terminal());
        let live = colours && io::stderr().is_terminal() && !is_set("CI");
        let target = if live { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bars = MultiProgress::with_draw_target(target);
        let (phase, noted, results_redirected, cancelled) = Default::default();
        Self { live, bars, phase, noted, results_redirected, cancelled }
    }
}

impl Terminal {
    /// Reserves standard output if one of these files is standard output; results then go to
    /// standard error.
    pub fn reserve_standard_output<'f>(&self, files: impl IntoIterator<Item = &'f Path>) -> Result<()> {
        match files.into_iter().filter(|file| output::is_standard_output(file)).count() {
            0 => {}
            1 => self.redirect_results(),
            _ => bail!("only one of several files can go to standard output (-): name the others"),
        }
        Ok(())
    }

    /// Redirects results to standard error from now on: standard output is reserved for a program.
    pub fn redirect_results(&self) {
        console::set_colors_enabled(console::colors_enabled_stderr());
        self.results_redirected.store(true, Ordering::Relaxed);
    }

    /// Cancels the builds whose results are no longer needed.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// Starts a task of unknown length.
    pub fn work(&self, what: &str) -> Work {
        self.counted(what, SPINNER, None)
    }

    /// Starts a task of `total` items, whose end is reported by the caller.
    pub fn work_on(&self, what: &str, total: u64) -> Work {
        self.counted(what, THINGS, Some(total))
    }

    /// Adds a progress bar below all other output; hidden without a terminal. The template may
    /// contain `{spent}`, the elapsed time, and `{left}`, the remaining time.
    pub fn bar(&self, template: &str, total: Option<u64>) -> ProgressBar {
        let bar = total.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
        if let Ok(style) = ProgressStyle::with_template(template) {
            // Writing to the bar's own line can't fail.
            let style = style
                .with_key("spent", |bar: &ProgressState, to: &mut dyn fmt::Write| {
                    _ = to.write_str(&clock(bar.elapsed()));
                })
                .with_key("left", |bar: &ProgressState, to: &mut dyn fmt::Write| {
                    _ = to.write_str(&remaining(bar.eta()));
                });
            bar.set_style(style.progress_chars("━╸─"));
        }
        let bar = self.bars.add(bar);
        if self.live {
            bar.enable_steady_tick(Duration::from_millis(120));
        }
        bar
    }

    fn counted(&self, what: &str, template: &str, total: Option<u64>) -> Work {
        let announcement = (!self.live).then(|| announce_later(what.to_owned()));
        let bar = self.bar(template, total).with_message(what.to_owned());
        Work {
            bar,
            bars: self.bars.clone(),
            what: what.to_owned(),
            started: Instant::now(),
            _announcement: announcement,
        }
    }

    /// Prints a result on standard output.
    pub fn say(&self, line: &str) {
        self.above(|| match self.results_redirected.load(Ordering::Relaxed) {
            true => eprint_line(line),
            false => output::write_stdout(format!("{line}\n").as_bytes()),
        });
    }

    /// Prints a result of one line. On a narrow terminal, `rest` is cut and `line` is kept whole.
    pub fn print_line(&self, line: &str, rest: &str) {
        let screen = match self.results_redirected.load(Ordering::Relaxed) {
            true => console::Term::stderr(),
            false => console::Term::stdout(),
        };
        match screen.size_checked().filter(|_| screen.is_term()) {
            Some((_, width)) => self.say(&fit(line, rest, width.into())),
            None => self.say(&format!("{line}{rest}")),
        }
    }

    /// Prints a note for the user on standard error.
    pub fn note(&self, text: &str) {
        self.above(|| eprint_line(&format!("  {} {text}", style("note:").for_stderr().yellow())));
    }

    /// Prints a note that several parts of a command may produce, once.
    pub fn note_once(&self, text: &str) {
        if lock(&self.noted).insert(text.to_owned()) {
            self.note(text);
        }
    }

    pub fn error(&self, error: &anyhow::Error) {
        // A failed task is not finished; its display ends here.
        lock(&self.phase).take();
        self.above(|| output::error(&format!("{error:#}")));
    }

    fn above(&self, print: impl FnOnce()) {
        self.bars.suspend(print);
    }
}

/// Joins both parts into one line of `width` columns; `rest` is cut.
fn fit(line: &str, rest: &str, width: usize) -> String {
    match width.checked_sub(console::measure_text_width(line)) {
        None | Some(0) => line.trim_end().to_owned(),
        Some(left) => format!("{line}{}", console::truncate_str(rest, left, "…")),
    }
}

/// Checks whether a terminal should get colours and cursor movement.
pub fn supports_colours() -> bool {
    let dumb = env::var_os("TERM").is_none_or(|term| term == "dumb");
    !is_set("NO_COLOR") && !dumb
}

fn is_set(name: &str) -> bool {
    env::var_os(name).is_some_and(|value| !value.is_empty())
}

fn eprint_line(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Prints that a task is running, unless the returned sender is dropped before the minimum
/// duration.
fn announce_later(what: String) -> Sender<()> {
    let (alive, end) = channel();
    thread::spawn(move || {
        if end.recv_timeout(MIN_SHOWN) == Err(RecvTimeoutError::Timeout) {
            eprint_line(&format!("  {what} …"));
        }
    });
    alive
}

/// A running task. Dropping it ends its display.
#[derive(Debug)]
pub struct Work {
    /// Announces the task without a terminal.
    _announcement: Option<Sender<()>>,
    bar: ProgressBar,
    bars: MultiProgress,
    what: String,
    started: Instant,
}

impl Work {
    /// Sets the total amount that is done.
    pub fn reach(&self, amount: u64) {
        self.bar.set_position(amount);
    }

    /// Shows the current part of the task on the display.
    pub fn show(&self, part: &str) {
        self.bar.set_message(format!("{} · {part}", self.what));
    }

    /// Ends the task. One that took long leaves a permanent line.
    pub fn done(self) {
        let took = self.started.elapsed();
        self.bar.finish_and_clear();
        if took >= MIN_SHOWN {
            let tick = style("✓").for_stderr().green();
            let line = format!("  {tick} {} {}", self.what, style(seconds(took)).for_stderr().dim());
            self.bars.suspend(|| eprint_line(&line));
        }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

pub fn seconds(time: Duration) -> String {
    match time.as_secs() {
        0..60 => format!("{:.1} s", time.as_secs_f64()),
        _ => clock(time),
    }
}

/// Formats a duration that changes while it is displayed, in whole seconds.
fn clock(time: Duration) -> String {
    match time.as_secs() {
        short @ 0..60 => format!("{short} s"),
        long => format!("{} min {:02} s", long / 60, long % 60),
    }
}

/// Formats the remaining time; empty if it is unknown or below a second.
pub fn remaining(time: Duration) -> String {
    match time.as_secs() {
        0 => String::new(),
        _ => format!("{} left", clock(time)),
    }
}

impl kernel::Progress for Terminal {
    fn started(&self, phase: &Phase, total: Option<u64>) {
        let what = match phase {
            Phase::Download { file } => format!("Downloading {file}"),
            Phase::Unpack { file } => format!("Unpacking {file}"),
            Phase::Copy { from } => format!("Copying {}", from.display()),
            Phase::Checkout => "Checking the sources out".into(),
            Phase::Series => "Applying the series".into(),
            Phase::Configure => "Configuring".into(),
            Phase::Check { what } => format!("Checking {what}"),
            Phase::Selftests => "Building the kernel's selftests".into(),
            Phase::Mutants { count } => format!("Compiling {count} mutants"),
            Phase::Build => "Building the kernel".into(),
        };
        let template = match total {
            None => SPINNER,
            Some(_) if phase.in_bytes() => BYTES,
            Some(_) => THINGS,
        };
        let work = self.counted(&what, template, total);
        *lock(&self.phase) = Some(work);
    }

    fn done(&self, amount: u64) {
        if let Some(work) = &*lock(&self.phase) {
            // A build's total is an estimate: the bar grows rather than being full too early.
            if work.bar.length().is_some_and(|total| amount > total) {
                work.bar.set_length(amount);
            }
            work.reach(amount);
        }
    }

    fn finished(&self) {
        let work = lock(&self.phase).take();
        if let Some(work) = work {
            work.done();
        }
    }

    fn note(&self, text: &str) {
        Self::note(self, text);
    }

    fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn narrow_terminal_cuts_the_title_and_keeps_the_reason() {
        let line = "    – name  skipped: no smp  ";
        assert_eq!(fit(line, "A title", 80), format!("{line}A title"));
        assert_eq!(fit(line, "A title", 32), format!("{line}A …"));
        assert_eq!(fit(line, "A title", 20), line.trim_end());
    }

    #[test]
    fn durations_are_formatted_by_magnitude() {
        assert_eq!(seconds(Duration::from_millis(1234)), "1.2 s");
        assert_eq!(seconds(Duration::from_secs(185)), "3 min 05 s");
        assert_eq!(remaining(Duration::from_millis(95_900)), "1 min 35 s left");
        assert_eq!(remaining(Duration::from_millis(900)), "");
    }
}
