//! Minimal benchmark in a guest on the patched kernel.

mod common;

use common::{streams, xtask};

#[test]
fn requests_are_measured_in_a_guest() {
    let directory = tempfile::tempdir().unwrap();
    let json = directory.path().join("bench.json");
    let arguments = ["bench", "request", "--rounds", "1", "--vm", "tcg", "--json", json.to_str().unwrap()];
    let (code, table, stderr) = streams(&xtask(&arguments).output().unwrap());
    assert_eq!(code, Some(0), "{stderr}");
    assert!(table.contains("tcg: keyagent "), "{table}");
    let figures: serde_json::Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    let cases: Vec<&str> =
        figures.as_array().unwrap().iter().map(|it| it["case"].as_str().unwrap()).collect();
    let expected = ["tcg: keyagent", "tcg: floor", "tcg: minimal static /sbin/request-key"];
    assert_eq!(cases.get(..3), Some(&expected[..]), "{cases:?}");
    for figure in figures.as_array().unwrap() {
        assert_eq!((figure["bench"].as_str(), figure["unit"].as_str()), (Some("request"), Some("µs")));
        assert!(figure["median"].as_f64() > Some(0.0) && figure["p99"].as_f64() >= figure["median"].as_f64());
    }
}

#[test]
fn unwritable_file_is_refused_before_any_work() {
    let output = xtask(&["bench", "--json", "/does/not/exist/bench.json"]).output().unwrap();
    let (code, table, stderr) = streams(&output);
    assert_eq!((code, table.as_str()), (Some(2), ""));
    assert!(stderr.starts_with("error: can't write /does/not/exist/bench.json: "), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
}
