//! Template of a new scenario.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

use crate::{parse, snapshot};

/// The scenario, with comments.
pub const SCENARIO: &str = include_str!("scenario.toml");

pub(crate) const TRACE: &str = include_str!("trace.txt");

#[derive(Debug, thiserror::Error)]
pub enum NewScenarioError {
    #[error(
        "`{0}` is no name for a scenario: say FAMILY/NAME, each of lower-case letters, digits and single hyphens, as in lifetime/agent-gone"
    )]
    InvalidName(String),
    #[error("{} is there already: choose another name, or edit that one", .0.display())]
    Exists(PathBuf),
    #[error("can't write {}: {why}", path.display())]
    Write { path: PathBuf, why: io::Error },
    #[error("what new scenarios begin with is not sound: {0}")]
    InvalidTemplate(String),
}

/// Writes `FAMILY/NAME.toml` and its snapshot into a suite's folder, and returns their paths.
pub fn write(suite: &Path, name: &str) -> Result<[PathBuf; 2], NewScenarioError> {
    let (family, file) =
        name.split_once('/').ok_or_else(|| NewScenarioError::InvalidName(name.to_owned()))?;
    if !is_word(family) || !is_word(file) {
        return Err(NewScenarioError::InvalidName(name.to_owned()));
    }
    let folder = suite.join(family);
    let path = folder.join(file).with_extension("toml");
    let mut scenarios = parse::scenarios(name, &path, SCENARIO).map_err(unsound)?;
    let scenario = scenarios.pop().ok_or_else(|| unsound("it has no case"))?;
    let paths = [path, scenario.snapshot()];
    if let Some(taken) = paths.iter().find(|path| path.exists()) {
        return Err(NewScenarioError::Exists(taken.clone()));
    }
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |why| NewScenarioError::Write { path, why }
    };
    fs::create_dir_all(&folder).map_err(failed(&folder))?;
    fs::write(&paths[0], SCENARIO).map_err(failed(&paths[0]))?;
    snapshot::save(&scenario, TRACE.trim_end()).map_err(failed(&paths[1]))?;
    Ok(paths)
}

fn unsound(problems: impl fmt::Debug) -> NewScenarioError {
    NewScenarioError::InvalidTemplate(format!("{problems:?}"))
}

fn is_word(text: &str) -> bool {
    let well = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    text.split('-').all(well)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite;

    #[test]
    fn a_new_scenario_is_sound_and_is_not_written_twice() {
        let temporary = tempfile::tempdir().unwrap();
        let dir = temporary.path();
        let paths = write(dir, "some-family/k9").unwrap();
        let scenarios = suite::load(dir).unwrap();
        assert_eq!(scenarios.len(), 1);
        assert_eq!(suite::stale_snapshots(dir, &scenarios).unwrap(), []);
        assert!(
            matches!(write(dir, "some-family/k9"), Err(NewScenarioError::Exists(path)) if path == paths[0])
        );
        fs::remove_file(&paths[0]).unwrap();
        assert!(
            matches!(write(dir, "some-family/k9"), Err(NewScenarioError::Exists(path)) if path == paths[1])
        );
    }

    #[test]
    fn a_name_that_is_no_name_is_refused_before_anything_is_written() {
        let nowhere = Path::new("/nonexistent");
        for name in
            ["", "a", "/a", "a/", "a/b/c", "../a", "a/..", "A/b", "a/b c", "a-/b", "a--b/c", "a/b.toml"]
        {
            assert!(matches!(write(nowhere, name), Err(NewScenarioError::InvalidName(_))), "{name}");
        }
    }
}
