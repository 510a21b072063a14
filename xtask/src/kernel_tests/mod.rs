//! The kernel's own tests, judged case by case: KUnit during the boot, then the selftest programs.

pub mod ktap;

use std::fs;
use std::time::Duration;

use scenarios::kernel_report::{begun_by, message};
use scenarios::verdict::{self, Cause, ConsoleLine, Mismatch, Verdict};
use scenarios::wire::Ending;
use scenarios::wire::program::Program;

use crate::runner::environment::Environment;
use crate::runner::scenario_result::ScenarioResult;
use crate::session::{Failure, Session};
use crate::vm::BootConfig;
use ktap::{Case, Outcome, Problem, Results};

/// Time limit of a program on a plain kernel.
const DEADLINE: Duration = Duration::from_secs(300);

/// Kernel parameters for KUnit, which reports at the level of information. Newer kernels run it at
/// boot only with `autorun`, and others ignore that.
const KUNIT: [&str; 3] = ["kunit.enable=1", "kunit.autorun=1", "loglevel=7"];

/// A user by its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum User {
    Root = 0,
    /// A user without capabilities.
    Ordinary = 1000,
}

#[derive(Debug)]
pub struct Part {
    /// Prefix of its results' names.
    pub title: String,
    pub cases: Vec<ScenarioResult>,
    /// Failure outside of the cases, if any.
    pub outside: Option<ScenarioResult>,
}

pub fn kunit(environment: &Environment) -> Part {
    let boot = boot(environment, "kunit", &KUNIT);
    let opened = environment.start(&boot);
    // PID 1 starts after the tests. The log has their results even if the guest did not come up.
    let log = fs::read(&boot.log).unwrap_or_default();
    let log = String::from_utf8_lossy(&log);
    let results = ktap::read(log.lines().map(message));
    let end = match opened {
        Err(failure) => Some(("boot of the guest", failure)),
        Ok(session) => session.close().err().map(|failure| ("shutdown of the guest", failure)),
    };
    let outside = match (end, &results.problem) {
        (Some((when, failure)), problem) => Some((when, failed_guest(&failure, problem.as_ref()))),
        (None, Some(problem)) => Some(("all", Verdict::Broken(problem.to_string().into()))),
        (None, None) => None,
    };
    Part::new("kunit".into(), results, outside)
}

/// Runs selftests in a guest, which is replaced when it is no longer usable.
pub struct Selftests<'a> {
    environment: &'a Environment,
    boot: BootConfig,
    guest: Option<Session>,
}

impl<'a> Selftests<'a> {
    /// Creates the runner; the first run starts a guest.
    pub fn on(environment: &'a Environment) -> Self {
        Self { environment, boot: boot(environment, "selftests", &[]), guest: None }
    }

    pub fn run(&mut self, path: &str, user: User) -> Part {
        let deadline = self.environment.boot.time_scale.scale(DEADLINE);
        let deadline_ms = u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX);
        let program = Program { path: path.to_owned(), arguments: Vec::new(), uid: user as u32, deadline_ms };
        let mut lines = Vec::new();
        let ended = self.execute(&program, &mut lines);
        let results = ktap::read(lines.iter().map(String::as_str));
        let outside = match ended {
            Err(failure) => Some(failed_guest(&failure, results.problem.as_ref())),
            Ok(ending) => failed_program(ending, &results, deadline),
        };
        Part::new(title(path, user), results, outside.map(|verdict| ("all", verdict)))
    }

    /// Shuts the guest down. Returns the failure if the kernel reports a fault.
    pub fn close(self) -> Option<Part> {
        let failure = self.guest?.close().err()?;
        let outside = ("shutdown of the guest", failed_guest(&failure, None));
        Some(Part::new("selftests".into(), Results::default(), Some(outside)))
    }

    fn execute(
        &mut self,
        program: &Program,
        lines: &mut Vec<String>,
    ) -> Result<Option<Ending>, Box<Failure>> {
        let mut guest = match self.guest.take() {
            Some(guest) => guest,
            None => self.environment.start(&self.boot)?,
        };
        let ending = guest.execute(program, |line| lines.push(line))?;
        self.guest = Some(guest);
        Ok(ending)
    }
}

impl Part {
    fn new(title: String, results: Results, outside: Option<(&str, Verdict)>) -> Self {
        let report = |name: &str, verdict| ScenarioResult::new(format!("{title}/{name}"), verdict);
        let cases = results.cases.into_iter().map(|case| report(&case.name.clone(), verdict(case))).collect();
        let outside = outside.map(|(what, verdict)| report(what, verdict));
        Self { cases, outside, title }
    }
}

/// Returns the prefix of a program's results.
pub fn title(path: &str, user: User) -> String {
    let (_, name) = path.rsplit_once('/').unwrap_or(("", path));
    let user = match user {
        User::Root => "root",
        User::Ordinary => "user",
    };
    format!("{name}/{user}")
}

/// Returns a boot configuration with a console log of its own.
fn boot(environment: &Environment, what: &str, parameters: &[&'static str]) -> BootConfig {
    let log = environment.boot.log.with_file_name(format!("kernel-test-{what}.console.log"));
    BootConfig {
        log,
        parameters: parameters.iter().map(|it| (*it).to_owned()).collect(),
        ..environment.boot.clone()
    }
}

/// Returns the verdict of a guest that is no longer usable.
fn failed_guest(failure: &Failure, problem: Option<&Problem>) -> Verdict {
    let mut cause = failure.cause.clone();
    if let Some(problem) = problem {
        cause.summary.push_str(&format!("\n{problem}"));
    }
    failure.kind.verdict(cause)
}

/// Returns the verdict on a program's exit; `None` if the cases cover it.
fn failed_program(ending: Option<Ending>, results: &Results, deadline: Duration) -> Option<Verdict> {
    let with_problem = |what: String| match &results.problem {
        Some(problem) => format!("{what}: {problem}"),
        None => what,
    };
    let failed = |what: String| Some(failed_with([what]));
    let any_failed = results.cases.iter().any(|case| case.outcome == Outcome::Failed);
    match (ending, &results.problem) {
        (None, _) => Some(Verdict::Hung(
            with_problem(format!("it did not end within {} s", deadline.as_secs())).into(),
        )),
        (Some(Ending::Killed(signal)), _) => {
            Some(Verdict::Crashed(with_problem(format!("killed by signal {signal}")).into()))
        }
        (Some(Ending::Exited(code)), Some(Problem::Truncated { .. })) => {
            failed(with_problem(format!("it exited with {code}")))
        }
        (Some(Ending::Exited(code)), Some(_)) => {
            Some(Verdict::Broken(with_problem(format!("it exited with {code}")).into()))
        }
        (Some(Ending::Exited(0)), None) => None,
        (Some(Ending::Exited(_)), None) if any_failed => None,
        (Some(Ending::Exited(code)), None) => failed(format!("it exited with {code}, and no case failed")),
    }
}

fn failed_with(complaints: impl IntoIterator<Item = String>) -> Verdict {
    let mismatch = |complaint| Mismatch { step: None, complaint };
    let mismatches = complaints.into_iter().map(mismatch).collect();
    Verdict::Failed(verdict::Failure { mismatches, ..verdict::Failure::default() })
}

/// Returns the verdict of a case. A kernel report during the case is a crash, whatever its outcome.
fn verdict(case: Case) -> Verdict {
    if let Some(report) = case.notes.iter().find_map(|note| begun_by(note)) {
        let console = case.notes.into_iter().map(ConsoleLine::from).collect();
        return Verdict::Crashed(Cause { console, ..report.to_string().into() });
    }
    match case.outcome {
        Outcome::Passed => Verdict::Passed,
        Outcome::Failed => failed_with(case.notes),
        Outcome::Skipped(why) => Verdict::Skipped(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(output: &str, ending: Option<Ending>) -> Vec<(String, &'static str, String)> {
        let results = ktap::read(output.lines());
        let outside = failed_program(ending, &results, DEADLINE).map(|verdict| ("all", verdict));
        let part = Part::new("p".into(), results, outside);
        let reports = part.cases.into_iter().chain(part.outside);
        reports.map(|one| (one.scenario, one.verdict.word(), one.verdict.details())).collect()
    }

    fn last(output: &str, ending: Option<Ending>) -> (&'static str, String) {
        let (_, word, details) = judged(output, ending).pop().unwrap();
        (word, details)
    }

    const PASSED: &str = "TAP version 13\n1..2\nok 1 a\nok 2 b # SKIP needs root\n";

    #[test]
    fn successful_exit_adds_no_result() {
        let judged = judged(PASSED, Some(Ending::Exited(0)));
        let words: Vec<_> = judged.iter().map(|(name, word, _)| (name.as_str(), *word)).collect();
        assert_eq!(words, [("p/a", "passed"), ("p/b", "skipped")]);
    }

    #[test]
    fn failed_exit_is_no_success_whatever_its_cases_report() {
        assert_eq!(
            last(PASSED, Some(Ending::Exited(1))),
            ("failed", "it exited with 1, and no case failed".into())
        );
        let cut = "TAP version 13\n1..2\nok 1 a\n";
        let only = "only 1 of 2 tests completed";
        assert_eq!(last(cut, Some(Ending::Exited(0))), ("failed", format!("it exited with 0: {only}")));
        assert_eq!(last(cut, Some(Ending::Killed(11))), ("crashed", format!("killed by signal 11: {only}")));
        assert_eq!(last(cut, None), ("hung", format!("it did not end within 300 s: {only}")));
        assert_eq!(
            last("TAP version 13\n1..0 # SKIP no such kernel\n", Some(Ending::Exited(4))),
            ("broken", "it exited with 4: no test was run: no such kernel".into())
        );
    }

    #[test]
    fn failed_case_shows_its_notes() {
        let output = "TAP version 13\n1..1\n# x.c:7: Expected 1 == 2\nnot ok 1 a\n";
        let judged = judged(output, Some(Ending::Exited(1)));
        assert_eq!(judged, [("p/a".to_owned(), "failed", "x.c:7: Expected 1 == 2".to_owned())]);
    }

    #[test]
    fn case_with_a_kernel_report_has_crashed() {
        let output = "TAP version 13\n1..1\nWARNING: CPU: 0 PID: 1 at x\nok 1 a\n";
        assert_eq!(judged(output, Some(Ending::Exited(0)))[0].1, "crashed");
    }
}
