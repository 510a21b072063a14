//! Every scenario is a test case: `cargo test` judges it as `cargo xtask test` does.

use std::path::PathBuf;
use std::sync::{LazyLock, OnceLock};

use rstest::rstest;
use scenarios::verdict::Verdict;
use xtask::suite;
use xtask::terminal::Terminal;
use xtask::testbed::{MatrixOptions, Testbed};

static TERMINAL: LazyLock<Terminal> = LazyLock::new(Terminal::new);

/// Guests for all test cases of this process, as many as run at once. They end with the process.
fn testbed() -> &'static Result<Testbed, String> {
    static TESTBED: OnceLock<Result<Testbed, String>> = OnceLock::new();
    TESTBED.get_or_init(|| {
        Testbed::prepare(&MatrixOptions::default(), "cargo-test", &TERMINAL)
            .map_err(|error| format!("{error:#}"))
    })
}

#[rstest]
fn scenario(#[files("../scenarios/suite/*/*.toml")] path: PathBuf) {
    let selected = suite::at(&path).unwrap_or_else(|error| panic!("{error:#}"));
    let testbed = testbed().as_ref().unwrap_or_else(|error| panic!("{error}"));
    let verdict = testbed.run(&selected, &TERMINAL).unwrap_or_else(|error| panic!("{error:#}"));
    match verdict {
        Verdict::Passed => {}
        Verdict::Skipped(why) => eprintln!("skipped: {why}"),
        other => panic!("{} {}\n{}", selected.name, other.word(), other.details()),
    }
}
