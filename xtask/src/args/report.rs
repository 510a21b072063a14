//! What `--report` asks for.

use std::fmt;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Result, anyhow, bail};
use clap::ValueEnum;

use crate::host::output;
use crate::host::process::quoted;

/// How a report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// The kernel's own test protocol.
    Ktap,
    /// What build servers read.
    Junit,
    /// An array of `{scenario, verdict, kernel, profile, vm, seconds}`.
    Json,
    /// A page that needs no other file.
    Html,
}

/// A report that somebody wants: `FORMAT=FILE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportArg {
    /// How.
    pub format: Format,
    /// Where to; `-` is standard output.
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
    /// Whether it can come true, as far as that can be told without leaving anything behind.
    pub(crate) fn check(&self) -> Result<()> {
        place(&self.file)
    }
}

/// Refuses a place where no report can be written, as far as that can be told without leaving anything behind.
///
/// # Errors
/// Says why, and what to do.
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

/// A report is written beside its place and renamed, so that it is the directory that counts. Root is told yes by access(2) even
/// where nobody can write.
fn probe(directory: &Path) -> io::Result<()> {
    let file = directory.join(format!(".keyagents-report-{}", std::process::id()));
    fs::File::create_new(&file)?;
    fs::remove_file(&file)
}
