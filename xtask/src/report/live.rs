//! Runs the selected scenarios, and shows their verdicts in the suite's order as they become known.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use console::style;
use kernel::counted;
use scenarios::scenario::Scenario;
use scenarios::verdict::Verdict;

use crate::artifacts::image::Profile;
use crate::host::terminal::{Terminal, seconds};
use crate::report::final_table;
use crate::report::progress::ProgressDisplay;
use crate::runner::executor::{self, Event, Policy};
use crate::runner::result_word::Word;
use crate::runner::run_results::{ColumnResults, RunResults, SharedResults};
use crate::runner::scenario_result::{Attempt, ScenarioResult, summary};
use crate::runner::scheduler::Job;
use crate::runner::testbed::Testbed;
use crate::runner::timings::Timings;

/// Runs the scenarios in every column; records and shows the results. Returns the exit code.
/// `observer` observes every event.
pub fn run(
    testbed: &Testbed,
    results: &SharedResults,
    policy: Policy,
    terminal: &Terminal,
    mut observer: impl FnMut(&Event),
) -> Result<u8> {
    let started = Instant::now();
    let mut timings = Timings::load(&testbed.cache);
    results.entries().lay_out(testbed.about()?);
    let scenarios = &results.entries().scenarios.clone();
    let mut reporter = LiveReporter::new(testbed, scenarios, results, policy, terminal);
    let mut durations = Vec::new();
    executor::run(testbed, scenarios, &timings, policy, terminal, |event| {
        if let Event::Judged { environment, job, verdict: Verdict::Passed, took, .. } = &event {
            durations.push((*environment, job.scenario, *took));
        }
        observer(&event);
        reporter.on_event(event);
    });
    for (environment, scenario, took) in durations {
        timings.record(&testbed.specs[environment], &scenarios[scenario].name, took);
    }
    timings.save();
    reporter.finish()?;
    let entries = results.entries().clone();
    print_results(&entries.counted().collect::<Vec<_>>(), started.elapsed(), terminal);
    print_stop(&entries, terminal);
    Ok(entries.exit_code())
}

/// Prints the number of scenarios left by an early stop.
fn print_stop(entries: &RunResults, terminal: &Terminal) {
    let Some(why) = &entries.stopped else { return };
    let left = |part: &ColumnResults| part.verdicts.iter().filter(|it| it.is_none()).count();
    let left: usize = entries.counted().filter(|part| part.lost.is_none()).map(left).sum();
    if left > 0 {
        let what = counted(left, "scenario was", "scenarios were");
        terminal.say(&format!("{what} not run: {why}; --failed runs those that failed or were left out"));
    }
}

fn print_results(columns: &[&ColumnResults], took: Duration, terminal: &Terminal) {
    for column in columns {
        let details = column.results().filter_map(|it| it.details(&column.about.title));
        details.for_each(|it| terminal.say(&it));
    }
    match columns {
        [one] => terminal.say(&format!("\n{}", summary(&one.tally(), "scenario", Some(took)))),
        several => {
            terminal.say(&format!("\n{}\n", final_table::table(several)));
            for column in several {
                let lost = column.lost.as_ref().map(|why| format!("  no verdicts: {why}"));
                let counts = summary(&column.tally(), "scenario", None) + &lost.unwrap_or_default();
                terminal.say(&format!("{}: {counts}", style(&column.about.title).bold()));
            }
            terminal.say(&style(format!("All columns took {}.", seconds(took))).dim().to_string());
        }
    }
}

/// State of the display of results as they arrive.
struct LiveReporter<'a> {
    testbed: &'a Testbed,
    scenarios: &'a [Scenario],
    results: &'a SharedResults,
    policy: Policy,
    terminal: &'a Terminal,
    display: ProgressDisplay,
    /// Number of results shown, with a single column.
    shown: usize,
    earlier: BTreeMap<(usize, usize), Vec<Attempt>>,
}

impl<'a> LiveReporter<'a> {
    fn new(
        testbed: &'a Testbed,
        scenarios: &'a [Scenario],
        results: &'a SharedResults,
        policy: Policy,
        terminal: &'a Terminal,
    ) -> Self {
        let total = testbed.columns.len() * scenarios.len();
        let display = ProgressDisplay::new(testbed.jobs.min(total), total, terminal);
        let earlier = BTreeMap::new();
        Self { testbed, scenarios, results, policy, terminal, display, shown: 0, earlier }
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Ready { environment } => self.print_environment(environment),
            Event::Lost { why, stranded, .. } => self.lose(&why, &stranded),
            Event::Started { worker, environment, job, attempt, waiting } => {
                let scenario = &self.scenarios[job.scenario].name;
                let title = &self.testbed.columns[job.column].title;
                let kind = self.testbed.specs[environment].kind.to_string();
                let title = if title.ends_with(&kind) { title.clone() } else { format!("{title} {kind}") };
                let again = if attempt > 1 { format!(" (attempt {attempt})") } else { String::new() };
                self.display.started(worker, format!("{}  {scenario}{again}", title.trim_start()));
                self.display.set_remaining(waiting);
            }
            Event::Judged { job, attempt, verdict, took, retried: true, .. } => {
                let column = &self.testbed.columns[job.column].title;
                self.print_retry(column, &self.scenarios[job.scenario].name, attempt, &verdict);
                let attempts = self.earlier.entry((job.column, job.scenario)).or_default();
                attempts.push(Attempt { verdict, took });
            }
            Event::Judged { environment, job, verdict, took, .. } => {
                let scenario = self.scenarios[job.scenario].name.clone();
                let earlier = self.earlier.remove(&(job.column, job.scenario)).unwrap_or_default();
                let vm = Some(self.testbed.specs[environment].kind);
                self.record(&job, ScenarioResult { scenario, verdict, took, vm, earlier });
            }
            Event::ShutDown { worker, environment, shutdown, took } => {
                self.display.started(worker, "idle".into());
                if let Some(verdict) = shutdown.verdict {
                    self.record_shutdown(environment, verdict, took);
                }
            }
        }
    }

    /// Records an environment that can't be prepared.
    fn lose(&mut self, why: &str, stranded: &[Job]) {
        if stranded.is_empty() {
            self.terminal.note(why);
        }
        self.display.stranded(stranded.len());
        for job in stranded {
            self.results.entries().parts[job.column].lost.get_or_insert_with(|| why.to_owned());
        }
    }

    fn record(&mut self, job: &Job, report: ScenarioResult) {
        self.display.judged(report.word());
        let mut entries = self.results.entries();
        if self.policy.stops_after(&report.verdict) && entries.stopped.is_none() {
            entries.stopped = Some(format!("{} {} (--fail-fast)", report.scenario, report.word()));
        }
        entries.parts[job.column].verdicts[job.scenario] = Some(report);
        match entries.parts.as_slice() {
            [part] => self.shown = self.show(part),
            parts => self.show_in_matrix(&parts[job.column], job.scenario),
        }
    }

    /// Records a kernel report from a guest's shutdown. A leak shows only then; any scenario of the
    /// guest may have caused it.
    fn record_shutdown(&self, environment: usize, verdict: Verdict, took: Duration) {
        let column = self.testbed.column_of(environment);
        let vm = Some(self.testbed.specs[environment].kind);
        let report = ScenarioResult { took, vm, ..ScenarioResult::new("all/shutdown of the guest", verdict) };
        if let Some(column) = column {
            self.results.entries().parts[column].ends.push(report);
        }
    }

    /// Prints a retry at once. The scenario's own line follows with its verdict.
    fn print_retry(&self, column: &str, scenario: &str, attempt: u32, verdict: &Verdict) {
        let word = Word::of(verdict, false);
        let mark = word.coloured_mark();
        let column = if column.is_empty() { String::new() } else { format!(" on {column}") };
        let attempts = self.policy.retries.saturating_add(1);
        let line = format!("  {mark} {scenario} {word}{column}, attempt {attempt} of {attempts}");
        self.terminal.print_line(&line, "; retried in a new guest");
    }

    fn print_environment(&self, number: usize) {
        let Ok(environment) = self.testbed.environment(number, self.terminal) else { return };
        let about = match self.testbed.specs[number].kernel.profile {
            Profile::Plain => environment.describe(),
            profile => format!("{} {}", profile.name(), environment.describe()),
        };
        let with = self.testbed.specs[number].kernel.subsystem.map(|it| format!(" · with {it}"));
        let about = format!("{about}{}", with.unwrap_or_default());
        self.terminal.say(&format!("{} {}", style("keyagents").bold(), style(about).dim()));
    }

    /// Shows the verdicts of the only column up to the first missing one. Returns the number shown.
    fn show(&self, part: &ColumnResults) -> usize {
        let spread = self.testbed.columns.first().is_some_and(|column| column.environments.len() > 1);
        let mut shown = self.shown;
        while let Some(Some(report)) = part.verdicts.get(shown) {
            let scenario = &self.scenarios[shown];
            let before = shown.checked_sub(1).map(|index| self.scenarios[index].family.as_str());
            if before != Some(scenario.family.as_str()) {
                self.terminal.say(&format!("\n  {}", style(&scenario.family).bold()));
            }
            let (line, title) = report.line(scenario, spread);
            self.terminal.print_line(&line, &title);
            shown += 1;
        }
        shown
    }

    /// Shows only bad verdicts of several columns at once, and the counts of a column when it is
    /// complete.
    fn show_in_matrix(&self, part: &ColumnResults, scenario: usize) {
        let title = &part.about.title;
        if let Some(report) = part.verdicts[scenario].as_ref().filter(|report| report.has_details()) {
            self.terminal.print_line(&report.matrix_line(title), "");
        }
        if part.verdicts.iter().all(Option::is_some) {
            self.terminal.say(&format!("  {}: {}", style(title).bold(), part.tally()));
        }
    }

    /// Ends the display. If the only column has no result, the cause is an error.
    fn finish(self) -> Result<()> {
        let entries = self.results.entries();
        for part in entries.parts.iter().filter(|part| part.is_left_out()) {
            let why = part.lost.as_deref().unwrap_or_default();
            self.terminal.note(&format!("no column for {}: {why}", part.about.title));
        }
        match entries.counted().collect::<Vec<_>>().as_slice() {
            [ColumnResults { lost: Some(why), verdicts, ends, .. }]
                if ends.is_empty() && verdicts.iter().all(Option::is_none) =>
            {
                Err(anyhow!("{why}"))
            }
            _ => Ok(()),
        }
    }
}
