//! Every scenario of the suite as a test case: `cargo test` judges it as `cargo xtask test` does.
//!
//! The cases are those of the suite at the start of the test, so that a new scenario or case needs
//! no compilation.

use std::process::ExitCode;
use std::sync::{LazyLock, OnceLock};

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use scenarios::scenario::Scenario;
use scenarios::verdict::Verdict;
use xtask::args::matrix::MatrixOptions;
use xtask::host::terminal::Terminal;
use xtask::runner::selection;
use xtask::runner::testbed::Testbed;

static TERMINAL: LazyLock<Terminal> = LazyLock::new(Terminal::default);

fn main() -> ExitCode {
    let trials = match selection::select(&[]) {
        Ok(scenarios) => scenarios
            .into_iter()
            .map(|scenario| Trial::ignorable_test(scenario.name.clone(), move || judge(&scenario)))
            .collect(),
        // The only test case reports the error in the suite.
        Err(error) => vec![Trial::test("suite", move || Err(format!("{error:#}").into()))],
    };
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn judge(scenario: &Scenario) -> Result<Completion, Failed> {
    match testbed().as_ref()?.run(scenario, &TERMINAL).map_err(|error| format!("{error:#}"))? {
        Verdict::Passed => Ok(Completion::Completed),
        Verdict::Skipped(why) => Ok(Completion::ignored_with(why)),
        other => Err(format!("{} {}\n{}", scenario.name, other.word(), other.details()).into()),
    }
}

/// Returns the testbed for all test cases of this process. Its guests end with the process.
fn testbed() -> &'static Result<Testbed, String> {
    static TESTBED: OnceLock<Result<Testbed, String>> = OnceLock::new();
    TESTBED.get_or_init(|| {
        selection::select(&[])
            .and_then(|all| Testbed::prepare(&MatrixOptions::default(), &all, "cargo-test", &TERMINAL))
            .map_err(|error| format!("{error:#}"))
    })
}
