mod process;
mod words;

use std::path::Path;

use insta::assert_snapshot;

use crate::{
    diagnostics::Diagnostics,
    plan::{Join, Namespace},
    scenario::Scenario,
};

/// Returns the first scenario of a text.
pub(super) fn read(text: &str) -> Result<Scenario, Diagnostics> {
    super::scenarios("family/name", Path::new("name.toml"), text)
        .map(|mut cases| cases.remove(0))
        .map_err(|file| Diagnostics { files: vec![file] })
}

/// Returns the error message for a faulty scenario.
pub(super) fn complaint(text: &str) -> String {
    read(text).map_or_else(|problems| problems.to_string(), |_| "no problem".to_owned())
}

#[test]
fn a_short_scenario_means_what_its_defaults_say() {
    let scenario = read(
        r#"
title = "t"
rules = ["R8"]
process.box = { join = "agent", session_keys = ["agent"] }
process.agent = { serves = "user", unshare = ["user", "net"] }
[[step]]
box.request = { description = "k", callout = "c" }
"#,
    )
    .unwrap();
    let plan = scenario.plan();
    let names: Vec<&str> = plan.processes.iter().map(|process| process.name.as_str()).collect();
    assert_eq!(names, ["agent", "box"], "a process starts after those that it refers to");
    let join = Join { process: "agent".into(), namespaces: vec![Namespace::User, Namespace::Net] };
    assert_eq!(plan.processes[1].join, [join], "joining a process is joining all of its own namespaces");
    assert_snapshot!(serde_json::to_string(&plan.processes[0].role).unwrap(), @r##"{"keyagent":{"hears":"signal","reactions":[[{"answer":{"payload":"{callout}"}}]]}}"##);
    assert_snapshot!(serde_json::to_string(&plan.processes[0].setup).unwrap(), @r##"[{"op":{"register":{"type":"user","with":{"signal":35},"into":"@s","by":"itself"}},"save":"agent"}]"##);
    assert_snapshot!(serde_json::to_string(&plan.steps).unwrap(), @r##"[{"process":"box","op":{"request":{"type":"user","description":"k","callout":"c"}},"count":1}]"##);
}

#[test]
fn every_mistake_is_shown_at_its_place_with_the_nearest_right_name() {
    let text = r##"title = "t"
rules = ["R8", "R99"]
colour = 3
[process.agent]
role = "keyagnt"
serves = "user"
on_upcal = { answer = "x" }
[process.box]
unshare = ["user", "pidd"]
session_keys = ["agnt"]
[[step]]
box.requst = { description = "k", callout = "c" }
as = "k"
[[step]]
bx.read = { kye = "k", bar = 4 }
expect = "ENOKY"
[[step]]
box.search = { description = 5, into = "@z" }
expects = "ENOKEY"
"##;
    assert_snapshot!(complaint(text), @r##"
      × no rule `R99`: they are R1 to R30
       ╭─[name.toml:2:16]
     1 │ title = "t"
     2 │ rules = ["R8", "R99"]
       ·                ─────
     3 │ colour = 3
       ╰────
      × unknown field `colour`
       ╭─[name.toml:3:1]
     2 │ rules = ["R8", "R99"]
     3 │ colour = 3
       · ──────
     4 │ [process.agent]
       ╰────
      help: known are: title, rules, deadline_ms, needs, sysctl, variables, matrix, process, step
      × unknown name `keyagnt`
       ╭─[name.toml:5:8]
     4 │ [process.agent]
     5 │ role = "keyagnt"
       ·        ─────────
     6 │ serves = "user"
       ╰────
      help: did you mean `keyagent`?
      × unknown field `on_upcal`
       ╭─[name.toml:7:1]
     6 │ serves = "user"
     7 │ on_upcal = { answer = "x" }
       · ────────
     8 │ [process.box]
       ╰────
      help: did you mean `on_upcall`?
      × unknown name `pidd`
        ╭─[name.toml:9:20]
      8 │ [process.box]
      9 │ unshare = ["user", "pidd"]
        ·                    ──────
     10 │ session_keys = ["agnt"]
        ╰────
      help: did you mean `pid`?
      × unknown name `requst`
        ╭─[name.toml:12:5]
     11 │ [[step]]
     12 │ box.requst = { description = "k", callout = "c" }
        ·     ──────
     13 │ as = "k"
        ╰────
      help: did you mean `request`?
      × no process `bx`
        ╭─[name.toml:15:1]
     14 │ [[step]]
     15 │ bx.read = { kye = "k", bar = 4 }
        · ──
     16 │ expect = "ENOKY"
        ╰────
      help: did you mean `box`?
      × unknown field `kye`
        ╭─[name.toml:15:13]
     14 │ [[step]]
     15 │ bx.read = { kye = "k", bar = 4 }
        ·             ───
     16 │ expect = "ENOKY"
        ╰────
      help: did you mean `key`?
      × unknown field `bar`
        ╭─[name.toml:15:24]
     14 │ [[step]]
     15 │ bx.read = { kye = "k", bar = 4 }
        ·                        ───
     16 │ expect = "ENOKY"
        ╰────
      help: known are: key
      × no errno `ENOKY`
        ╭─[name.toml:16:10]
     15 │ bx.read = { kye = "k", bar = 4 }
     16 │ expect = "ENOKY"
        ·          ───────
     17 │ [[step]]
        ╰────
      help: did you mean `ENOKEY`?
      × invalid type: integer `5`, expected a string
        ╭─[name.toml:18:30]
     17 │ [[step]]
     18 │ box.search = { description = 5, into = "@z" }
        ·                              ─
     19 │ expects = "ENOKEY"
        ╰────
      × `@z` names no key: say @s, @p, @t, @u, @us, @a, @r, @target, @authkey, a variable, or PROCESS:@s
        ╭─[name.toml:18:40]
     17 │ [[step]]
     18 │ box.search = { description = 5, into = "@z" }
        ·                                        ────
     19 │ expects = "ENOKEY"
        ╰────
      × unknown field `expects`
        ╭─[name.toml:19:1]
     18 │ box.search = { description = 5, into = "@z" }
     19 │ expects = "ENOKEY"
        · ───────
        ╰────
      help: did you mean `expect`?
    13 problems
"##);
}

#[test]
fn a_title_of_more_than_80_characters_is_refused_at_its_place() {
    let titled = |title: &str| {
        format!(
            "title = {title:?}\nrules = [\"R8\"]\nprocess.agent.serves = \"user\"\n[[step]]\nagent.read = {{ key = \"@s\" }}\n"
        )
    };
    assert_eq!(read(&titled(&"é".repeat(80))).unwrap().title.chars().count(), 80);
    assert_snapshot!(complaint(&titled(&"é".repeat(81))), @r##"
      × the title has 81 characters, and at most 80 are allowed
       ╭─[name.toml:1:9]
     1 │ title = "ééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééé"
       ·         ───────────────────────────────────────────────────────────────────────────────────
     2 │ rules = ["R8"]
       ╰────
      help: state one rule in a short sentence; details belong in comments
    1 problem
    "##);
}

#[test]
fn what_a_step_refers_to_has_to_exist_by_then() {
    let text = r##"title = "t"
rules = []
[process.agent]
serves = "user"
[process.box]
session_keys = ["agnt"]
[[step]]
box.read = { key = "k" }
[[step]]
box.request = { description = "d", into = "bx:@s" }
as = "k"
[[step]]
box.await = { job = "r" }
[[step]]
box.signal = { to = "agnet", signal = "SIGTERM" }
[[step]]
box.describe = { key = "#5" }
"##;
    assert_snapshot!(complaint(text), @r##"
      × no key is called `agnt` here
       ╭─[name.toml:6:17]
     5 │ [process.box]
     6 │ session_keys = ["agnt"]
       ·                 ──────
     7 │ [[step]]
       ╰────
      help: did you mean `agent`?
      × no key is called `k` here
       ╭─[name.toml:8:20]
     7 │ [[step]]
     8 │ box.read = { key = "k" }
       ·                    ───
     9 │ [[step]]
       ╰────
      help: a later step stores it
      × no process `bx`
        ╭─[name.toml:10:43]
      9 │ [[step]]
     10 │ box.request = { description = "d", into = "bx:@s" }
        ·                                           ───────
     11 │ as = "k"
        ╰────
      help: did you mean `box`?
      × no background step `r` has begun here
        ╭─[name.toml:13:21]
     12 │ [[step]]
     13 │ box.await = { job = "r" }
        ·                     ───
     14 │ [[step]]
        ╰────
      × no process `agnet`
        ╭─[name.toml:15:21]
     14 │ [[step]]
     15 │ box.signal = { to = "agnet", signal = "SIGTERM" }
        ·                     ───────
     16 │ [[step]]
        ╰────
      help: did you mean `agent`?
      × a scenario can't know serials
        ╭─[name.toml:17:24]
     16 │ [[step]]
     17 │ box.describe = { key = "#5" }
        ·                        ────
        ╰────
      help: store one with `as`, and say its name
    6 problems
"##);
}

#[test]
fn a_file_without_a_story_is_refused() {
    let text = r##"title = "t"
rules = []
"##;
    assert_snapshot!(complaint(text), @r##"
      × there are no processes
       ╭─[name.toml:1:1]
     1 │ title = "t"
       · ▲
     2 │ rules = []
       ╰────
      help: add [process.NAME]
      × there are no steps
       ╭─[name.toml:1:1]
     1 │ title = "t"
       · ▲
     2 │ rules = []
       ╰────
      help: add [[step]]
    2 problems
"##);
}

#[test]
fn broken_toml_is_shown_at_its_place() {
    let text = r##"title = "t
rules = []
"##;
    assert_snapshot!(complaint(text), @r##"
      × invalid basic string, expected `"`
       ╭─[name.toml:1:11]
     1 │ title = "t
       ·           ▲
     2 │ rules = []
       ╰────
    1 problem
"##);
}

#[test]
fn a_title_that_says_nothing_or_breaks_a_line_is_refused() {
    let titled = |title: &str| {
        complaint(&format!(
            "title = {title}\nrules = []\n[process.box]\n[[step]]\nbox.describe = {{ key = \"@s\" }}\n"
        ))
    };
    assert_snapshot!(titled(r#""""#), @r##"
      × the title says nothing
       ╭─[name.toml:1:9]
     1 │ title = ""
       ·         ──
     2 │ rules = []
       ╰────
      help: state one rule in a short sentence; details belong in comments
    1 problem
"##);
    assert_snapshot!(titled(r#"" \t""#), @r##"
      × the title says nothing
       ╭─[name.toml:1:9]
     1 │ title = " \t"
       ·         ─────
     2 │ rules = []
       ╰────
      help: state one rule in a short sentence; details belong in comments
    1 problem
"##);
    assert_snapshot!(titled(r#""one\ntwo \u001b[1m""#), @r##"
      × the title has the control character \n
       ╭─[name.toml:1:9]
     1 │ title = "one\ntwo \u001b[1m"
       ·         ────────────────────
     2 │ rules = []
       ╰────
      help: state one rule in a short sentence; details belong in comments
    1 problem
"##);
}
