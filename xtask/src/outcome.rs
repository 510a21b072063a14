//! Runs the scenarios that were asked for, and shows what comes of them: each verdict in the suite's order, whatever the
//! order in which they came.

use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use console::style;
use scenarios::scenario::Scenario;
use scenarios::verdict::Verdict;

use crate::display::Display;
use crate::image::Profile;
use crate::matrix;
use crate::report::{Column, Report, summary};
use crate::run::{self, Event};
use crate::terminal::Terminal;
use crate::testbed::Testbed;
use crate::times::Times;

/// Runs the scenarios in every column and shows what comes of them. Gives the exit code.
///
/// # Errors
/// There is no verdict at all, since no kernel could be had.
pub fn judge(testbed: &Testbed, scenarios: &[Scenario], terminal: &Terminal) -> Result<u8> {
    let started = Instant::now();
    let mut times = Times::recall(&testbed.cache);
    let mut show = Show::new(testbed, scenarios, terminal);
    let mut learnt = Vec::new();
    run::run(testbed, scenarios, &times, terminal, |event| {
        if let Event::Judged { ground, job, verdict: Verdict::Passed, took, .. } = &event {
            learnt.push((*ground, job.scenario, *took));
        }
        show.hear(event);
    });
    for (ground, scenario, took) in learnt {
        times.learn(&testbed.settings[ground], &scenarios[scenario].name, took);
    }
    times.remember();
    let columns = show.finish()?;
    tell(&columns, started.elapsed(), terminal);
    Ok(columns.iter().map(Column::exit_code).max().unwrap_or(0))
}

/// All that there is to say at the end.
fn tell(columns: &[Column], took: Duration, terminal: &Terminal) {
    for column in columns {
        column.reports.iter().filter_map(|it| it.details(&column.title)).for_each(|it| terminal.say(&it));
    }
    match columns {
        [one] => terminal.say(&format!("\n{}", summary(one, "scenario", took))),
        several => {
            terminal.say(&format!("\n{}\n", matrix::table(several)));
            for column in several {
                let lost = column.lost.as_ref().map(|why| format!("  no verdicts: {why}"));
                let lost = lost.unwrap_or_default();
                terminal.say(&format!(
                    "{}: {}{lost}",
                    style(&column.title).bold(),
                    summary(column, "scenario", took)
                ));
            }
        }
    }
}

/// What has been heard of the columns.
struct Show<'a> {
    testbed: &'a Testbed,
    scenarios: &'a [Scenario],
    terminal: &'a Terminal,
    display: Display,
    /// By column, then by scenario.
    reports: Vec<Vec<Option<Report>>>,
    /// What the kernels reported as their guests ended.
    ends: Vec<(usize, Report)>,
    lost: Vec<Option<String>>,
    /// How many lines of a single column have been shown.
    shown: usize,
}

impl<'a> Show<'a> {
    fn new(testbed: &'a Testbed, scenarios: &'a [Scenario], terminal: &'a Terminal) -> Self {
        let columns = testbed.columns.len();
        let total = columns * scenarios.len();
        Self {
            testbed,
            scenarios,
            terminal,
            display: Display::new(testbed.jobs.min(total), total, terminal),
            reports: vec![vec![None; scenarios.len()]; columns],
            ends: Vec::new(),
            lost: vec![None; columns],
            shown: 0,
        }
    }

    fn hear(&mut self, event: Event) {
        match event {
            Event::Ready { ground } => self.introduce(ground),
            Event::Lost { ground, why, stranded } => {
                if stranded.is_empty() {
                    self.terminal.note(&why);
                }
                self.display.stranded(stranded.len());
                for job in stranded {
                    self.lost[job.column].get_or_insert_with(|| why.clone());
                }
                let _ = ground;
            }
            Event::Begun { lane, ground, job, waiting } => {
                let scenario = &self.scenarios[job.scenario].name;
                let title = &self.testbed.columns[job.column].title;
                let kind = self.testbed.settings[ground].kind.to_string();
                let title = if title.ends_with(&kind) { title.clone() } else { format!("{title} {kind}") };
                self.display.begun(lane, format!("{}  {scenario}", title.trim_start()));
                self.display.left(waiting);
            }
            Event::Judged { ground, job, verdict, took, .. } => {
                self.display.judged(verdict.word());
                let spread = self.testbed.columns[job.column].grounds.len() > 1;
                let vm = spread.then_some(self.testbed.settings[ground].kind);
                let scenario = self.scenarios[job.scenario].name.clone();
                self.reports[job.column][job.scenario] = Some(Report { scenario, verdict, took, vm });
                if self.reports.len() == 1 {
                    self.show()
                } else {
                    self.show_of_many(job.column, job.scenario)
                }
            }
            Event::Left { lane, ground, verdict, took } => {
                self.display.begun(lane, "has nothing to do".into());
                if let Some(verdict) = verdict {
                    // What is lost shows only when all is over: it is laid to no single scenario.
                    let column = self.testbed.columns.iter().position(|it| it.grounds.contains(&ground));
                    let report = Report { scenario: "all/the guest's end".into(), verdict, took, vm: None };
                    self.ends.extend(column.map(|column| (column, report)));
                }
            }
        }
    }

    /// Says what a ground is, once it is known.
    fn introduce(&self, number: usize) {
        let Ok(ground) = self.testbed.ground(number, self.terminal) else { return };
        let about = match self.testbed.settings[number].kernel.profile {
            Profile::Plain => ground.describe(),
            profile => format!("{} {}", profile.name(), ground.describe()),
        };
        self.terminal.say(&format!("{} {}", style("keyagents").bold(), style(about).dim()));
    }

    /// Shows the only column's verdicts as far as they are complete.
    fn show(&mut self) {
        let Some(reports) = self.reports.first() else { return };
        while let Some(Some(report)) = reports.get(self.shown) {
            let scenario = &self.scenarios[self.shown];
            let before = self.shown.checked_sub(1).map(|index| self.scenarios[index].family.as_str());
            if before != Some(scenario.family.as_str()) {
                self.terminal.say(&format!("\n  {}", style(&scenario.family).bold()));
            }
            self.terminal.say_in_one_line(&report.line(scenario));
            self.shown += 1;
        }
    }

    /// Of several columns only what is bad is shown at once, and how each one went when it is complete.
    fn show_of_many(&self, column: usize, scenario: usize) {
        let (reports, title) = (&self.reports[column], &self.testbed.columns[column].title);
        if let Some(report) = reports[scenario].as_ref().filter(|report| report.is_bad()) {
            self.terminal.say_in_one_line(&report.line_of_many(title));
        }
        if reports.iter().all(Option::is_some) {
            let reports = reports.iter().flatten().cloned().collect();
            let column = Column { title: title.clone(), reports, lost: None };
            self.terminal.say(&format!("  {}: {}", style(title).bold(), column.tally()));
        }
    }

    fn finish(self) -> Result<Vec<Column>> {
        let Self { testbed, reports, ends, lost, .. } = self;
        let mut columns = Vec::new();
        for (index, (reports, lost)) in reports.into_iter().zip(lost).enumerate() {
            let mut reports: Vec<Report> = reports.into_iter().flatten().collect();
            reports
                .extend(ends.iter().filter(|(column, _)| *column == index).map(|(_, report)| report.clone()));
            let column = &testbed.columns[index];
            if column.optional
                && reports.is_empty()
                && let Some(why) = &lost
            {
                self.terminal.note(&format!("no column for {}: {why}", column.title));
                continue;
            }
            columns.push(Column { title: column.title.clone(), reports, lost });
        }
        match columns.as_slice() {
            [Column { lost: Some(why), reports, .. }] if reports.is_empty() => Err(anyhow!("{why}")),
            _ => Ok(columns),
        }
    }
}
