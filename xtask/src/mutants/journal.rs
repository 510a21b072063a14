//! Judgements so far, one JSON object a line, for `--resume`.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::{Judgement, Outcome};

/// The suite that judges, as hashes.
#[derive(Debug, Clone, Default)]
pub struct SuiteDigests {
    /// The hash of all scenarios.
    pub whole: String,
    /// The hash of each scenario, by name.
    pub scenarios: BTreeMap<String, String>,
}

/// A judgement with the suite that gave it.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    #[serde(flatten)]
    judgement: Judgement,
    suite: String,
    /// The hash of the scenario that noticed the mutant.
    scenario: Option<String>,
}

/// The file of a kernel and a guest. Each line is written whole.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    suite: SuiteDigests,
}

impl SuiteDigests {
    /// Returns the hash of the scenario that noticed the mutant.
    fn of_killer(&self, judgement: &Judgement) -> Option<&String> {
        match &judgement.outcome {
            Outcome::Killed { by, .. } | Outcome::TimedOut { by, .. } => self.scenarios.get(by),
            _ => None,
        }
    }

    /// Checks whether this suite would give the same judgement: it is the same, or the scenario
    /// that noticed the mutant has not changed.
    fn confirms(&self, line: &Line) -> bool {
        line.suite == self.whole
            || line.scenario.is_some() && line.scenario.as_ref() == self.of_killer(&line.judgement)
    }
}

impl Journal {
    /// Opens the journal, and returns the judgements in it that hold for this suite. Without
    /// `resume` it is emptied.
    pub fn open(path: &Path, suite: SuiteDigests, resume: bool) -> Result<(Self, Vec<Judgement>)> {
        let before = if resume { fs::read_to_string(path).unwrap_or_default() } else { String::new() };
        // The last line of a killed run may be incomplete.
        let lines = before.lines().filter_map(|line| serde_json::from_str::<Line>(line).ok());
        let judgements: Vec<Judgement> =
            lines.filter(|line| suite.confirms(line)).map(|line| line.judgement).collect();
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory).with_context(|| format!("can't create {}", directory.display()))?;
        }
        let open = OpenOptions::new().create(true).write(true).truncate(true).open(path);
        let file = open.with_context(|| format!("can't write {}", path.display()))?;
        let mut journal = Self { path: path.to_owned(), file, suite };
        judgements.iter().try_for_each(|judgement| journal.add(judgement))?;
        Ok((journal, judgements))
    }

    pub fn add(&mut self, judgement: &Judgement) -> Result<()> {
        let line = Line {
            scenario: self.suite.of_killer(judgement).cloned(),
            judgement: judgement.clone(),
            suite: self.suite.whole.clone(),
        };
        let line = format!("{}\n", serde_json::to_string(&line)?);
        self.file.write_all(line.as_bytes()).with_context(|| format!("can't write {}", self.path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suite(whole: &str, scenarios: &[(&str, &str)]) -> SuiteDigests {
        let scenarios = scenarios.iter().map(|(name, hash)| (name.to_string(), hash.to_string())).collect();
        SuiteDigests { whole: whole.into(), scenarios }
    }

    fn killed(mutant: u32, by: &str) -> Judgement {
        Judgement::unrun(mutant, Outcome::Killed { by: by.into(), why: "failed: x".into() })
    }

    #[test]
    fn resumed_journal_has_the_judgements_of_whole_lines() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a/journal");
        let suite = suite("1", &[]);
        let judgements = [killed(3, "a/b"), Judgement::unrun(4, Outcome::NotReached)];
        let (mut journal, before) = Journal::open(&path, suite.clone(), true).unwrap();
        assert!(before.is_empty());
        judgements.iter().for_each(|judgement| journal.add(judgement).unwrap());
        let whole = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("{whole}{{\"mutant\":5,\"outc")).unwrap();
        assert_eq!(Journal::open(&path, suite.clone(), true).unwrap().1, judgements);
        assert_eq!(fs::read_to_string(&path).unwrap(), whole);
        assert!(Journal::open(&path, suite, false).unwrap().1.is_empty());
    }

    #[test]
    fn other_suite_confirms_only_what_an_unchanged_scenario_noticed() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("journal");
        let (mut journal, _) = Journal::open(&path, suite("1", &[("a/b", "x"), ("a/c", "y")]), true).unwrap();
        let survived = Judgement::unrun(3, Outcome::Survived { passed: vec!["a/b".into()] });
        for judgement in [killed(1, "a/b"), killed(2, "a/c"), survived, killed(4, "boot")] {
            journal.add(&judgement).unwrap();
        }
        let changed = suite("2", &[("a/b", "x"), ("a/c", "z"), ("a/new", "w")]);
        assert_eq!(Journal::open(&path, changed, true).unwrap().1, [killed(1, "a/b")]);
    }
}
