//! Duration of each scenario in earlier runs, by which long ones start first.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::host::cache;
use crate::runner::environment::EnvironmentSpec;

/// Assumed seconds of a scenario that has not run yet: long, so that it does not start last.
const UNKNOWN: f64 = 1.0;

/// Measured seconds by kind of environment, then by scenario.
#[derive(Debug, Default)]
pub struct Timings {
    file: PathBuf,
    seconds: BTreeMap<String, BTreeMap<String, f64>>,
}

impl Timings {
    /// Loads the recorded durations. An unreadable file counts as empty, since they only affect the
    /// order.
    pub fn load(cache: &Path) -> Self {
        let file = cache.join("times.json");
        let seconds = fs::read(&file).ok().and_then(|json| serde_json::from_slice(&json).ok());
        Self { file, seconds: seconds.unwrap_or_default() }
    }

    pub fn of(&self, spec: &EnvironmentSpec, scenario: &str) -> f64 {
        let times = self.seconds.get(&key(spec));
        times.and_then(|times| times.get(scenario)).copied().unwrap_or(UNKNOWN)
    }

    pub fn record(&mut self, spec: &EnvironmentSpec, scenario: &str, took: Duration) {
        let milliseconds = took.as_millis() as f64;
        self.seconds.entry(key(spec)).or_default().insert(scenario.to_owned(), milliseconds / 1000.0);
    }

    /// Saves the durations for the next run. Errors, such as a full disk, are ignored: only the
    /// order suffers.
    pub fn save(&self) {
        if let Ok(json) = serde_json::to_vec_pretty(&self.seconds) {
            let _ = cache::write_whole(&self.file, &json);
        }
    }
}

fn key(spec: &EnvironmentSpec) -> String {
    format!("{} {}", spec.kind, spec.kernel.profile.name())
}
