use scenarios::kernel_report::message;

use super::*;

const KUNIT: &str = include_str!("fixtures/kunit-6.12.log");
const BROKEN_KUNIT: &str = include_str!("fixtures/kunit-broken.log");
const KSELFTEST: &str = include_str!("fixtures/kselftest-user.log");

fn kunit(log: &str) -> Results {
    read(log.lines().map(message))
}

/// Returns the number of cases that passed, failed and were skipped.
fn counts(results: &Results) -> (usize, usize, usize) {
    let count =
        |is_it: fn(&Outcome) -> bool| results.cases.iter().filter(|case| is_it(&case.outcome)).count();
    (
        count(|outcome| *outcome == Outcome::Passed),
        count(|outcome| *outcome == Outcome::Failed),
        count(|outcome| matches!(outcome, Outcome::Skipped(_))),
    )
}

fn problem(output: &str) -> Option<String> {
    read(output.lines()).problem.map(|problem| problem.to_string())
}

#[test]
fn kunit_case_names_include_the_enclosing_tests() {
    let results = kunit(KUNIT);
    assert_eq!((counts(&results), &results.problem), ((68, 0, 0), &None));
    let names: Vec<&str> = results.cases.iter().map(|case| case.name.as_str()).collect();
    assert_eq!(names[1], "keyagent/keyagent_test_description/with a space");
    assert_eq!(names[67], "keyagent/keyagent_test_type_unregistered");
}

#[test]
fn failed_case_keeps_its_output() {
    let results = kunit(BROKEN_KUNIT);
    assert_eq!((counts(&results), &results.problem), ((56, 12, 0), &None));
    let failed: Vec<&Case> = results.cases.iter().filter(|case| case.outcome == Outcome::Failed).collect();
    assert_eq!(failed[0].name, "keyagent/keyagent_test_payload/reserved");
    assert_eq!(
        failed[0].notes[4..],
        [
            "keyagent_test_payload: EXPECTATION FAILED at security/keys/keyagent_test.c:290",
            "Expected !agent == !!c->ret, but",
            "!agent == 0 (0x0)",
            "!!c->ret == 1 (0x1)"
        ]
    );
    let oops = "BUG: kernel NULL pointer dereference, address: 0000000000000000";
    assert!(failed[11].notes.iter().any(|note| note == oops), "{:?}", failed[11].notes);
}

#[test]
fn kselftest_output_has_each_case_and_skip_reason() {
    let results = read(KSELFTEST.lines());
    assert_eq!((counts(&results), &results.problem), ((78, 0, 7), &None));
    assert_eq!(results.cases[0].name, "payload.signal_alone.register");
    assert_eq!(results.cases[58].outcome, Outcome::Skipped("needs root".into()));
}

#[test]
fn skipped_case_without_name_has_its_announced_name() {
    let output = "TAP version 13\n1..3\n#  RUN           power.a.request ...\n#            OK  power.a.request\n\
                  ok 1 # SKIP needs root\nok 2 # SKIP\nok 3 b\n";
    let results = read(output.lines());
    let case = |at: usize| (results.cases[at].name.as_str(), &results.cases[at].outcome);
    assert_eq!(case(0), ("power.a.request", &Outcome::Skipped("needs root".into())));
    assert_eq!(case(1), ("test 2", &Outcome::Skipped(String::new())));
    assert_eq!((case(2), &results.problem), (("b", &Outcome::Passed), &None));
}

#[test]
fn truncated_output_is_never_complete() {
    // The last two lines are totals, which are redundant.
    let lines: Vec<&str> = KSELFTEST.lines().collect();
    for end in 0..lines.len() - 2 {
        assert!(read(lines[..end].iter().copied()).problem.is_some(), "after {end} lines");
    }
    let lines: Vec<&str> = KUNIT.lines().take_while(|line| !line.ends_with("] ok 1 keyagent")).collect();
    for end in 0..=lines.len() {
        let results = read(lines[..end].iter().map(|line| message(line)));
        assert!(results.problem.is_some(), "after {end} lines");
    }
}

#[test]
fn missing_results_are_named() {
    assert_eq!(problem("[ 1.0] Run /init\n").unwrap(), "no test results were printed");
    assert_eq!(
        problem("TAP version 13\n1..3\nok 1 a\n# about to do b\n").unwrap(),
        "only 1 of 3 tests completed\nabout to do b"
    );
    assert_eq!(
        problem("TAP version 13\nok 1 a\n").unwrap(),
        "only 1 of an unknown number of tests completed"
    );
    assert_eq!(
        problem("KTAP version 1\n1..1\n    KTAP version 1\n    # Subtest: s\n    1..2\n    ok 1 a\n")
            .unwrap(),
        "only 1 of 2 tests of s completed"
    );
}

#[test]
fn no_tests_is_an_error() {
    assert_eq!(problem("TAP version 13\n1..0\n").unwrap(), "no test was run: none was planned");
    let skipped = "TAP version 13\n1..0 # SKIP the kernel has no keyagents\n";
    assert_eq!(problem(skipped).unwrap(), "no test was run: the kernel has no keyagents");
}

#[test]
fn inconsistent_results_are_malformed() {
    let malformed = [
        ("TAP version 13\n1..2\nok 2 b\n", "test 1 of 2 was due: `ok 2 b`"),
        ("TAP version 13\n1..1\nok 1 a\nok 2 b\n", "test 2 of 1 was due: `ok 2 b`"),
        ("TAP version 13\n1..1\nok 1 a\n1..1\n", "a second plan: `1..1`"),
        (
            "TAP version 13\n1..1\nok 1 a\nTAP version 13\n",
            "tests begin at level 0 of nesting, where 1 was due: `TAP version 13`",
        ),
        (
            "KTAP version 1\n1..1\n    KTAP version 1\n    # Subtest: s\n    1..2\n    ok 1 a\nok 1 s\n",
            "2 tests were announced within it, and 1 ran: `ok 1 s`",
        ),
        (
            "KTAP version 1\n1..1\n    KTAP version 1\n    # Subtest: s\n    ok 1 a\nok 1 s\n",
            "the tests within it have neither plan nor totals: `ok 1 s`",
        ),
        (
            "KTAP version 1\n1..1\n    KTAP version 1\n    # Subtest: s\n    ok 1 a\n# s: pass:2 fail:0 skip:0 total:2\nok 1 s\n",
            "2 tests were announced within it, and 1 ran: `ok 1 s`",
        ),
    ];
    for (output, why) in malformed {
        assert_eq!(problem(output).unwrap_or_default(), format!("the results are malformed: {why}"));
    }
}

#[test]
fn failed_suite_without_failed_case_is_a_case() {
    let output = "KTAP version 1\n1..1\n    KTAP version 1\n    # Subtest: s\n    1..1\n    ok 1 a\n# s: init failed\nnot ok 1 s\n";
    let results = read(output.lines());
    assert_eq!((counts(&results), &results.problem), ((1, 1, 0), &None));
    assert_eq!(
        (results.cases[1].name.as_str(), &results.cases[1].notes),
        ("s", &vec!["s: init failed".to_owned()])
    );
}
