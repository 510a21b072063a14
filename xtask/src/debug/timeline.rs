//! Timeline of one scenario: console lines, events and tracepoints of the guest in chronological
//! order.
//!
//! Console lines have the kernel's time since boot, events the time since the start of their plan.
//! PID 1 logs that start, so that both convert to one clock: seconds since the start of the plan.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use console::style;
use scenarios::kernel_report::message;
use scenarios::plan::Plan;
use scenarios::trace;
use scenarios::wire::{Event, GuestMessage};

use crate::host::mutex::lock;
use crate::vm::{GuestOutput, OutputObserver};

/// Reordering delay: the console and the channel have different latencies.
const GRACE: Duration = Duration::from_millis(150);

/// Message that PID 1 logs at the start of a plan.
const START_MESSAGE: &str = "keyagents: begins ";

/// Prefix of a tracepoint's record on the console.
const TRACEPOINT: &str = "keyagent_";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Console,
    Event,
    Trace,
}

/// Received output, before conversion to the plan's time.
enum Received {
    Console(String),
    Event(Box<Event>),
}

/// A line that waits for the reordering delay.
#[derive(Debug, Clone, PartialEq)]
struct Line {
    /// Seconds since the start of the plan.
    at: f64,
    source: Source,
    text: String,
}

/// Timeline that is printed as the run proceeds.
pub struct Timeline {
    printer: JoinHandle<()>,
    sender: Sender<Received>,
}

impl Timeline {
    /// Creates a timeline for a plan, whose lines are passed to `print`.
    pub fn of(plan: Plan, print: impl FnMut(&str) + Send + 'static) -> Self {
        let (sender, inbox) = channel();
        let printer = Printer { plan, print, clock: Clock::default(), waiting: Vec::new() };
        let printer = thread::spawn(move || printer.run(&inbox));
        Self { printer, sender }
    }

    pub fn observer(&self) -> OutputObserver {
        let sender = self.sender.clone();
        let unfinished = Mutex::new(Vec::new());
        OutputObserver::new(move |output| {
            match output {
                GuestOutput::Console(bytes) => {
                    let mut unfinished = lock(&unfinished);
                    unfinished.extend_from_slice(bytes);
                    while let Some(end) = unfinished.iter().position(|byte| *byte == b'\n') {
                        let line: Vec<u8> = unfinished.drain(..=end).collect();
                        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
                        // The receiver is gone at the end.
                        let _ = sender.send(Received::Console(line));
                    }
                }
                GuestOutput::Message(line) => {
                    if let Ok(GuestMessage::Event(event)) = serde_json::from_str(line) {
                        let _ = sender.send(Received::Event(Box::new(event)));
                    }
                }
            }
        })
    }

    /// Waits until all lines are printed. The guest must have ended.
    pub fn end(self) {
        drop(self.sender);
        // A panic of the thread would only lose further lines.
        let _ = self.printer.join();
    }
}

struct Printer<F> {
    plan: Plan,
    print: F,
    clock: Clock,
    waiting: Vec<(Instant, Line)>,
}

impl<F: FnMut(&str)> Printer<F> {
    fn run(mut self, inbox: &Receiver<Received>) {
        loop {
            match inbox.recv_timeout(GRACE / 3) {
                Ok(received) => {
                    let line = self.line(received);
                    self.waiting.extend(line.map(|line| (Instant::now(), line)));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.print_older_than(GRACE);
        }
        self.print_older_than(Duration::ZERO);
    }

    fn line(&mut self, received: Received) -> Option<Line> {
        match received {
            Received::Console(text) => self.clock.console_line(&text),
            Received::Event(event) => Some(Line {
                at: event.at_us as f64 / 1e6,
                source: Source::Event,
                text: trace::describe_event(&self.plan, &event),
            }),
        }
    }

    /// Prints, in order, all lines up to the last one that has waited for `age`.
    fn print_older_than(&mut self, age: Duration) {
        let due = self.waiting.iter().filter(|(since, _)| since.elapsed() >= age).map(|(_, line)| line.at);
        let Some(until) = due.reduce(f64::max) else { return };
        self.waiting.sort_by(|(_, one), (_, other)| one.at.total_cmp(&other.at));
        let later = self.waiting.partition_point(|(_, line)| line.at <= until);
        for (_, line) in self.waiting.drain(..later) {
            (self.print)(&line.shown());
        }
    }
}

impl Line {
    fn shown(&self) -> String {
        let (source, text) = match self.source {
            Source::Console => ("console", style(&self.text).dim()),
            Source::Event => ("event  ", style(&self.text)),
            Source::Trace => ("trace  ", style(&self.text).cyan()),
        };
        format!("{:>11.6} {} {text}", self.at, style(source).dim())
    }
}

/// Conversion of the kernel's time to the plan's.
#[derive(Debug, Default)]
struct Clock {
    /// Start of the plan, in the kernel's time.
    start: Option<f64>,
    /// Time of the last line, in the plan's time.
    last: f64,
}

impl Clock {
    /// Converts a console line; `None` before the start of the plan.
    fn console_line(&mut self, line: &str) -> Option<Line> {
        let stamp = stamp(line);
        let text = message(line);
        if let (true, Some(stamp)) = (text.starts_with(START_MESSAGE), stamp) {
            self.start = Some(stamp);
        }
        let start = self.start?;
        self.last = stamp.map_or(self.last, |stamp| stamp - start);
        let source = if text.starts_with(TRACEPOINT) { Source::Trace } else { Source::Console };
        Some(Line { at: self.last, source, text: text.to_owned() })
    }
}

/// Returns the seconds of `[    1.234567] …`.
fn stamp(line: &str) -> Option<f64> {
    line.strip_prefix('[')?.split_once(']')?.0.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn console_and_trace_times_are_relative_to_the_plan() {
        let mut clock = Clock::default();
        assert_eq!(clock.console_line("[    1.000000] Linux version"), None);
        assert!(clock.console_line("[    1.500000] keyagents: begins f/n").is_some());
        let line = clock.console_line("[    1.750000] keyagent_register: key=7").unwrap();
        assert_eq!(line, Line { at: 0.25, source: Source::Trace, text: "keyagent_register: key=7".into() });
        // A line without a time stamp has the time of the line before it.
        let line = clock.console_line("Oops: 0000 [#1]").unwrap();
        assert_eq!((line.at, line.source), (0.25, Source::Console));
    }

    #[test]
    fn lines_are_printed_in_chronological_order() {
        let (printed, lines) = channel();
        let plan = r#"{"protocol":0,"name":"f/n","deadline_ms":1,"processes":[],"steps":[]}"#;
        let timeline = Timeline::of(serde_json::from_str(plan).unwrap(), move |line| {
            let _ = printed.send(console::strip_ansi_codes(line).into_owned());
        });
        let observer = timeline.observer();
        let event = r#"{"event":{"process":"box","at_us":100,"kind":{"ended":{"exited":3}}}}"#;
        observer.observe(GuestOutput::Message(event));
        observer.observe(GuestOutput::Console(b"[    1.000000] keyagents: begins f/n\n[    1.000050] hel"));
        observer.observe(GuestOutput::Console(b"lo\n"));
        drop(observer);
        timeline.end();
        let lines: Vec<String> = lines.into_iter().collect();
        let expected = [
            "   0.000000 console keyagents: begins f/n",
            "   0.000050 console hello",
            "   0.000100 event   box exits with 3",
        ];
        assert_eq!(lines, expected);
    }
}
