mod process;
mod program;
mod words;

use std::path::Path;

use insta::assert_snapshot;

use crate::{
    diagnostics::{Diagnostics, FileProblems, Problem},
    plan::{Join, Namespace},
    scenario::{Position, Scenario},
};

pub(super) fn cases(text: &str) -> Result<Vec<Scenario>, FileProblems> {
    super::scenarios("family/name", Path::new("name.toml"), text)
}

/// Returns the first scenario of a text without mistakes.
pub(super) fn read(text: &str) -> Scenario {
    cases(text).unwrap().remove(0)
}

/// Returns the mistakes in a text, each in a line: its place, what stands there, the message and the advice.
pub(super) fn complaint(text: &str) -> String {
    let Err(file) = cases(text) else { return "no problem".to_owned() };
    let line = |problem: &Problem| {
        let Position { line, column } = Position::of(text, problem.span.start);
        let help = problem.help.as_ref().map(|help| format!(" → {help}")).unwrap_or_default();
        format!("{line}:{column} «{}» {}{help}", &text[problem.span.clone()], problem.message)
    };
    file.problems.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Returns the mistakes in a text as they are shown to its author.
pub(super) fn shown(text: &str) -> String {
    Diagnostics { files: vec![cases(text).unwrap_err()] }.to_string()
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
    );
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
2:16 «"R99"» no rule `R99`: they are R1 to R30
3:1 «colour» unknown field `colour` → known are: title, rules, deadline_ms, needs, sysctl, variables, matrix, process, step
5:8 «"keyagnt"» unknown name `keyagnt` → did you mean `keyagent`?
7:1 «on_upcal» unknown field `on_upcal` → did you mean `on_upcall`?
9:20 «"pidd"» unknown name `pidd` → did you mean `pid`?
12:5 «requst» unknown name `requst` → did you mean `request`?
15:1 «bx» no process `bx` → did you mean `box`?
15:13 «kye» unknown field `kye` → did you mean `key`?
15:24 «bar» unknown field `bar` → known are: key
16:10 «"ENOKY"» no errno `ENOKY` → did you mean `ENOKEY`?
18:30 «5» invalid type: integer `5`, expected a string
18:40 «"@z"» `@z` names no key: say @s, @p, @t, @u, @us, @a, @r, @target, @authkey, a variable, or PROCESS:@s
19:1 «expects» unknown field `expects` → did you mean `expect`?
"##);
}

#[test]
fn a_title_that_is_too_long_says_nothing_or_breaks_a_line_is_refused() {
    let titled = |title: &str| {
        format!("title = {title}\nrules = []\n[process.box]\n[[step]]\nbox.describe = {{ key = \"@s\" }}\n")
    };
    let long = |length| format!("\"{}\"", "é".repeat(length));
    assert_eq!(complaint(&titled(&long(80))), "no problem");
    for (title, message) in [
        (&*long(81), "the title has 81 characters, and at most 80 are allowed"),
        (r#""""#, "the title says nothing"),
        (r#"" \t""#, "the title says nothing"),
        (r#""one\ntwo \u001b[1m""#, "the title has the control character \\n"),
    ] {
        let help = "state one rule in a short sentence; details belong in comments";
        assert_eq!(complaint(&titled(title)), format!("1:9 «{title}» {message} → {help}"));
    }
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
6:17 «"agnt"» no key is called `agnt` here → did you mean `agent`?
8:20 «"k"» no key is called `k` here → a later step stores it
10:43 «"bx:@s"» no process `bx` → did you mean `box`?
13:21 «"r"» no background step `r` has begun here
15:21 «"agnet"» no process `agnet` → did you mean `agent`?
17:24 «"#5"» a scenario can't know serials → store one with `as`, and say its name
"##);
}

#[test]
fn a_file_without_a_story_is_refused() {
    let text = r##"title = "t"
rules = []
"##;
    assert_snapshot!(complaint(text), @r##"
1:1 «» there are no processes → add [process.NAME]
1:1 «» there are no steps → add [[step]]
"##);
}

#[test]
fn broken_toml_is_shown_at_its_place() {
    let text = r##"title = "t
rules = []
"##;
    assert_snapshot!(shown(text), @r##"
      × invalid basic string, expected `"`
       ╭─[name.toml:1:11]
     1 │ title = "t
       ·           ▲
     2 │ rules = []
       ╰────
    1 problem
"##);
}
