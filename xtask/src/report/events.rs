//! Event stream of a run for other programs: one line of JSON per event. docs/running.md documents
//! the events.

use std::collections::BTreeMap;
use std::sync::Mutex;

use serde::{Deserialize, Serialize};

use crate::host::mutex::lock;
use crate::host::output;
use crate::host::terminal::Terminal;
use crate::runner::executor::Event;
use crate::runner::result_word::Word;
use crate::runner::run_results::{ColumnResults, RunResults, SharedResults};
use crate::runner::scheduler::Job;
use crate::runner::testbed::Testbed;

/// Version of the documented format. Events and fields may be added in the same version; existing
/// ones keep their meaning.
const VERSION: u32 = 1;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum Line {
    RunStarted {
        version: u32,
        /// The requested columns. With `--vm all`, those that work here are not known yet.
        columns: Vec<Place>,
        scenarios: Vec<String>,
    },
    KernelReady {
        #[serde(flatten)]
        kernel: Kernel,
        /// Output of `uname -r` in the guest.
        release: String,
        /// Compiler warnings in files of the series.
        warnings: Vec<String>,
    },
    KernelFailed {
        #[serde(flatten)]
        kernel: Kernel,
        detail: String,
    },
    ScenarioStarted {
        scenario: String,
        #[serde(flatten)]
        place: Place,
        attempt: u32,
    },
    ScenarioFinished {
        scenario: String,
        #[serde(flatten)]
        place: Place,
        attempt: u32,
        verdict: String,
        seconds: f64,
        /// True if the scenario is retried, so that this verdict does not count.
        retried: bool,
        #[serde(default, skip_serializing_if = "String::is_empty")]
        detail: String,
    },
    /// A guest's kernel reported a fault during the shutdown, which belongs to no scenario.
    GuestFailed {
        #[serde(flatten)]
        kernel: Kernel,
        verdict: String,
        detail: String,
    },
    /// Written at the end for each scenario without a verdict.
    ScenarioNotRun {
        scenario: String,
        #[serde(flatten)]
        place: Place,
        verdict: String,
        detail: String,
    },
    RunFinished {
        /// `None` if a signal ends the run.
        exit_code: Option<u8>,
        seconds: f64,
        /// Number of verdicts by word.
        verdicts: BTreeMap<String, usize>,
        /// The cause if the run was interrupted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        detail: Option<String>,
    },
}

/// A column, or the kernel of a column that an event belongs to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Place {
    column: String,
    #[serde(flatten)]
    kernel: Kernel,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Kernel {
    kernel: String,
    profile: String,
    vm: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The run returned, possibly with an error.
    Exits,
    /// A signal ended the run.
    Killed,
}

/// Writer of the event stream. A failed write ends this process, as with all standard output.
#[derive(Debug, Default)]
pub struct Stream {
    /// Written verdicts by column and scenario. A signal may arrive before the results have them.
    written: Mutex<BTreeMap<(usize, usize), Word>>,
}

impl Stream {
    /// Writes the first event, with the planned columns and scenarios.
    pub fn begin(&self, entries: &RunResults) {
        let columns = entries.parts.iter().map(|part| place(part, &part.about.vm)).collect();
        let scenarios = entries.scenarios.iter().map(|scenario| scenario.name.clone()).collect();
        write(&Line::RunStarted { version: VERSION, columns, scenarios });
    }

    pub fn write_event(
        &self,
        event: &Event,
        testbed: &Testbed,
        results: &SharedResults,
        terminal: &Terminal,
    ) {
        // The results are not locked while the line is written: the reader may be slow, and an
        // ending signal needs them for the reports.
        let line = Line::of(event, testbed, &results.entries(), terminal);
        if let Event::Judged { job, attempt, verdict, retried: false, .. } = event {
            lock(&self.written).insert((job.column, job.scenario), Word::of(verdict, *attempt > 1));
        }
        line.iter().for_each(write);
    }

    /// Writes the scenarios without a verdict, and the last event.
    pub fn finish(&self, entries: &RunResults, end: End) {
        let mut verdicts: BTreeMap<String, usize> = Word::ALL.map(|word| (word.to_string(), 0)).into();
        let written = lock(&self.written);
        for (column, part) in entries.parts.iter().enumerate().filter(|(_, part)| !part.is_left_out()) {
            let absent = entries.verdict_of_absent(part);
            for (index, scenario) in entries.scenarios.iter().enumerate() {
                let word = written.get(&(column, index)).copied().unwrap_or_else(|| {
                    write(&Line::ScenarioNotRun {
                        scenario: scenario.name.clone(),
                        place: place(part, &part.about.vm),
                        verdict: absent.word().to_owned(),
                        detail: plain(&absent.details()),
                    });
                    Word::of(&absent, false)
                });
                *verdicts.entry(word.to_string()).or_default() += 1;
            }
            for end in &part.ends {
                *verdicts.entry(end.word().to_string()).or_default() += 1;
            }
        }
        let exit_code = match (end, &entries.cut_short) {
            (End::Killed, _) => None,
            (End::Exits, Some(_)) => Some(2),
            (End::Exits, None) => Some(entries.exit_code()),
        };
        let (seconds, detail) = (super::seconds(entries.age()), entries.cut_short.as_deref().map(plain));
        write(&Line::RunFinished { exit_code, seconds, verdicts, detail });
    }
}

impl Line {
    fn of(event: &Event, testbed: &Testbed, entries: &RunResults, terminal: &Terminal) -> Option<Self> {
        let on = |column: usize, environment: usize| {
            place(&entries.parts[column], &testbed.specs[environment].kind.to_string())
        };
        // An environment is named by the first column that uses it.
        let kernel = |environment: usize| Some(on(testbed.column_of(environment)?, environment).kernel);
        let scenario = |job: &Job| entries.scenarios[job.scenario].name.clone();
        Some(match event {
            Event::Ready { environment } => {
                let ready = testbed.environment(*environment, terminal).ok()?;
                let (release, warnings) = (ready.image.release.clone(), ready.image.warnings.clone());
                Self::KernelReady { kernel: kernel(*environment)?, release, warnings }
            }
            Event::Lost { environment, why, .. } => {
                Self::KernelFailed { kernel: kernel(*environment)?, detail: plain(why) }
            }
            Event::Started { environment, job, attempt, .. } => {
                let place = on(job.column, *environment);
                Self::ScenarioStarted { scenario: scenario(job), place, attempt: *attempt }
            }
            Event::Judged { environment, job, attempt, verdict, took, retried, .. } => {
                Self::ScenarioFinished {
                    scenario: scenario(job),
                    place: on(job.column, *environment),
                    attempt: *attempt,
                    verdict: Word::of(verdict, *attempt > 1).to_string(),
                    seconds: super::seconds(*took),
                    retried: *retried,
                    detail: plain(&verdict.details()),
                }
            }
            Event::ShutDown { environment, shutdown, .. } => {
                let (verdict, kernel) = (shutdown.verdict.as_ref()?, kernel(*environment)?);
                let detail = plain(&verdict.details());
                Self::GuestFailed { kernel, verdict: verdict.word().to_owned(), detail }
            }
        })
    }
}

/// Writes a line at once, so that the reader can act on it.
fn write(line: &Line) {
    match serde_json::to_string(line) {
        Ok(text) => output::write_stdout(format!("{text}\n").as_bytes()),
        Err(error) => output::check("standard output", Err(error.into())),
    }
}

fn place(part: &ColumnResults, vm: &str) -> Place {
    let about = &part.about;
    let kernel =
        Kernel { kernel: about.kernel.clone(), profile: about.profile.name().to_owned(), vm: vm.to_owned() };
    Place { column: about.full_title(), kernel }
}

fn plain(text: &str) -> String {
    console::strip_ansi_codes(text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documented_events_match_the_written_ones() {
        let page = include_str!("../../../docs/running.md");
        let (_, block) = page.split_once("```jsonl\n").unwrap();
        let (block, _) = block.split_once("```").unwrap();
        let mut events = std::collections::BTreeSet::new();
        for line in block.lines() {
            let read: Line = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            let written = serde_json::to_value(&read).unwrap();
            let documented: serde_json::Value = serde_json::from_str(line).unwrap();
            // Both have exactly the same fields.
            assert_eq!(written, documented, "{line}");
            events.insert(documented["event"].as_str().unwrap().to_owned());
        }
        let all = [
            "guest-failed",
            "kernel-failed",
            "kernel-ready",
            "run-finished",
            "run-started",
            "scenario-finished",
            "scenario-not-run",
            "scenario-started",
        ];
        assert_eq!(events.iter().map(String::as_str).collect::<Vec<_>>(), all);
    }
}
