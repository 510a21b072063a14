//! Results of runs, for tests.

use std::path::Path;

use scenarios::parse;
use scenarios::scenario::Scenario;
use scenarios::verdict::Verdict;

use crate::artifacts::image::Profile;
use crate::runner::run_results::{ColumnInfo, SharedResults};
use crate::runner::scenario_result::ScenarioResult;

const TEXT: &str = r#"
title = "A miss is ENOKEY"
rules = ["R9"]
[process.box]
[[step]]
box.request = { description = "k" }
expect = "ENOKEY"
"#;

pub(crate) fn scenario(name: &str) -> Scenario {
    parse::scenarios(name, Path::new("x.toml"), TEXT).unwrap().remove(0)
}

pub(crate) fn column(kernel: &str) -> ColumnInfo {
    ColumnInfo {
        title: String::new(),
        kernel: kernel.into(),
        profile: Profile::Plain,
        vm: "auto".into(),
        optional: false,
    }
}

pub(crate) fn run(kernel: &str, verdicts: &[(&str, Option<Verdict>)]) -> SharedResults {
    let scenarios = verdicts.iter().map(|(name, _)| scenario(name)).collect();
    let results = SharedResults::new(scenarios, vec![column(kernel)]);
    results.entries().parts[0].verdicts =
        verdicts.iter().map(|(name, verdict)| Some(ScenarioResult::new(*name, verdict.clone()?))).collect();
    results
}
