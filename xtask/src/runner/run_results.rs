//! Results of a run, complete or still in progress.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime};

use scenarios::scenario::Scenario;
use scenarios::verdict::Verdict;

use crate::artifacts::image::Profile;
use crate::host::mutex::lock;
use crate::runner::scenario_result::{ScenarioResult, Tally, exit_code};

#[derive(Debug, Clone)]
pub struct SharedResults(Arc<Mutex<RunResults>>);

/// Results of a run, as far as it has come.
#[derive(Debug, Clone)]
pub struct RunResults {
    /// Selected scenarios, in the suite's order.
    pub scenarios: Vec<Scenario>,
    /// The columns, in the order of the command line.
    pub parts: Vec<ColumnResults>,
    pub started: SystemTime,
    /// The cause if the run was interrupted.
    pub cut_short: Option<String>,
    /// The cause if the run was to stop early, such as `--fail-fast`.
    pub stopped: Option<String>,
    clock: Instant,
}

#[derive(Debug, Clone)]
pub struct ColumnResults {
    pub about: ColumnInfo,
    /// Results by scenario; `None` without a verdict so far.
    pub verdicts: Vec<Option<ScenarioResult>>,
    /// Reports of the kernel from the shutdown of its guests.
    pub ends: Vec<ScenarioResult>,
    /// The cause of missing verdicts; `None` if there are none missing.
    pub lost: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnInfo {
    /// Title that distinguishes the column from the others; empty if it is the only one.
    pub title: String,
    pub kernel: String,
    pub profile: Profile,
    /// The requested virtual machine: `auto`, `kvm`, `tcg` or `uml`.
    pub vm: String,
    /// True if the run may go on without this column where its virtual machine does not work.
    pub optional: bool,
}

impl SharedResults {
    /// Creates the results of a run that starts now.
    pub fn new(scenarios: Vec<Scenario>, columns: Vec<ColumnInfo>) -> Self {
        let parts = columns.into_iter().map(|about| ColumnResults::new(about, scenarios.len())).collect();
        let entries = RunResults {
            scenarios,
            parts,
            started: SystemTime::now(),
            cut_short: None,
            stopped: None,
            clock: Instant::now(),
        };
        Self(Arc::new(Mutex::new(entries)))
    }

    pub fn entries(&self) -> MutexGuard<'_, RunResults> {
        lock(&self.0)
    }
}

impl RunResults {
    pub fn set_scenarios(&mut self, scenarios: Vec<Scenario>) {
        self.scenarios = scenarios;
        self.lay_out(self.parts.iter().map(|part| part.about.clone()).collect());
    }

    pub fn lay_out(&mut self, columns: Vec<ColumnInfo>) {
        let scenarios = self.scenarios.len();
        self.parts = columns.into_iter().map(|about| ColumnResults::new(about, scenarios)).collect();
    }

    pub fn age(&self) -> Duration {
        self.clock.elapsed()
    }

    /// Returns the columns that count: all but the optional ones that could not run here.
    pub fn counted(&self) -> impl Iterator<Item = &ColumnResults> {
        self.parts.iter().filter(|part| !part.is_left_out())
    }

    /// Returns the column's results in the suite's order. Scenarios without a result count as
    /// skipped if the run was to stop early, else as broken.
    pub fn complete(&self, part: &ColumnResults) -> Vec<ScenarioResult> {
        let verdict = self.verdict_of_absent(part);
        let absent = |scenario: &Scenario| ScenarioResult::new(&scenario.name, verdict.clone());
        let each = self.scenarios.iter().zip(&part.verdicts);
        let verdicts = each.map(|(scenario, verdict)| verdict.clone().unwrap_or_else(|| absent(scenario)));
        verdicts.chain(part.ends.iter().cloned()).collect()
    }

    pub fn verdict_of_absent(&self, part: &ColumnResults) -> Verdict {
        let fault = part.lost.as_ref().or(self.cut_short.as_ref());
        match (fault, &self.stopped) {
            (Some(why), _) => Verdict::Broken(format!("not run: {why}").into()),
            (None, Some(why)) => Verdict::Skipped(format!("not run: {why}")),
            (None, None) => Verdict::Broken("not run: the run has not ended".into()),
        }
    }

    pub fn exit_code(&self) -> u8 {
        self.counted().map(ColumnResults::exit_code).max().unwrap_or(0)
    }
}

impl ColumnResults {
    fn new(about: ColumnInfo, scenarios: usize) -> Self {
        Self { about, verdicts: vec![None; scenarios], ends: Vec::new(), lost: None }
    }

    /// Checks whether the column is optional and could not run here.
    pub fn is_left_out(&self) -> bool {
        self.about.optional && self.lost.is_some() && self.verdicts.iter().all(Option::is_none)
    }

    /// Returns the results so far, those from the shutdown of guests last.
    pub fn results(&self) -> impl Iterator<Item = &ScenarioResult> {
        self.verdicts.iter().flatten().chain(&self.ends)
    }

    pub fn tally(&self) -> Tally {
        Tally::of(self.results())
    }

    /// Returns the exit code: missing verdicts are a fault of the testbed.
    fn exit_code(&self) -> u8 {
        if self.lost.is_some() { 2 } else { exit_code(self.results()) }
    }
}

impl ColumnInfo {
    /// Returns the title that distinguishes the column, or the full title if it is the only one.
    pub fn short_title(&self) -> String {
        if self.title.is_empty() { self.full_title() } else { self.title.clone() }
    }

    /// Returns the full title, as in `6.12 plain tcg`.
    pub fn full_title(&self) -> String {
        format!("{} {} {}", self.kernel, self.profile.name(), self.vm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::fixtures;

    #[test]
    fn exit_code_differs_for_failed_and_broken() {
        let run = |one, other| fixtures::run("6.12", &[("f/one", Some(one)), ("f/other", Some(other))]);
        let code = |one, other| run(one, other).entries().exit_code();
        let [hung, broken] = [Verdict::Hung("step 1".into()), Verdict::Broken("no room".into())];
        assert_eq!(code(Verdict::Passed, Verdict::Skipped("no smp".into())), 0);
        assert_eq!(code(hung.clone(), Verdict::Passed), 1);
        assert_eq!(code(broken, hung), 2);
        let lost = run(Verdict::Passed, Verdict::Passed);
        lost.entries().parts[0].lost = Some("no kernel".into());
        assert_eq!(lost.entries().exit_code(), 2);
    }
}
