//! How long each scenario took the last time: the long ones are begun first.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::host::cache;
use crate::runner::environment::EnvironmentSpec;

/// What nobody has run yet is taken to be long, so that it is not left for the end.
const UNKNOWN: f64 = 1.0;

/// Seconds by kind of environment, then by scenario.
#[derive(Debug, Default)]
pub struct Timings {
    file: PathBuf,
    seconds: BTreeMap<String, BTreeMap<String, f64>>,
}

impl Timings {
    /// What is remembered. A file that can't be read is one that is not there: nothing rests on it but the order.
    pub fn load(cache: &Path) -> Self {
        let file = cache.join("times.json");
        let seconds = fs::read(&file).ok().and_then(|json| serde_json::from_slice(&json).ok());
        Self { file, seconds: seconds.unwrap_or_default() }
    }

    /// How long the scenario will take, in seconds.
    pub fn of(&self, setting: &EnvironmentSpec, scenario: &str) -> f64 {
        let times = self.seconds.get(&key(setting));
        times.and_then(|times| times.get(scenario)).copied().unwrap_or(UNKNOWN)
    }

    /// It took so long.
    pub fn record(&mut self, setting: &EnvironmentSpec, scenario: &str, took: Duration) {
        let milliseconds = took.as_millis() as f64;
        self.seconds.entry(key(setting)).or_default().insert(scenario.to_owned(), milliseconds / 1000.0);
    }

    /// Writes it down for the next time. A full disk costs the next run its order, and nothing else.
    pub fn save(&self) {
        if let Ok(json) = serde_json::to_vec_pretty(&self.seconds) {
            let _ = cache::write_whole(&self.file, &json);
        }
    }
}

fn key(setting: &EnvironmentSpec) -> String {
    format!("{} {}", setting.kind, setting.kernel.profile.name())
}
