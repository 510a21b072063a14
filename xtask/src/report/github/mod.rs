//! Output for GitHub Actions: annotations on the scenarios' lines, and a summary of the job.
//!
//! Both are enabled by GitHub's environment variables `GITHUB_ACTIONS` and `GITHUB_STEP_SUMMARY`.

mod annotation;
mod summary;

use std::env;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};

use crate::host::terminal::Terminal;
use crate::runner::run_results::RunResults;

/// Writes annotations and the summary if GitHub asks for them. A failed write is only a note.
pub fn write(entries: &RunResults, terminal: &Terminal) {
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
