//! Compiler warnings in files of the series.

use std::{
    collections::BTreeSet,
    fs::OpenOptions,
    io::Write,
    path::{Path, PathBuf},
};

use crate::{Error, Result, diagnostics::Diagnostic, fs::remove};

/// The warnings of a build, which are kept beside its objects: an object that is not compiled again
/// does not warn again.
#[derive(Debug)]
pub(crate) struct Warnings {
    tree: PathBuf,
    /// The files of the series, by their paths in the tree.
    files: BTreeSet<String>,
    /// File with the directory's warnings.
    record: PathBuf,
    lines: Vec<String>,
}

impl Warnings {
    /// Starts the record for a build of that tree in that directory. If the last build there
    /// warned, the objects of these files are removed, so that the compiler repeats the remaining
    /// warnings.
    pub(crate) fn of(tree: &Path, directory: &Path, files: BTreeSet<String>) -> Result<Self> {
        let record = directory.join("warnings");
        if record.exists() {
            for source in files.iter().filter(|file| file.ends_with(".c")) {
                remove(&directory.join(source).with_extension("o"))?;
            }
            remove(&record)?;
        }
        Ok(Self { tree: tree.to_owned(), files, record, lines: Vec::new() })
    }

    /// Records a line of the build's output, on disk at once, since an interrupted build leaves
    /// objects, too.
    pub(crate) fn add_line(&mut self, line: &str) -> Result<()> {
        let is_ours =
            |it: &Diagnostic| it.message.starts_with(": warning: ") && self.files.contains(&it.file);
        let Some(warning) = Diagnostic::parse(line, &self.tree).filter(is_ours) else { return Ok(()) };
        let line = warning.line;
        // A header warns wherever it is included.
        if self.lines.contains(&line) {
            return Ok(());
        }
        let file = OpenOptions::new().create(true).append(true).open(&self.record);
        file.and_then(|mut file| writeln!(file, "{line}")).map_err(Error::io("writing", &self.record))?;
        self.lines.push(line);
        Ok(())
    }

    /// Returns the warnings in the order of the files, since the order of a build with several jobs
    /// is random.
    pub(crate) fn into_lines(mut self) -> Vec<String> {
        self.lines.sort();
        self.lines
    }
}
