//! Scenarios that failed or were not run last time, which `--failed` selects.
//!
//! They are recorded per kernel, profile, source and series, whichever virtual machines were used.
//! A scenario stays recorded until it has passed there, as with pytest's `--last-failed`.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use kernel::LockMode;
use scenarios::verdict::Verdict;
use serde::{Deserialize, Serialize};

use crate::host::cache;
use crate::host::workspace;
use crate::runner::run_results::RunResults;
use crate::runner::scenario_result::ScenarioResult;

/// Environment variable with another file's path, so that tests don't change the user's file.
const FILE: &str = "KEYAGENTS_LAST_RUN";

/// Kernel configuration that a verdict belongs to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Subject {
    pub kernel: String,
    pub profile: String,
    /// The user's own source tree, which replaces the kernel's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel_src: Option<PathBuf>,
    /// The patches that replace the kernel's own series.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub series: Option<String>,
}

/// File of recorded failures, with the source and series of a run.
#[derive(Debug, Clone)]
pub struct LastRun {
    file: PathBuf,
    kernel_src: Option<PathBuf>,
    series: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    #[serde(flatten)]
    subject: Subject,
    /// Names of the scenarios that failed or were not run.
    failed: BTreeSet<String>,
}

impl LastRun {
    /// Returns the record for runs on this source with these patches, in this checkout.
    pub fn of(kernel_src: Option<&Path>, series: Option<&str>) -> Self {
        let absolute = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        Self {
            file: env::var_os(FILE)
                .map_or_else(|| workspace::target().join("keyagents/last-run.json"), PathBuf::from),
            kernel_src: kernel_src.map(absolute),
            series: series.map(str::to_owned),
        }
    }

    fn subject(&self, kernel: &str, profile: &str) -> Subject {
        let (kernel_src, series) = (self.kernel_src.clone(), self.series.clone());
        Subject { kernel: kernel.to_owned(), profile: profile.to_owned(), kernel_src, series }
    }

    /// Returns the scenarios to repeat on the run's columns; `None` if nothing is recorded of one
    /// of them.
    pub fn failed(&self, entries: &RunResults) -> Option<BTreeSet<String>> {
        let records = self.read();
        let mut failed = BTreeSet::new();
        for part in &entries.parts {
            let subject = self.subject(&part.about.kernel, part.about.profile.name());
            let record = records.iter().find(|record| record.subject == subject)?;
            failed.extend(record.failed.iter().cloned());
        }
        Some(failed)
    }

    /// Records the results of a run, which may be incomplete.
    pub fn write(&self, entries: &RunResults) -> Result<()> {
        // Another run may write at the same time; the lock is held briefly.
        let directory = self.file.parent().unwrap_or(Path::new("."));
        let _lock = cache::lock(directory, "last-run", LockMode::Exclusive, |_| ())?;
        let mut records = self.read();
        let mut seen = BTreeMap::new();
        for part in entries.counted() {
            let subject = self.subject(&part.about.kernel, part.about.profile.name());
            let to_run: &mut BTreeMap<&str, bool> = seen.entry(subject).or_default();
            for (scenario, report) in entries.scenarios.iter().zip(&part.verdicts) {
                // A scenario that was skipped for a missing feature keeps its record.
                if !report.as_ref().is_some_and(|report| matches!(report.verdict, Verdict::Skipped(_))) {
                    let again = report.as_ref().is_none_or(ScenarioResult::is_bad);
                    *to_run.entry(&scenario.name).or_default() |= again;
                }
            }
        }
        for (subject, to_run) in seen {
            let index = records.iter().position(|record| record.subject == subject).unwrap_or_else(|| {
                records.push(Record { subject, failed: BTreeSet::new() });
                records.len() - 1
            });
            for (scenario, again) in to_run {
                match again {
                    true => _ = records[index].failed.insert(scenario.to_owned()),
                    false => _ = records[index].failed.remove(scenario),
                }
            }
        }
        cache::write_whole(&self.file, &serde_json::to_vec_pretty(&records)?)
    }

    /// Reads the records. An unreadable file counts as empty.
    fn read(&self) -> Vec<Record> {
        let read = fs::read(&self.file).ok().and_then(|json| serde_json::from_slice(&json).ok());
        read.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::runner::fixtures::run;
    use crate::runner::scenario_result::Attempt;

    fn last_run(directory: &tempfile::TempDir) -> LastRun {
        LastRun { file: directory.path().join("last-run.json"), kernel_src: None, series: None }
    }

    fn failed(last: &LastRun, kernel: &str) -> Option<Vec<String>> {
        Some(last.failed(&run(kernel, &[]).entries())?.into_iter().collect())
    }

    #[test]
    fn failed_scenario_stays_recorded_until_it_passes_on_that_kernel() {
        let directory = tempfile::tempdir().unwrap();
        let last = last_run(&directory);
        let bad = || Some(Verdict::Hung(Default::default()));
        let skipped = || Some(Verdict::Skipped(String::new()));
        assert_eq!(failed(&last, "6.12"), None);
        let first =
            [("a/bad", bad()), ("a/good", Some(Verdict::Passed)), ("a/left", None), ("a/skipped", skipped())];
        last.write(&run("6.12", &first).entries()).unwrap();
        assert_eq!(failed(&last, "6.12").unwrap(), ["a/bad", "a/left"]);
        assert_eq!(failed(&last, "7.3"), None);

        last.write(&run("7.3", &[("a/bad", Some(Verdict::Passed))]).entries()).unwrap();
        last.write(&run("6.12", &[("a/left", Some(Verdict::Passed)), ("a/bad", skipped())]).entries())
            .unwrap();
        assert_eq!(failed(&last, "6.12").unwrap(), ["a/bad"]);
        assert_eq!(failed(&last, "7.3").unwrap(), Vec::<String>::new());
    }

    #[test]
    fn flaky_scenario_counts_as_passed() {
        let directory = tempfile::tempdir().unwrap();
        let last = last_run(&directory);
        last.write(&run("6.12", &[("a/flaky", None)]).entries()).unwrap();
        let results = run("6.12", &[("a/flaky", Some(Verdict::Passed))]);
        let attempt = Attempt { verdict: Verdict::Hung(Default::default()), took: Duration::ZERO };
        if let Some(report) = &mut results.entries().parts[0].verdicts[0] {
            report.earlier.push(attempt);
        }
        last.write(&results.entries()).unwrap();
        assert_eq!(failed(&last, "6.12").unwrap(), Vec::<String>::new());
    }
}
