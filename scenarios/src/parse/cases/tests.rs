use insta::assert_snapshot;

use crate::{
    parse::tests::{cases, complaint, shown},
    scenario::Expect,
};

#[test]
fn every_combination_is_a_scenario_of_its_own() {
    let text = r#"title = "The agent's end"
rules = ["R20"]
[variables]
who = "agent"
[matrix]
waiters = [1, 64]
end.exit = { error = "EKEYREVOKED" }
end.kill = { error = "ENOKEY" }
[process.agent]
serves = "user"
on_upcall = { answer = "{who} says {callout} to {waiters} by {end}, {{who}}" }
[process.box]
[[step]]
box.request = { description = "k{worker}", callout = "c" }
background = "all"
count = "{waiters}"
expect = "{error}"
"#;
    let cases = cases(text).unwrap();
    let names: Vec<&str> = cases.iter().map(|case| case.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "family/name[waiters=1,end=exit]",
            "family/name[waiters=1,end=kill]",
            "family/name[waiters=64,end=exit]",
            "family/name[waiters=64,end=kill]",
        ]
    );
    assert!(cases.iter().all(|case| case.file == "family/name"));
    let counts: Vec<u32> = cases.iter().map(|case| case.plan().steps[0].count).collect();
    assert_eq!(counts, [1, 1, 64, 64], "a number stays one");
    assert_eq!(cases[0].expectations[0].outcome, Expect::Error("EKEYREVOKED".into()));
    let role = serde_json::to_string(&cases[3].plan().processes[0].role).unwrap();
    assert!(role.contains("agent says {callout} to 64 by kill, {who}"), "{role}");
}

#[test]
fn a_case_may_choose_who_does_what() {
    let text = r#"title = "t"
rules = ["R20"]
[matrix]
operation = ["describe", "read"]
[process.box]
[[step]]
box."{operation}" = { key = "@s" }
"#;
    let cases = cases(text).unwrap();
    let ops: Vec<String> =
        cases.iter().map(|case| serde_json::to_string(&case.plan().steps[0].op).unwrap()).collect();
    assert_eq!(ops, [r#"{"describe":{"key":"@s"}}"#, r#"{"read":{"key":"@s"}}"#]);
}

#[test]
fn mistakes_in_a_matrix_are_told_at_their_places() {
    let text = r#"title = "t"
rules = ["R20"]
[variables]
spare = 1
uid = 2
[matrix]
one = 1
none = []
twice = ["a", "b", "a"]
odd = ["a b", { x = 1 }]
nested.x = "{spare}"
[matrix.how.first]
error = "E"
more = 1
[matrix.how.second]
eror = "E"
more = 2
[process.box]
[[step]]
box.read = { key = "@s" }
"#;
    assert_snapshot!(complaint(text), @r##"
5:1 «uid» `uid` can't be a variable → it stands for what is known only when the scenario runs: choose another name
7:7 «1» `one` has one value in all cases → a single value is for [variables]; a list of them, or NAME.CASE = VALUE, is for [matrix]
8:8 «[]» `none` has no values: there would be no case → add some
9:20 «"a"» there already is a case twice=a → leave one of them out
10:8 «"a b"» this can't stand in the name of a case → name it: odd.CASE = …
10:15 «{ x = 1 }» this can't stand in the name of a case → name it: odd.CASE = …
11:12 «"{spare}"» a variable's value can't name another: `{spare}` → spell it out
15:13 «second» `second` lacks `error` → every case gives a value to the same variables
16:1 «eror» the first case has no `eror` → did you mean `error`?
"##);
}

#[test]
fn mistakes_of_a_case_are_told_once_with_the_value_that_makes_them() {
    let text = r#"title = "t"
rules = ["R20"]
[matrix]
waiters = [1, "many"]
error = ["ENOKEY", "ENOKYE"]
spare = [1, 2]
end = ["exit", "look"]
[process.agent]
serves = "user"
[process.box]
session_keys = ["agnt"]
[[step]]
box.request = { description = "k", callout = "{colour} {waiter}" }
background = "all"
count = "{waiters}"
expect = "{error}"
[[step]]
agent.exit = { code = "{waiters}" }
"#;
    assert_snapshot!(shown(text), @r##"
  × nothing uses `spare`
   ╭─[name.toml:6:1]
 5 │ error = ["ENOKEY", "ENOKYE"]
 6 │ spare = [1, 2]
   · ─────
 7 │ end = ["exit", "look"]
   ╰────
  help: say "{spare}" where it belongs
  × nothing uses `end`
   ╭─[name.toml:7:1]
 6 │ spare = [1, 2]
 7 │ end = ["exit", "look"]
   · ───
 8 │ [process.agent]
   ╰────
  help: say "{end}" where it belongs
  × no key is called `agnt` here
    ╭─[name.toml:11:17]
 10 │ [process.box]
 11 │ session_keys = ["agnt"]
    ·                 ──────
 12 │ [[step]]
    ╰────
  help: did you mean `agent`?
  × no variable `colour`
    ╭─[name.toml:13:46]
 12 │ [[step]]
 13 │ box.request = { description = "k", callout = "{colour} {waiter}" }
    ·                                              ───────────────────
 14 │ background = "all"
    ╰────
  help: known are: end, error, spare, waiters, callout, description, type, hostname, uid, worker, round (the
        text itself is written `{{colour}}`)
  × no variable `waiter`
    ╭─[name.toml:13:46]
 12 │ [[step]]
 13 │ box.request = { description = "k", callout = "{colour} {waiter}" }
    ·                                              ───────────────────
 14 │ background = "all"
    ╰────
  help: did you mean `waiters`? (the text itself is written `{{waiter}}`)
  × invalid type: string "many", expected u32
   ╭─[name.toml:4:15]
 3 │ [matrix]
 4 │ waiters = [1, "many"]
   ·               ───┬──
   ·                  ╰── `waiters` is this here
 5 │ error = ["ENOKEY", "ENOKYE"]
   ╰────
    ╭─[name.toml:15:9]
 14 │ background = "all"
 15 │ count = "{waiters}"
    ·         ───────────
 16 │ expect = "{error}"
    ╰────
  × no errno `ENOKYE`
   ╭─[name.toml:5:20]
 4 │ waiters = [1, "many"]
 5 │ error = ["ENOKEY", "ENOKYE"]
   ·                    ────┬───
   ·                        ╰── `error` is this here
 6 │ spare = [1, 2]
   ╰────
    ╭─[name.toml:16:10]
 15 │ count = "{waiters}"
 16 │ expect = "{error}"
    ·          ─────────
 17 │ [[step]]
    ╰────
  help: did you mean `ENOKEY`?
  × invalid type: string "many", expected i32
   ╭─[name.toml:4:15]
 3 │ [matrix]
 4 │ waiters = [1, "many"]
   ·               ───┬──
   ·                  ╰── `waiters` is this here
 5 │ error = ["ENOKEY", "ENOKYE"]
   ╰────
    ╭─[name.toml:18:23]
 17 │ [[step]]
 18 │ agent.exit = { code = "{waiters}" }
    ·                       ───────────
    ╰────
8 problems
"##);
}

#[test]
fn what_is_wrong_in_one_case_only_says_in_which() {
    let text = r#"title = "t"
rules = ["R20"]
[matrix]
end.exit = { how = { exit = { code = 1 } } }
end.look = { how = { describe = { key = "@s" } } }
[process.box]
[[step]]
box = "{how}"
[[step]]
box.read = { key = "@s" }
"#;
    assert_snapshot!(complaint(text), @r##"
10:5 «read» `box` has ended: this would wait for ever, in the case end=exit → let another process do it
"##);
}

#[test]
fn an_empty_matrix_is_no_matrix() {
    let text = "title = \"t\"\nrules = []\n[matrix]\n[process.box]\n[[step]]\nbox.read = { key = \"@s\" }\n";
    assert_snapshot!(complaint(text), @r##"
3:2 «matrix» the matrix is empty → say NAME = [VALUE, …] under [matrix]
"##);
}

#[test]
fn a_matrix_of_more_than_1000_cases_is_refused_before_they_are_made() {
    let with = |axes: &[(&str, usize)]| {
        let values = |many: &usize| (0..*many).collect::<Vec<_>>();
        let axes: String = axes.iter().map(|(name, many)| format!("{name} = {:?}\n", values(many))).collect();
        format!(
            "title = \"{{a}} {{b}} {{c}}\"\nrules = []\n[matrix]\n{axes}[process.box]\n[[step]]\nbox.describe = {{ key = \"@s\" }}\n"
        )
    };
    assert_eq!(cases(&with(&[("a", 10), ("b", 10), ("c", 10)])).unwrap().len(), 1000);
    assert_snapshot!(complaint(&with(&[("a", 7), ("b", 11), ("c", 13)])), @r##"
3:2 «matrix» the matrix has 1001 cases, and at most 1000 are allowed → leave values out, or give several variables their values together: NAME.CASE = { OTHER = VALUE, … }
"##);
    let names: Vec<String> = (0..70).map(|number| format!("v{number}")).collect();
    let beyond_counting: Vec<(&str, usize)> = names.iter().map(|name| (name.as_str(), 2)).collect();
    assert_snapshot!(complaint(&with(&beyond_counting)), @r##"
3:2 «matrix» the matrix has more cases than can be counted, and at most 1000 are allowed → leave values out, or give several variables their values together: NAME.CASE = { OTHER = VALUE, … }
"##);
}
