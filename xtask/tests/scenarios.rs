//! Every scenario is a test case: `cargo test` judges it as `cargo xtask test` does.

use std::path::PathBuf;
use std::sync::{Mutex, OnceLock, PoisonError};

use rstest::rstest;
use scenarios::verdict::Verdict;
use xtask::ground::TestbedOptions;
use xtask::suite;
use xtask::terminal::Terminal;
use xtask::testbed::Testbed;

/// One guest for all test cases of this process. It ends with the process.
fn testbed() -> &'static Result<Mutex<Testbed>, String> {
    static TESTBED: OnceLock<Result<Mutex<Testbed>, String>> = OnceLock::new();
    TESTBED.get_or_init(|| {
        Testbed::prepare(&TestbedOptions::default(), "cargo-test", &Terminal::new())
            .map(Mutex::new)
            .map_err(|error| format!("{error:#}"))
    })
}

#[rstest]
fn scenario(#[files("../scenarios/suite/*/*.toml")] path: PathBuf) {
    let selected = suite::at(&path).unwrap_or_else(|error| panic!("{error:#}"));
    let testbed = testbed().as_ref().unwrap_or_else(|error| panic!("{error}"));
    // A case that failed panicked with the guard in its hand; the testbed replaces its guest by itself.
    let verdict = testbed.lock().unwrap_or_else(PoisonError::into_inner).run(&selected);
    match verdict {
        Verdict::Passed => {}
        Verdict::Skipped(why) => eprintln!("skipped: {why}"),
        other => panic!("{} {}\n{}", selected.name, other.word(), other.details()),
    }
}
