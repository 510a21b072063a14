use std::collections::BTreeSet;
use std::path::Path;

use serde_json::json;

use super::*;
use counts::GcovOutput;

use crate::host::exemptions;

const SOURCE: &str = "int f(int a)\n{\n\tif (a)\n\t\tgoto out;\n\ta++;\nout:\n\treturn a;\n}\nint g(void)\n{\n\treturn 1;\n}\n";

/// Output of gcov for a call of f() without its goto, and no call of g().
fn output() -> GcovOutput {
    let branch = |count: u64| json!({"count": count, "throw": false, "fallthrough": count > 0});
    let line = |number: usize, count: u64, branches: &[serde_json::Value]| json!({"line_number": number, "count": count, "unexecuted_block": false, "branches": branches});
    let lines = [(4, 0), (5, 3), (7, 3), (11, 0)].map(|(number, count)| line(number, count, &[]));
    let lines: Vec<_> = [line(3, 3, &[branch(0), branch(3)])].into_iter().chain(lines).collect();
    let functions = [("f", 1, 8, 3), ("g", 9, 12, 0)].map(|(name, first, last, count)| {
        json!({"name": name, "start_line": first, "end_line": last, "execution_count": count})
    });
    let file = json!({"file": "a.c", "functions": functions, "lines": lines});
    serde_json::from_value(json!({"files": [file]})).unwrap()
}

fn own(lines: impl IntoIterator<Item = usize>) -> [ChangedFile; 1] {
    let lines: BTreeSet<usize> = lines.into_iter().collect();
    [ChangedFile { path: "a.c".into(), text: SOURCE.into(), is_new: lines.len() == 12, lines }]
}

fn tally() -> Tally {
    let mut tally = Tally::default();
    tally.add(output());
    tally
}

fn list(entries: &str) -> Vec<Unreachable> {
    exemptions::parse(entries, Path::new("unreachable.toml"), "6.12").unwrap()
}

fn list_error(entry: &str) -> String {
    let list = list(&format!("[[unreachable]]\nfile = 'a.c'\nreason = 'so'\n{entry}\n"));
    Coverage::of(&own(1..=12), &tally(), &list).list_errors.join("\n")
}

#[test]
fn counts_of_series_lines_are_summed_over_guests() {
    let mut tally = tally();
    tally.add(output());
    let coverage = Coverage::of(&own([4, 5, 6]), &tally, &[]);
    assert_eq!(coverage.lines(), Share { reached: 1, of: 2 });
    assert_eq!(coverage.files[0].lines[&5].state, State::Reached(6));
    let missed: Vec<usize> = coverage.missed().map(|(_, number)| number).collect();
    assert_eq!(missed, [4]);
    let names: Vec<&str> = coverage.files[0].functions.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["f"]);
}

#[test]
fn unreachable_line_is_neither_reached_nor_missed() {
    let entry = "[[unreachable]]\nfile = 'a.c'\nfunction = 'f'\ncode = 'goto out;'\nreason = 'so'\n\
                 [[unreachable]]\nfile = 'a.c'\nfunction = 'g'\nreason = 'nobody calls it'\n";
    let coverage = Coverage::of(&own(1..=12), &tally(), &list(entry));
    assert_eq!((coverage.list_errors.as_slice(), coverage.lines().percent()), (&[][..], 100));
    assert_eq!(coverage.unreachable(), 2);
    assert_eq!(coverage.files[0].share_of_functions(), Share { reached: 1, of: 1 });
}

#[test]
fn outdated_entry_is_an_error() {
    assert_eq!(
        list_error("function = 'f'\ncode = 'goto in;'"),
        "a.c, f(), `goto in;`: there is no such code"
    );
    assert_eq!(list_error("code = 'a++;'"), "a.c, `a++;`: line 5 was reached");
    assert_eq!(list_error("code = '{'"), "a.c, `{`: it is in lines 2, 10: say which with `after`");
    assert_eq!(
        list_error("code = '{'\nafter = 'int g(void)'"),
        "a.c, `{`: there is no code of the series' there"
    );
    assert_eq!(list_error("function = 'h'"), "a.c, h(): the series has no code in that function");
    let elsewhere = list("[[unreachable]]\nfile = 'b.c'\nreason = 'so'\ncode = 'x'\n");
    let list_errors = Coverage::of(&own(1..=12), &tally(), &elsewhere).list_errors;
    assert_eq!(list_errors, ["b.c, `x`: the series has no code in that file"]);
}

#[test]
fn file_without_code_in_the_kernel_is_named() {
    let coverage = Coverage::of(&own([1]), &Tally::default(), &[]);
    assert_eq!(coverage.absent, ["a.c"]);
}

#[test]
fn only_full_coverage_is_a_hundred_percent() {
    assert_eq!(Share { reached: 999, of: 1000 }.percent(), 99);
    assert_eq!(Share { reached: 0, of: 0 }.percent(), 100);
}

#[test]
fn tracefile_has_the_reachable_lines() {
    let text = lcov::text(&Coverage::of(&own(1..=12), &tally(), &[]));
    let expected = "TN:\nSF:a.c\nFN:1,f\nFNDA:3,f\nFN:9,g\nFNDA:0,g\nFNF:2\nFNH:1\nBRDA:3,0,0,0\nBRDA:3,0,1,3\nBRF:2\nBRH:1\n\
                    DA:3,3\nDA:4,0\nDA:5,3\nDA:7,3\nDA:11,0\nLF:5\nLH:3\nend_of_record\n";
    assert_eq!(text, expected);
}

#[test]
fn page_shows_each_line_and_the_reason_of_unreachable_ones() {
    let entry = "[[unreachable]]\nfile = 'a.c'\nfunction = 'g'\nreason = 'a < b'\n";
    let coverage = Coverage::of(&own(1..=12), &tally(), &list(entry));
    let page = html::text(&coverage, "kernel 6.12", &["one <guest> less".into()]).unwrap();
    assert!(page.contains(r#"<div class="line miss" id="f0-4">"#), "{page}");
    assert!(page.contains("goto out;") && page.contains("1/2"), "{page}");
    assert!(page.contains("one &#60;guest&#62; less") && page.contains("a &#60; b"), "{page}");
    assert!(!page.contains("<script"), "{page}");
}
