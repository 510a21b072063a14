//! Every scenario is a test case: `cargo test` judges it as `cargo xtask test` does.

use std::sync::{LazyLock, OnceLock};

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

include!(concat!(env!("OUT_DIR"), "/scenarios.rs"));

/// Runs the scenario of this name. An error says what went otherwise.
fn judge(name: &str) -> Result<(), String> {
    let selected = suite::named(name).map_err(|error| format!("{error:#}"))?;
    let testbed = testbed().as_ref()?;
    match testbed.run(&selected, &TERMINAL).map_err(|error| format!("{error:#}"))? {
        Verdict::Passed => Ok(()),
        Verdict::Skipped(why) => {
            eprintln!("skipped: {why}");
            Ok(())
        }
        other => Err(format!("{} {}\n{}", selected.name, other.word(), other.details())),
    }
}
