//! Judgements so far, one JSON object a line, for `--resume`.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::Judgement;

/// The file of a run. Each line is written whole.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
}

impl Journal {
    /// Opens the journal, and returns the judgements in it. Without `resume` it is emptied.
    pub fn open(path: &Path, resume: bool) -> Result<(Self, Vec<Judgement>)> {
        let before = if resume { fs::read_to_string(path).unwrap_or_default() } else { String::new() };
        // The last line of a killed run may be incomplete.
        let judgements: Vec<Judgement> =
            before.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory).with_context(|| format!("can't create {}", directory.display()))?;
        }
        let open = OpenOptions::new().create(true).write(true).truncate(true).open(path);
        let file = open.with_context(|| format!("can't write {}", path.display()))?;
        let mut journal = Self { path: path.to_owned(), file };
        judgements.iter().try_for_each(|judgement| journal.add(judgement))?;
        Ok((journal, judgements))
    }

    pub fn add(&mut self, judgement: &Judgement) -> Result<()> {
        let line = format!("{}\n", serde_json::to_string(judgement)?);
        self.file.write_all(line.as_bytes()).with_context(|| format!("can't write {}", self.path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutants::Outcome;

    #[test]
    fn resumed_journal_has_the_judgements_of_whole_lines() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a/journal");
        let judgements = [
            Judgement::unrun(3, Outcome::Killed { by: "a/b".into(), why: "failed: x".into() }),
            Judgement::unrun(4, Outcome::NotReached),
        ];
        let (mut journal, before) = Journal::open(&path, true).unwrap();
        assert!(before.is_empty());
        judgements.iter().for_each(|judgement| journal.add(judgement).unwrap());
        let whole = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("{whole}{{\"mutant\":5,\"outc")).unwrap();
        assert_eq!(Journal::open(&path, true).unwrap().1, judgements);
        assert_eq!(fs::read_to_string(&path).unwrap(), whole);
        assert!(Journal::open(&path, false).unwrap().1.is_empty());
    }
}
