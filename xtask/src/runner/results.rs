//! What is known of a run, at each moment of it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use scenarios::scenario::Scenario;
use scenarios::verdict::Verdict;

use crate::artifacts::image::Profile;
use crate::runner::result::{Column, ScenarioResult};

/// Results that threads share.
#[derive(Debug, Clone)]
pub struct SharedResults(Arc<Mutex<RunResults>>);

/// What is known.
#[derive(Debug, Clone)]
pub struct RunResults {
    /// What is to be run, in the suite's order.
    pub scenarios: Vec<Scenario>,
    /// The columns, in the order in which they were asked for.
    pub parts: Vec<ColumnResults>,
    /// When the run began.
    pub began: SystemTime,
    /// What ended the run before its time.
    pub cut_short: Option<String>,
    /// Why what has no verdict is not run, where that was asked for.
    pub stopped: Option<String>,
    clock: Instant,
}

/// What is known of a column.
#[derive(Debug, Clone)]
pub struct ColumnResults {
    /// What it is.
    pub about: ColumnInfo,
    /// By scenario; none where there is no verdict yet.
    pub verdicts: Vec<Option<ScenarioResult>>,
    /// What the kernel reported as its guests ended.
    pub ends: Vec<ScenarioResult>,
    /// Why there are no verdicts, or not all.
    pub lost: Option<String>,
}

/// What a column is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnInfo {
    /// What tells it from the others; empty if there is none.
    pub title: String,
    /// The kernel's name.
    pub kernel: String,
    /// What the kernel was built for.
    pub profile: Profile,
    /// The virtual machine that was asked for: `auto`, `kvm`, `tcg` or `uml`.
    pub vm: String,
    /// Whether it is no harm if it can't be had here.
    pub optional: bool,
}

impl SharedResults {
    /// Of a run that begins now.
    pub fn new(scenarios: Vec<Scenario>, columns: Vec<ColumnInfo>) -> Self {
        let parts = columns.into_iter().map(|about| ColumnResults::new(about, scenarios.len())).collect();
        let entries = RunResults {
            scenarios,
            parts,
            began: SystemTime::now(),
            cut_short: None,
            stopped: None,
            clock: Instant::now(),
        };
        Self(Arc::new(Mutex::new(entries)))
    }

    /// The entries, which nobody else changes meanwhile.
    pub fn entries(&self) -> MutexGuard<'_, RunResults> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RunResults {
    /// What is to be run, now that it is known.
    pub fn set_scenarios(&mut self, scenarios: Vec<Scenario>) {
        self.scenarios = scenarios;
        self.lay_out(self.parts.iter().map(|part| part.about.clone()).collect());
    }

    /// The columns are these, now that they are known.
    pub fn lay_out(&mut self, columns: Vec<ColumnInfo>) {
        let scenarios = self.scenarios.len();
        self.parts = columns.into_iter().map(|about| ColumnResults::new(about, scenarios)).collect();
    }

    /// How long the run has been going on.
    pub fn age(&self) -> Duration {
        self.clock.elapsed()
    }

    /// The columns that count: those that can't be had here, and are no harm, are left out.
    pub fn counted(&self) -> impl Iterator<Item = &ColumnResults> {
        self.parts.iter().filter(|part| !part.is_spared())
    }

    /// The column's verdicts in the suite's order, and one for each scenario that has none: skipped where the run was to stop
    /// early, else the testbed's own fault.
    pub fn complete(&self, part: &ColumnResults) -> Vec<ScenarioResult> {
        let verdict = self.verdict_of_absent(part);
        let absent = |scenario: &Scenario| ScenarioResult {
            scenario: scenario.name.clone(),
            verdict: verdict.clone(),
            took: Duration::ZERO,
            vm: None,
            earlier: Vec::new(),
        };
        let each = self.scenarios.iter().zip(&part.verdicts);
        let verdicts = each.map(|(scenario, verdict)| verdict.clone().unwrap_or_else(|| absent(scenario)));
        verdicts.chain(part.ends.iter().cloned()).collect()
    }

    /// What is said of the column's scenarios that were not run.
    pub fn verdict_of_absent(&self, part: &ColumnResults) -> Verdict {
        let fault = part.lost.as_ref().or(self.cut_short.as_ref());
        match (fault, &self.stopped) {
            (Some(why), _) => Verdict::Broken(format!("not run: {why}").into()),
            (None, Some(why)) => Verdict::Skipped(format!("not run: {why}")),
            (None, None) => Verdict::Broken("not run: the run has not come to its end".into()),
        }
    }

    /// The exit code of a run that has come to its end.
    pub fn exit_code(&self) -> u8 {
        self.counted().map(|part| part.column().exit_code()).max().unwrap_or(0)
    }
}

impl ColumnResults {
    fn new(about: ColumnInfo, scenarios: usize) -> Self {
        Self { about, verdicts: vec![None; scenarios], ends: Vec::new(), lost: None }
    }

    /// Whether it can't be had here, and that is no harm.
    pub fn is_spared(&self) -> bool {
        self.about.optional && self.lost.is_some() && self.verdicts.iter().all(Option::is_none)
    }

    /// What the terminal tells of it.
    pub fn column(&self) -> Column {
        let reports = self.verdicts.iter().flatten().chain(&self.ends).cloned().collect();
        Column { title: self.about.title.clone(), reports, lost: self.lost.clone() }
    }
}

impl ColumnInfo {
    /// What tells it from the others, or all of it where there are none.
    pub fn short_title(&self) -> String {
        if self.title.is_empty() { self.full_title() } else { self.title.clone() }
    }

    /// All of it, as in `6.12 plain tcg`.
    pub fn full_title(&self) -> String {
        format!("{} {} {}", self.kernel, self.profile.name(), self.vm)
    }
}
