//! Argument of `--report`: a format and a file.

use std::fmt;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Result, anyhow, bail};
use clap::ValueEnum;

use crate::host::output;
use crate::host::process::quoted;

/// Format of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// The kernel's test protocol.
    Ktap,
    /// JUnit's XML, for build servers.
    Junit,
    /// An array of `{scenario, verdict, kernel, profile, vm, seconds}`.
    Json,
    /// A page without other files.
    Html,
}

/// One `--report` argument: `FORMAT=FILE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportArg {
    /// The format.
    pub format: Format,
    /// The file; `-` is standard output.
    pub file: PathBuf,
}

impl FromStr for ReportArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some((format, file)) = text.split_once('=').filter(|(_, file)| !file.is_empty()) else {
            return Err("it takes a format and a file, as in json=report.json".into());
        };
        let Ok(format) = Format::from_str(format, false) else {
            let formats = Format::value_variants().iter().map(ToString::to_string);
            let formats: Vec<_> = formats.collect();
            return Err(format!("there is no format `{format}`: it is one of {}", formats.join(", ")));
        };
        Ok(Self { format, file: file.into() })
    }
}

impl fmt::Display for ReportArg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.format, self.file.display())
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        f.write_str(value.as_ref().map_or("", |value| value.get_name()))
    }
}

impl ReportArg {
    /// Checks that the report can be written, without leaving a file behind.
    pub(crate) fn check(&self) -> Result<()> {
        place(&self.file)
    }
}

/// Refuses a file that can't be written, without leaving a file behind.
///
/// # Errors
/// The file can't be written; the error states the cause and the remedy.
pub fn place(file: &Path) -> Result<()> {
    if output::is_standard_output(file) {
        return Ok(());
    }
    let refuse = |why: String| anyhow!("no report can be written to {}: {why}", file.display());
    match fs::metadata(file) {
        Ok(found) if found.is_dir() => {
            bail!(refuse("that is a directory; name a file in it".into()))
        }
        Ok(found) if !found.is_file() => {
            bail!(refuse("that is no regular file; name another".into()))
        }
        _ => {}
    }
    let directory = match file.canonicalize().unwrap_or_else(|_| file.to_owned()).parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    match fs::metadata(&directory) {
        Ok(found) if found.is_dir() => {}
        Ok(_) => bail!(refuse(format!("{} is no directory", directory.display()))),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            bail!(refuse(format!(
                "there is no {}; `mkdir -p {}` makes it",
                directory.display(),
                quoted(&directory)
            )))
        }
        Err(error) => bail!(refuse(format!("{}: {error}", directory.display()))),
    }
    probe(&directory).map_err(|error| {
        refuse(format!("{}: {error}; name a place that you may write to", directory.display()))
    })
}

/// Creates and removes a file in the directory, as a report is written there and renamed. access(2) would permit root
/// every directory, even a read-only one.
fn probe(directory: &Path) -> io::Result<()> {
    let file = directory.join(format!(".keyagents-report-{}", std::process::id()));
    fs::File::create_new(&file)?;
    fs::remove_file(&file)
}
