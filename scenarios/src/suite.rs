//! Loader of a suite: all scenarios below a folder.

use std::{
    fmt, fs, io,
    num::NonZero,
    panic::resume_unwind,
    path::{Path, PathBuf},
    thread,
};

use crate::{
    diagnostics::{Diagnostics, FileProblems, Problem},
    parse,
    scenario::Scenario,
    snapshot,
};

/// Reads every `FAMILY/NAME.toml` below `dir`, ordered by name.
pub fn load(dir: &Path) -> Result<Vec<Scenario>, Diagnostics> {
    let mut scenarios = Vec::new();
    let mut files = misplaced(dir, 0).map_err(|error| unreadable(dir, &error))?;
    let paths = files_of(dir, "toml").map_err(|error| unreadable(dir, &error))?;
    for read in parallel_map(&paths, |path| read_file(dir, path)) {
        match read {
            Ok(cases) => scenarios.extend(cases),
            Err(problems) => files.extend(problems.files),
        }
    }
    // Paths have another order: `killed-64.toml` comes before `killed.toml`.
    // The cases of one file keep their order.
    scenarios.sort_by(|one: &Scenario, other| one.file.cmp(&other.file));
    if files.is_empty() { Ok(scenarios) } else { Err(Diagnostics { files }) }
}

fn read_file(dir: &Path, path: &Path) -> Result<Vec<Scenario>, Diagnostics> {
    let text = fs::read_to_string(path).map_err(|error| unreadable(path, &error))?;
    parse::scenarios(&name_of(dir, path), path, &text)
        .map_err(|problems| Diagnostics { files: vec![problems] })
}

/// Maps in parallel, preserving order. Shell completion loads a suite each time.
fn parallel_map<T: Sync, R: Send>(things: &[T], act: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    let share = things.len().div_ceil(processors).max(1);
    let act = |share: &[T]| share.iter().map(&act).collect::<Vec<R>>();
    thread::scope(|scope| {
        let threads: Vec<_> = things.chunks(share).map(|share| scope.spawn(move || act(share))).collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap_or_else(|why| resume_unwind(why)))
            .collect()
    })
}

/// A snapshot, or a part of one, without a scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stale {
    pub snapshot: PathBuf,
    /// Its section, if the file has no such case. None: the whole snapshot is stale.
    pub case: Option<String>,
}

impl fmt::Display for Stale {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.snapshot.display();
        match &self.case {
            None => write!(out, "{path} belongs to no scenario: delete it"),
            Some(case) => {
                write!(out, "{path} has a section [{case}], and the scenario no such case: delete it")
            }
        }
    }
}

/// Returns snapshots and sections that belong to none of these scenarios. Pending snapshots are
/// left out.
pub fn stale_snapshots(dir: &Path, scenarios: &[Scenario]) -> io::Result<Vec<Stale>> {
    let mut stale = Vec::new();
    for snapshot in files_of(dir, "snap")? {
        let Some(scenario) = scenarios.iter().find(|scenario| scenario.snapshot() == snapshot) else {
            stale.push(Stale { snapshot, case: None });
            continue;
        };
        let known = scenario.case.as_ref().map(|case| case.all.to_vec()).unwrap_or_default();
        let sections = snapshot::cases_in(&snapshot)?.into_iter().filter(|case| !known.contains(case));
        stale.extend(sections.map(|case| Stale { snapshot: snapshot.clone(), case: Some(case) }));
    }
    Ok(stale)
}

fn unreadable(path: &Path, error: &io::Error) -> Diagnostics {
    let problem = Problem::new(0..0, format!("can't be read: {error}"));
    let file = path.display().to_string();
    Diagnostics { files: vec![FileProblems { file, text: String::new(), problems: vec![problem] }] }
}

fn name_of(dir: &Path, path: &Path) -> String {
    let inner = path.strip_prefix(dir).unwrap_or(path).with_extension("");
    inner.iter().map(|part| part.to_string_lossy()).collect::<Vec<_>>().join("/")
}

/// Returns the scenarios outside of the families' folders, which would be passed over silently.
fn misplaced(dir: &Path, depth: usize) -> io::Result<Vec<FileProblems>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(misplaced(&path, depth + 1)?);
        } else if depth != 1 && path.extension().is_some_and(|it| it == "toml") {
            let problem = Problem::new(0..0, "a scenario's place is FAMILY/NAME.toml");
            let problem =
                problem.with_help("move it into the folder of its family, straight below the suite's");
            let (file, text) = (path.display().to_string(), fs::read_to_string(&path)?);
            found.push(FileProblems { file, text, problems: vec![problem] });
        }
    }
    Ok(found)
}

/// Returns the files of the families, ordered by path.
fn files_of(dir: &Path, extension: &str) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for family in fs::read_dir(dir)? {
        let family = family?.path();
        if !family.is_dir() {
            continue;
        }
        for file in fs::read_dir(family)? {
            let path = file?.path();
            if path.extension().is_some_and(|found| found == extension) {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scenario_outside_of_a_family_is_a_mistake() {
        let temporary = tempfile::tempdir().unwrap();
        let dir = temporary.path();
        fs::create_dir_all(dir.join("family/deeper")).unwrap();
        for file in ["alone.toml", "family/deeper/still.toml", "family/readme.md"] {
            fs::write(dir.join(file), "title = \"t\"").unwrap();
        }
        let problems = load(dir).unwrap_err();
        let mut files: Vec<&str> = problems.files.iter().map(|problem| problem.file.as_str()).collect();
        files.sort_unstable();
        assert_eq!(files.len(), 2);
        assert!(files[0].ends_with("alone.toml") && files[1].ends_with("deeper/still.toml"), "{files:?}");
    }
}
