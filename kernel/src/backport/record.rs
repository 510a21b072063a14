//! Record of the primary series' patches that another series was made of, as the names of git's
//! objects: a changed patch is compared with its version of then.

use std::{fs, path::Path};

use crate::{
    Error, Result, Series,
    fs::{read_if_present, scratch},
    subprocess::{git, output, read},
};

/// The record's file, beside the patches.
pub(super) const FILE: &str = "backported-from";

pub(super) fn of(directory: &Path) -> Result<String> {
    let mut record = String::new();
    for patch in Series::read(directory)?.patches() {
        let file = directory.join(&patch.name);
        let bytes = fs::read(&file).map_err(Error::io("reading", &file))?;
        let object = read(git(directory).args(["hash-object", "--stdin"]), &bytes)?;
        record += &format!("{object} {}\n", patch.name);
    }
    Ok(record)
}

/// Series that another one was made of.
pub(super) enum Origin {
    /// There is no record yet.
    Unrecorded,
    /// These patches.
    Series(Series),
    /// This patch is not in the repository any more, or was never committed.
    Lost(String),
}

/// Returns the patches that the series in `to` was made of. Their objects are in the repository of
/// `from`.
pub(super) fn recall(to: &Path, from: &Path) -> Result<Origin> {
    let Some(record) = read_if_present(&to.join(FILE))? else { return Ok(Origin::Unrecorded) };
    let scratch = scratch()?;
    for (object, name) in record.lines().filter_map(|line| line.split_once(' ')) {
        let path = scratch.path().join(name);
        let Some(bytes) = content(from, object, name)? else { return Ok(Origin::Lost(name.to_owned())) };
        fs::write(&path, bytes).map_err(Error::io("writing", &path))?;
    }
    Series::read(scratch.path()).map(Origin::Series)
}

/// Returns the content of an object: that of the present file, or of one that was committed.
fn content(directory: &Path, object: &str, name: &str) -> Result<Option<Vec<u8>>> {
    if let Ok(bytes) = fs::read(directory.join(name))
        && read(git(directory).args(["hash-object", "--stdin"]), &bytes)? == object
    {
        return Ok(Some(bytes));
    }
    let shown = output(git(directory).args(["cat-file", "blob", object]), b"")?;
    Ok(shown.status.success().then_some(shown.stdout))
}
