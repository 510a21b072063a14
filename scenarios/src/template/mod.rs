//! What a new scenario begins with.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

use crate::{read, snapshot};

/// The scenario, with comments.
pub const SCENARIO: &str = include_str!("scenario.toml");

/// What happens in it.
pub const STORY: &str = include_str!("story.txt");

/// Why a name is none for a new scenario.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// It has not the form of a name.
    #[error(
        "`{0}` is no name for a scenario: say FAMILY/NAME, each of lower-case letters, digits and single hyphens, as in lifetime/agent-gone"
    )]
    Form(String),
    /// There is one already, or what is left of one.
    #[error("{} is there already: choose another name, or edit that one", .0.display())]
    Taken(PathBuf),
    /// It can't be written.
    #[error("can't write {}: {why}", path.display())]
    Unwritable {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        why: io::Error,
    },
    /// It is not sound itself.
    #[error("what new scenarios begin with is not sound: {0}")]
    Unsound(String),
}

/// Writes `FAMILY/NAME.toml` and its snapshot into a suite's folder, and gives their paths.
///
/// # Errors
/// Why the name is unfit, or that the files can't be written.
pub fn write(suite: &Path, name: &str) -> Result<[PathBuf; 2], Unfit> {
    let (family, file) = name.split_once('/').ok_or_else(|| Unfit::Form(name.to_owned()))?;
    if !is_word(family) || !is_word(file) {
        return Err(Unfit::Form(name.to_owned()));
    }
    let folder = suite.join(family);
    let path = folder.join(file).with_extension("toml");
    let mut scenarios = read::scenarios(name, &path, SCENARIO).map_err(unsound)?;
    let scenario = scenarios.pop().ok_or_else(|| unsound("it has no case"))?;
    let paths = [path, scenario.snapshot()];
    if let Some(taken) = paths.iter().find(|path| path.exists()) {
        return Err(Unfit::Taken(taken.clone()));
    }
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |why| Unfit::Unwritable { path, why }
    };
    fs::create_dir_all(&folder).map_err(failed(&folder))?;
    fs::write(&paths[0], SCENARIO).map_err(failed(&paths[0]))?;
    snapshot::save(&scenario, STORY.trim_end()).map_err(failed(&paths[1]))?;
    Ok(paths)
}

fn unsound(problems: impl fmt::Debug) -> Unfit {
    Unfit::Unsound(format!("{problems:?}"))
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
        let dir = std::env::temp_dir().join(format!("scenarios-{}-new", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let paths = write(&dir, "some-family/k9").unwrap();
        let scenarios = suite::load(&dir).unwrap();
        assert_eq!(scenarios.len(), 1);
        assert_eq!(suite::stale_snapshots(&dir, &scenarios).unwrap(), []);
        assert!(matches!(write(&dir, "some-family/k9"), Err(Unfit::Taken(path)) if path == paths[0]));
        fs::remove_file(&paths[0]).unwrap();
        assert!(matches!(write(&dir, "some-family/k9"), Err(Unfit::Taken(path)) if path == paths[1]));
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_name_that_is_no_name_is_refused_before_anything_is_written() {
        let nowhere = Path::new("/nonexistent");
        for name in
            ["", "a", "/a", "a/", "a/b/c", "../a", "a/..", "A/b", "a/b c", "a-/b", "a--b/c", "a/b.toml"]
        {
            assert!(matches!(write(nowhere, name), Err(Unfit::Form(_))), "{name}");
        }
    }
}
