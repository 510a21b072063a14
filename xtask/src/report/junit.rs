//! JUnit report for CI servers: a suite for each column, a case for each scenario.

use anyhow::{Context, Result};
use quick_junit::{
    NonSuccessKind, Property, Report as Junit, TestCase, TestCaseStatus, TestRerun, TestSuite,
};
use scenarios::verdict::Verdict;

use crate::runner::run_results::{ColumnResults, RunResults};
use crate::runner::scenario_result::{Attempt, ScenarioResult};

pub(super) fn text(entries: &RunResults) -> Result<String> {
    let mut junit = Junit::new("keyagents");
    junit.set_timestamp(super::when(entries));
    junit.set_time(entries.age());
    junit.add_test_suites(entries.counted().map(|part| suite(entries, part)));
    junit.to_string().context("can't write XML")
}

fn suite(entries: &RunResults, part: &ColumnResults) -> TestSuite {
    let mut suite = TestSuite::new(part.about.full_title());
    suite.add_property(Property::new("kernel", &*part.about.kernel));
    suite.add_property(Property::new("profile", part.about.profile.name()));
    let reports = entries.complete(part);
    suite.set_time(reports.iter().map(|report| report.took).sum());
    suite.add_test_cases(reports.iter().map(|report| case(part, report)));
    suite
}

/// Returns the case. Failed, crashed and hung are failures, distinguished by type; broken is an
/// error.
fn case(part: &ColumnResults, report: &ScenarioResult) -> TestCase {
    let (family, name) = report.family_and_name();
    let mut status = status(&report.verdict);
    // Earlier attempts: flaky failures of a scenario that passed in the end, else its earlier
    // failures.
    status.add_reruns(report.earlier.iter().map(rerun));
    let mut case = TestCase::new(name, status);
    case.set_classname(family);
    case.set_time(report.took);
    let vm = report.vm.map_or_else(|| part.about.vm.clone(), |kind| kind.to_string());
    case.add_property(Property::new("vm", vm));
    case
}

fn rerun(attempt: &Attempt) -> TestRerun {
    let kind = match attempt.verdict {
        Verdict::Broken(_) => NonSuccessKind::Error,
        _ => NonSuccessKind::Failure,
    };
    let mut rerun = TestRerun::new(kind);
    rerun.set_time(attempt.took);
    rerun.set_type(attempt.verdict.word());
    rerun.set_message(attempt.verdict.summary());
    rerun.set_description(attempt.verdict.details());
    rerun
}

fn status(verdict: &Verdict) -> TestCaseStatus {
    let bad = |kind| {
        let mut status = TestCaseStatus::non_success(kind);
        status.set_type(verdict.word());
        status.set_message(verdict.summary());
        status.set_description(verdict.details());
        status
    };
    match verdict {
        Verdict::Passed => TestCaseStatus::success(),
        Verdict::Failed(_) | Verdict::Crashed(_) | Verdict::Hung(_) => bad(NonSuccessKind::Failure),
        Verdict::Broken(_) => bad(NonSuccessKind::Error),
        Verdict::Skipped(why) => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(&**why);
            status
        }
    }
}
