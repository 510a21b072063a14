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
use crate::terminal::{Terminal, seconds};
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
                let tally = column.tally();
                terminal.say(&format!(
                    "{}: {tally}{}",
                    style(&column.title).bold(),
                    lost.unwrap_or_default()
                ));
            }
            terminal.say(&style(format!("· {}", seconds(took))).dim().to_string());
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
                let title = if title.is_empty() { String::new() } else { format!("{title}  ") };
                let kind = self.testbed.settings[ground].kind;
                self.display.begun(lane, format!("{kind}  {title}{scenario}"));
                self.display.left(waiting);
            }
            Event::Judged { ground, job, verdict, took, .. } => {
                self.display.judged(verdict.word());
                let spread = self.testbed.columns[job.column].grounds.len() > 1;
                let vm = spread.then_some(self.testbed.settings[ground].kind);
                let scenario = self.scenarios[job.scenario].name.clone();
                self.reports[job.column][job.scenario] = Some(Report { scenario, verdict, took, vm });
                self.show();
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

    /// Shows a single column's verdicts as far as they are complete; of several columns only what is bad.
    fn show(&mut self) {
        let [reports] = self.reports.as_slice() else { return };
        while let Some(Some(report)) = reports.get(self.shown) {
            let scenario = &self.scenarios[self.shown];
            let before = self.shown.checked_sub(1).map(|index| self.scenarios[index].family.as_str());
            if before != Some(scenario.family.as_str()) {
                self.terminal.say(&format!("\n  {}", style(&scenario.family).bold()));
            }
            self.terminal.say(&report.line(scenario));
            self.shown += 1;
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
