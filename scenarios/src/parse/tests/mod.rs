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
fn what_is_done_with_an_upcall_is_one_thing_and_a_keyagents() {
    let text = r##"title = "t"
rules = []
[process.a]
on_upcall = { answer = "x", hold = {} }
[process.b]
role = "observer"
serves = "user"
[process.c]
on_upcall = [{ reject = "EKEYREJECTD" }, { anwser = "x" }, { ops = [{ revok = { key = "@authkey" } }] }]
[process.d]
on_upcall = []
[process.e]
on_upcall = { ops = [] }
[process.f]
on_upcall = "hold"
[process.count]
[[step]]
a.describe = { key = "@s" }
count = 3
"##;
    assert_snapshot!(complaint(text), @r##"
      × exactly one thing can be done with an upcall
       ╭─[name.toml:4:13]
     3 │ [process.a]
     4 │ on_upcall = { answer = "x", hold = {} }
       ·             ───────────────────────────
     5 │ [process.b]
       ╰────
      help: say one of { answer = "…" }, { reject = "ERRNO" }, { negate = {} }, { hold = {} }, { ops = [ … ] }
      × only a keyagent has `serves`
       ╭─[name.toml:6:8]
     5 │ [process.b]
     6 │ role = "observer"
       ·        ──────────
     7 │ serves = "user"
       ╰────
      help: delete `role`
      × no errno `EKEYREJECTD`
        ╭─[name.toml:9:25]
      8 │ [process.c]
      9 │ on_upcall = [{ reject = "EKEYREJECTD" }, { anwser = "x" }, { ops = [{ revok = { key = "@authkey" } }] }]
        ·                         ─────────────
     10 │ [process.d]
        ╰────
      help: did you mean `EKEYREJECTED`?
      × unknown name `anwser`
        ╭─[name.toml:9:44]
      8 │ [process.c]
      9 │ on_upcall = [{ reject = "EKEYREJECTD" }, { anwser = "x" }, { ops = [{ revok = { key = "@authkey" } }] }]
        ·                                            ──────
     10 │ [process.d]
        ╰────
      help: did you mean `answer`?
      × unknown name `revok`
        ╭─[name.toml:9:71]
      8 │ [process.c]
      9 │ on_upcall = [{ reject = "EKEYREJECTD" }, { anwser = "x" }, { ops = [{ revok = { key = "@authkey" } }] }]
        ·                                                                       ─────
     10 │ [process.d]
        ╰────
      help: did you mean `revoke`?
      × `on_upcall` says nothing
        ╭─[name.toml:11:13]
     10 │ [process.d]
     11 │ on_upcall = []
        ·             ──
     12 │ [process.e]
        ╰────
      help: say one of { answer = "…" }, { reject = "ERRNO" }, { negate = {} }, { hold = {} }, { ops = [ … ] }
      × there are no operations
        ╭─[name.toml:13:21]
     12 │ [process.e]
     13 │ on_upcall = { ops = [] }
        ·                     ──
     14 │ [process.f]
        ╰────
      help: say { hold = {} }
      × what is done with an upcall is a table
        ╭─[name.toml:15:13]
     14 │ [process.f]
     15 │ on_upcall = "hold"
        ·             ──────
     16 │ [process.count]
        ╰────
      help: say one of { answer = "…" }, { reject = "ERRNO" }, { negate = {} }, { hold = {} }, { ops = [ … ] }
      × `count` can't name a process
        ╭─[name.toml:16:10]
     15 │ on_upcall = "hold"
     16 │ [process.count]
        ·          ─────
     17 │ [[step]]
        ╰────
      help: use letters, digits, `-` and `_`, and none of the words of a step (as, expect, background, count, …)
      × `count` is for background steps, and at least 1
        ╭─[name.toml:19:9]
     18 │ a.describe = { key = "@s" }
     19 │ count = 3
        ·         ─
        ╰────
      help: add background = "NAME"
    10 problems
"##);
}

#[test]
fn a_role_that_is_implied_is_refused() {
    let text = r##"title = "t"
rules = []
[process.a]
role = "keyagent"
serves = "user"
[process.b]
role = "keyagent"
on_upcall = { hold = {} }
[process.c]
role = "requester"
[[step]]
c.describe = { key = "@s" }
"##;
    assert_snapshot!(complaint(text), @r##"
      × `serves` already makes it a keyagent
       ╭─[name.toml:4:8]
     3 │ [process.a]
     4 │ role = "keyagent"
       ·        ──────────
     5 │ serves = "user"
       ╰────
      help: delete `role`
      × `on_upcall` already makes it a keyagent
       ╭─[name.toml:7:8]
     6 │ [process.b]
     7 │ role = "keyagent"
       ·        ──────────
     8 │ on_upcall = { hold = {} }
       ╰────
      help: delete `role`
      × a process is a requester unless it says otherwise
        ╭─[name.toml:10:8]
      9 │ [process.c]
     10 │ role = "requester"
        ·        ───────────
     11 │ [[step]]
        ╰────
      help: delete `role`
    3 problems
"##);
}

#[test]
fn an_old_word_is_refused_with_the_new_one() {
    let text = r##"title = "t"
rules = []
[process.a]
serves = "user"
answer = "x"
[process.b]
serves = "user"
reject = "EKEYREJECTED"
[process.c]
serves = "user"
negate = true
[process.d]
serves = "user"
hold = true
[process.e]
serves = "user"
reactions = [[], [{ answer = {} }]]
[process.box]
holds = ["a"]
[[step]]
a.setperm = { key = "a", perm = 0x3f190000 }
[[step]]
box.describe = { key = "a" }
expect = { described = { perm = 0x3f010020 } }
"##;
    assert_snapshot!(complaint(text), @r##"
      × `answer` is now `on_upcall`
       ╭─[name.toml:5:1]
     4 │ serves = "user"
     5 │ answer = "x"
       · ──────
     6 │ [process.b]
       ╰────
      help: say on_upcall = { answer = "PAYLOAD" }
      × `reject` is now `on_upcall`
       ╭─[name.toml:8:1]
     7 │ serves = "user"
     8 │ reject = "EKEYREJECTED"
       · ──────
     9 │ [process.c]
       ╰────
      help: say on_upcall = { reject = "ERRNO" }
      × `negate` is now `on_upcall`
        ╭─[name.toml:11:1]
     10 │ serves = "user"
     11 │ negate = true
        · ──────
     12 │ [process.d]
        ╰────
      help: say on_upcall = { negate = {} }
      × `hold` is now `on_upcall`
        ╭─[name.toml:14:1]
     13 │ serves = "user"
     14 │ hold = true
        · ────
     15 │ [process.e]
        ╰────
      help: say on_upcall = { hold = {} }
      × `reactions` is now `on_upcall`
        ╭─[name.toml:17:1]
     16 │ serves = "user"
     17 │ reactions = [[], [{ answer = {} }]]
        · ─────────
     18 │ [process.box]
        ╰────
      help: say on_upcall = [ … ], with { hold = {} }, { answer = "PAYLOAD" } or { ops = [ … ] } for each upcall
      × `holds` is now `session_keys`
        ╭─[name.toml:19:1]
     18 │ [process.box]
     19 │ holds = ["a"]
        · ─────
     20 │ [[step]]
        ╰────
      help: say session_keys = ["AGENT"]
      × a permission mask is written by names: say perm = { possessor = "all", user = ["view", "search",
      │ "link"] }
        ╭─[name.toml:21:33]
     20 │ [[step]]
     21 │ a.setperm = { key = "a", perm = 0x3f190000 }
        ·                                 ──────────
     22 │ [[step]]
        ╰────
      × a permission mask is written by names: say perm = { possessor = "all", user = ["view"], other =
      │ ["setattr"] }
        ╭─[name.toml:24:33]
     23 │ box.describe = { key = "a" }
     24 │ expect = { described = { perm = 0x3f010020 } }
        ·                                 ──────────
        ╰────
    8 problems
"##);
}

#[test]
fn permissions_have_the_names_of_keyctl() {
    let text = r##"title = "t"
rules = []
[process.box]
[[step]]
box.setperm = { key = "@s", perm = { possessor = "everything", usr = ["view"] } }
[[step]]
box.setperm = { key = "@s", perm = { user = ["view", "serch"] } }
"##;
    assert_snapshot!(complaint(text), @r##"
      × invalid value: string "everything", expected "all", or a list of view, read, write, search, link and
      │ setattr
       ╭─[name.toml:5:50]
     4 │ [[step]]
     5 │ box.setperm = { key = "@s", perm = { possessor = "everything", usr = ["view"] } }
       ·                                                  ────────────
     6 │ [[step]]
       ╰────
      × unknown right `serch`
       ╭─[name.toml:7:45]
     6 │ [[step]]
     7 │ box.setperm = { key = "@s", perm = { user = ["view", "serch"] } }
       ·                                             ─────────────────
       ╰────
      help: did you mean `search`?
    2 problems
"##);
}

#[test]
fn what_pid_1_does_is_refused_where_a_process_would_have_to_do_it() {
    let text = r##"title = "t"
rules = []
[process.a]
on_upcall = { ops = [{ wait = { until = "stopped" } }, { in_thread = { of = { start = {} } } }] }
[process.box]
setup = [{ wait = { until = "stopped" } }]
[[step]]
box.in_thread = { of = { reap = {} } }
[[step]]
box.wait = { until = { charged = { uid = 0, keys = 1 } } }
"##;
    assert_snapshot!(complaint(text), @r##"
      × no process can `wait`: PID 1 of the guest does
       ╭─[name.toml:4:24]
     3 │ [process.a]
     4 │ on_upcall = { ops = [{ wait = { until = "stopped" } }, { in_thread = { of = { start = {} } } }] }
       ·                        ────
     5 │ [process.box]
       ╰────
      help: make it a step of its own: PROCESS.wait = { … }
      × no process can `start`: PID 1 of the guest does
       ╭─[name.toml:4:58]
     3 │ [process.a]
     4 │ on_upcall = { ops = [{ wait = { until = "stopped" } }, { in_thread = { of = { start = {} } } }] }
       ·                                                          ─────────
     5 │ [process.box]
       ╰────
      help: make it a step of its own: PROCESS.start = { … }
      × no process can `wait`: PID 1 of the guest does
       ╭─[name.toml:6:12]
     5 │ [process.box]
     6 │ setup = [{ wait = { until = "stopped" } }]
       ·            ────
     7 │ [[step]]
       ╰────
      help: make it a step of its own: PROCESS.wait = { … }
      × no process can `reap`: PID 1 of the guest does
       ╭─[name.toml:8:5]
     7 │ [[step]]
     8 │ box.in_thread = { of = { reap = {} } }
       ·     ─────────
     9 │ [[step]]
       ╰────
      help: make it a step of its own: PROCESS.reap = { … }
    4 problems
"##);
}

#[test]
fn how_upcalls_come_is_refused_where_none_come() {
    let text = r##"title = "t"
rules = []
[process.box]
hears = "watch"
with = { signal = 36 }
[process.looker]
role = "observer"
hears = "nothing"
[process.by-hand]
on_upcall = { hold = {} }
with = { signal = 36 }
hears = "nothing"
[[step]]
box.describe = { key = "@s" }
"##;
    assert_snapshot!(complaint(text), @r##"
      × only a keyagent has `hears`
       ╭─[name.toml:4:1]
     3 │ [process.box]
     4 │ hears = "watch"
       · ─────
     5 │ with = { signal = 36 }
       ╰────
      help: say serves = "TYPE", or delete `hears`
      × `with` has no effect without `serves`
       ╭─[name.toml:5:1]
     4 │ hears = "watch"
     5 │ with = { signal = 36 }
       · ────
     6 │ [process.looker]
       ╰────
      help: say serves = "TYPE", or put `with` into the operation: register = { type = "TYPE", with = { … } }
      × only a keyagent has `hears`
       ╭─[name.toml:8:1]
     7 │ role = "observer"
     8 │ hears = "nothing"
       · ─────
     9 │ [process.by-hand]
       ╰────
      help: say serves = "TYPE", or delete `hears`
      × `with` has no effect without `serves`
        ╭─[name.toml:11:1]
     10 │ on_upcall = { hold = {} }
     11 │ with = { signal = 36 }
        · ────
     12 │ hears = "nothing"
        ╰────
      help: say serves = "TYPE", or put `with` into the operation: register = { type = "TYPE", with = { … } }
    4 problems
"##);
}

#[test]
fn a_session_key_that_is_named_twice_is_refused() {
    let text = r##"title = "t"
rules = []
[process.agent]
serves = "user"
[process.box]
session_keys = ["agent", "agent"]
[[step]]
box.describe = { key = "@s" }
"##;
    assert_snapshot!(complaint(text), @r##"
      × `agent` is already in the list
       ╭─[name.toml:6:26]
     5 │ [process.box]
     6 │ session_keys = ["agent", "agent"]
       ·                          ───────
     7 │ [[step]]
       ╰────
      help: leave one of them out
    1 problem
"##);
}

#[test]
fn a_session_key_that_only_an_upcall_creates_is_refused() {
    let text = r##"title = "t"
rules = []
[process.agent]
serves = "user"
[process.box]
session_keys = ["agent", "agent.target"]
[process.late]
start = "step"
session_keys = ["agent.target"]
[[step]]
late.start = {}
"##;
    assert_snapshot!(complaint(text), @r##"
      × `agent.target` can't be there from the start: an upcall creates it
       ╭─[name.toml:6:26]
     5 │ [process.box]
     6 │ session_keys = ["agent", "agent.target"]
       ·                          ──────────────
     7 │ [process.late]
       ╰────
      help: let a step link it after the upcall has come
      × `agent.target` can't be there from the start: an upcall creates it
        ╭─[name.toml:9:17]
      8 │ start = "step"
      9 │ session_keys = ["agent.target"]
        ·                 ──────────────
     10 │ [[step]]
        ╰────
      help: let a step link it after the upcall has come
    2 problems
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

#[test]
fn a_mask_is_translated_into_names_only_without_loss() {
    let text = r##"title = "t"
rules = []
[process.box]
[[step]]
box.setperm = { key = "@s", perm = -1 }
[[step]]
box.setperm = { key = "@s", perm = 0x100000000 }
[[step]]
box.setperm = { key = "@s", perm = 0x81000040 }
[[step]]
box.setperm = { key = "@s", perm = 0 }
[[step]]
box.setperm = { key = "@s", perm = 0xffffffffffffffff }
"##;
    assert_snapshot!(complaint(text), @r##"
      × -1 is no permission mask, which has 32 bits: say perm = { possessor = "all", user = ["view"] }, or other
      │ names
       ╭─[name.toml:5:36]
     4 │ [[step]]
     5 │ box.setperm = { key = "@s", perm = -1 }
       ·                                    ──
     6 │ [[step]]
       ╰────
      × 4294967296 is no permission mask, which has 32 bits: say perm = { possessor = "all", user = ["view"] },
      │ or other names
       ╭─[name.toml:7:36]
     6 │ [[step]]
     7 │ box.setperm = { key = "@s", perm = 0x100000000 }
       ·                                    ───────────
     8 │ [[step]]
       ╰────
      × a permission mask is written by names, and the bits 0x80000040 have none: say perm = { possessor =
      │ "all", user = ["view"] }, or other names
        ╭─[name.toml:9:36]
      8 │ [[step]]
      9 │ box.setperm = { key = "@s", perm = 0x81000040 }
        ·                                    ──────────
     10 │ [[step]]
        ╰────
      × a permission mask is written by names: say perm = {}
        ╭─[name.toml:11:36]
     10 │ [[step]]
     11 │ box.setperm = { key = "@s", perm = 0 }
        ·                                    ─
     12 │ [[step]]
        ╰────
      × 18446744073709551615 is no permission mask, which has 32 bits: say perm = { possessor = "all", user =
      │ ["view"] }, or other names
        ╭─[name.toml:13:36]
     12 │ [[step]]
     13 │ box.setperm = { key = "@s", perm = 0xffffffffffffffff }
        ·                                    ──────────────────
        ╰────
    5 problems
"##);
}

#[test]
fn an_action_without_arguments_is_written_with_an_empty_table() {
    let text = r##"title = "t"
rules = []
[process.a]
on_upcall = { negate = true }
[process.b]
on_upcall = { hold = true }
[process.c]
on_upcall = { reject = "EBOGUS" }
[process.box]
[[step]]
box.reject = { key = "@s", error = "EBOGUS" }
[[step]]
box.describe = { key = "@s" }
expect = "EBOGUS"
[[step]]
box.describe = { key = "@s" }
expect = { error = "EBOGUS" }
"##;
    assert_snapshot!(complaint(text), @r##"
      × `negate` is written with an empty table
       ╭─[name.toml:4:24]
     3 │ [process.a]
     4 │ on_upcall = { negate = true }
       ·                        ────
     5 │ [process.b]
       ╰────
      help: say negate = {}
      × `hold` is written with an empty table
       ╭─[name.toml:6:22]
     5 │ [process.b]
     6 │ on_upcall = { hold = true }
       ·                      ────
     7 │ [process.c]
       ╰────
      help: say hold = {}
      × no errno `EBOGUS`
       ╭─[name.toml:8:24]
     7 │ [process.c]
     8 │ on_upcall = { reject = "EBOGUS" }
       ·                        ────────
     9 │ [process.box]
       ╰────
      help: say one of the names in errno(3), as in ENOKEY
      × no errno `EBOGUS`
        ╭─[name.toml:11:36]
     10 │ [[step]]
     11 │ box.reject = { key = "@s", error = "EBOGUS" }
        ·                                    ────────
     12 │ [[step]]
        ╰────
      help: say one of the names in errno(3), as in ENOKEY
      × no errno `EBOGUS`
        ╭─[name.toml:14:10]
     13 │ box.describe = { key = "@s" }
     14 │ expect = "EBOGUS"
        ·          ────────
     15 │ [[step]]
        ╰────
      help: say one of the names in errno(3), as in ENOKEY
      × no errno `EBOGUS`
        ╭─[name.toml:17:10]
     16 │ box.describe = { key = "@s" }
     17 │ expect = { error = "EBOGUS" }
        ·          ────────────────────
        ╰────
      help: say one of the names in errno(3), as in ENOKEY
    6 problems
"##);
}
