//! What GitHub Actions is told of a run: annotations on the scenarios' lines, and a summary of the job.
//!
//! Both happen by themselves where GitHub says that it listens (`GITHUB_ACTIONS`, `GITHUB_STEP_SUMMARY`).

mod annotation;
mod summary;

use std::env;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};

use crate::host::terminal::Terminal;
use crate::runner::results::RunResults;

/// Tells GitHub of the run, if it listens. A summary that can't be written is noted: it changes no verdict.
pub fn tell(entries: &RunResults, terminal: &Terminal) {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
    if set("GITHUB_ACTIONS").is_some() {
        annotation::lines(entries).iter().for_each(|line| terminal.say(line));
    }
    if let Some(file) = set("GITHUB_STEP_SUMMARY")
        && let Err(error) = append(Path::new(&file), &summary::markdown(entries))
    {
        terminal.note(&format!("{error:#}"));
    }
}

fn append(file: &Path, text: &str) -> Result<()> {
    let open = OpenOptions::new().append(true).create(true).open(file);
    open.and_then(|mut file| file.write_all(text.as_bytes()))
        .with_context(|| format!("can't write the job's summary to {}", file.display()))
}
