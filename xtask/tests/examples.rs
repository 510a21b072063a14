//! Templates and documented examples run, with the documented results.

use std::fs;

use anyhow::{Result, ensure};
use scenarios::scenario::Scenario;
use scenarios::verdict::Verdict;
use scenarios::{snapshot, suite, template};
use xtask::args::matrix::MatrixOptions;
use xtask::host::terminal::Terminal;
use xtask::host::workspace;
use xtask::runner::testbed::Testbed;

/// Runs these scenarios, and returns their verdicts.
fn verdicts(scenarios: &[Scenario], label: &str) -> Result<Vec<Verdict>> {
    let terminal = Terminal::default();
    let testbed = Testbed::prepare(&MatrixOptions::default(), scenarios, label, &terminal)?;
    scenarios.iter().map(|scenario| testbed.run(scenario, &terminal)).collect()
}

#[test]
fn scenario_template_passes() -> Result<()> {
    let directory = tempfile::tempdir()?;
    template::write(directory.path(), "example/new")?;
    assert_eq!(verdicts(&suite::load(directory.path())?, "example-new")?, [Verdict::Passed]);
    Ok(())
}

fn blocks(page: &str) -> Vec<(&str, &str)> {
    let fenced = page.split("\n```").skip(1).step_by(2);
    fenced.filter_map(|block| block.split_once('\n')).collect()
}

#[test]
fn tutorial_scenarios_have_the_documented_traces() -> Result<()> {
    let page = fs::read_to_string(workspace::root().join("docs/scenarios-tutorial.md"))?;
    let directory = tempfile::tempdir()?;
    let folder = directory.path();
    fs::create_dir(folder.join("tutorial"))?;
    let mut traces = Vec::new();
    for (language, text) in blocks(&page) {
        match language {
            "toml" => fs::write(folder.join(format!("tutorial/{}.toml", traces.len() + 1)), text)?,
            "text" => traces.push(text.trim_end()),
            _ => {}
        }
    }
    let scenarios = suite::load(folder)?;
    ensure!(
        scenarios.len() >= 3 && scenarios.len() == traces.len(),
        "each scenario of the tutorial has its trace"
    );
    for (scenario, trace) in scenarios.iter().zip(&traces) {
        snapshot::save(scenario, trace)?;
    }
    for (scenario, verdict) in scenarios.iter().zip(verdicts(&scenarios, "tutorial")?) {
        assert_eq!(verdict, Verdict::Passed, "{}: {}", scenario.title, verdict.details());
    }
    Ok(())
}
