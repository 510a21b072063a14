//! Argument of `--report`: a format and a file.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use clap::ValueEnum;

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
    pub format: Format,
    /// The file; `-` is standard output.
    pub file: PathBuf,
}

impl FromStr for ReportArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some((format, file)) = text.split_once('=').filter(|(_, file)| !file.is_empty()) else {
            return Err("a format and a file are expected, as in json=report.json".into());
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
