//! What people are given to begin with, and to read, is true: it runs, and goes as it is told.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use scenarios::scenario::Scenario;
use scenarios::verdict::Verdict;
use scenarios::{suite, template};
use xtask::terminal::Terminal;
use xtask::testbed::{MatrixOptions, Testbed};

/// What is said of these scenarios, by one guest.
fn verdicts(scenarios: &[Scenario], label: &str) -> Result<Vec<Verdict>> {
    let terminal = Terminal::new();
    let testbed = Testbed::prepare(&MatrixOptions::default(), label, &terminal)?;
    scenarios.iter().map(|scenario| testbed.run(scenario, &terminal)).collect()
}

/// An empty folder of this test's own.
fn folder(test: &str) -> Result<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

#[test]
fn what_new_scenarios_begin_with_passes() -> Result<()> {
    let folder = folder("new")?;
    template::write(&folder, "example/new")?;
    assert_eq!(verdicts(&suite::load(&folder)?, "example-new")?, [Verdict::Passed]);
    Ok(())
}
