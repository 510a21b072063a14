//! The scenarios that were asked for.

use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use scenarios::scenario::Scenario;
use scenarios::suite;

use crate::terminal::Terminal;
use crate::workspace;

/// Reads all scenarios, and gives those whose name contains one of the filters: all, if there is none.
///
/// # Errors
/// A scenario that is wrong, whether it was asked for or not; or a filter that fits none.
pub fn select(filters: &[String]) -> Result<Vec<Scenario>> {
    let mut scenarios = suite::load(&workspace::suite())?;
    if scenarios.is_empty() {
        bail!("there are no scenarios in {}", workspace::suite().display());
    }
    for filter in filters {
        if !scenarios.iter().any(|scenario| scenario.name.contains(filter)) {
            let mut families: Vec<&str> = scenarios.iter().map(|scenario| scenario.family.as_str()).collect();
            families.dedup();
            bail!("no scenario's name contains `{filter}`; the families are {}", families.join(", "));
        }
    }
    scenarios.retain(|scenario| filters.is_empty() || filters.iter().any(|f| scenario.name.contains(f)));
    Ok(scenarios)
}

/// Reads the scenario in this file.
///
/// # Errors
/// A scenario that is wrong, or a file that is none of the suite.
pub fn at(path: &Path) -> Result<Scenario> {
    let path = path.canonicalize().with_context(|| format!("no scenario at {}", path.display()))?;
    suite::load(&workspace::suite())?
        .into_iter()
        .find(|scenario| scenario.path.canonicalize().is_ok_and(|found| found == path))
        .ok_or_else(|| anyhow!("{} is no scenario of the suite", path.display()))
}

/// Notes snapshots that no scenario belongs to.
///
/// # Errors
/// The suite's folder can't be read.
pub fn note_stale_snapshots(terminal: &Terminal) -> Result<()> {
    for snapshot in suite::stale_snapshots(&workspace::suite()).context("can't look for stale snapshots")? {
        terminal.note(&format!("{} belongs to no scenario: delete it", snapshot.display()));
    }
    Ok(())
}
