use insta::assert_snapshot;

use crate::parse::tests::complaint;

#[test]
fn a_scenario_that_can_never_finish_is_refused() {
    let text = r##"title = "t"
rules = []
deadline_ms = 500
[process.a]
parent = "b"
[process.b]
join = "a"
[process.late]
start = "step"
[[step]]
late.describe = { key = "@s" }
[[step]]
a.wait = { until = { upcalls = 1 } }
[[step]]
a.exit = {}
[[step]]
a.describe = { key = "@s" }
[[step]]
b.request = { description = "d" }
at_least_ms = 600
"##;
    assert_snapshot!(complaint(text), @r##"
      × these processes wait for each other to start
       ╭─[name.toml:7:8]
     6 │ [process.b]
     7 │ join = "a"
       ·        ───
     8 │ [process.late]
       ╰────
      help: processes start one after another: `parent`, `join` and `session_keys` can't go in a circle
      × `late` has not started
        ╭─[name.toml:11:6]
     10 │ [[step]]
     11 │ late.describe = { key = "@s" }
        ·      ────────
     12 │ [[step]]
        ╰────
      help: add a step with `start = {}` before
      × `a` is no keyagent and gets no upcalls
        ╭─[name.toml:13:3]
     12 │ [[step]]
     13 │ a.wait = { until = { upcalls = 1 } }
        ·   ────
     14 │ [[step]]
        ╰────
      help: say serves = "TYPE"
      × `a` has ended: this would wait for ever
        ╭─[name.toml:17:3]
     16 │ [[step]]
     17 │ a.describe = { key = "@s" }
        ·   ────────
     18 │ [[step]]
        ╰────
      help: let another process do it
      × this can't take 600 ms
        ╭─[name.toml:19:3]
     18 │ [[step]]
     19 │ b.request = { description = "d" }
        ·   ───────
     20 │ at_least_ms = 600
        ╰────
      help: the whole scenario has deadline_ms = 500
    5 problems
"##);
}

#[test]
fn what_nothing_in_the_scenario_could_bring_about_is_not_waited_for() {
    let stage = r#"title = "t"
rules = []
[process.agent]
serves = "user"
on_upcall = { hold = {} }
[process.box]
session_keys = ["agent"]
"#;
    let steps = r##"[[step]]
agent.answer = {}
[[step]]
agent.wait = { until = { upcalls = 1 } }
[[step]]
agent.wait = { until = "stopped" }
[[step]]
box.wait = { until = "ended" }
[[step]]
box.signal = { to = "agent", signal = "SIGCONT" }
"##;
    assert_snapshot!(complaint(&(stage.to_owned() + steps)), @r##"
  × there is no upcall to be met: nobody asks for a key
    ╭─[name.toml:9:7]
  8 │ [[step]]
  9 │ agent.answer = {}
    ·       ──────
 10 │ [[step]]
    ╰────
  help: add a step with `request`, in the background, before
  × nobody asks for a key
    ╭─[name.toml:11:7]
 10 │ [[step]]
 11 │ agent.wait = { until = { upcalls = 1 } }
    ·       ────
 12 │ [[step]]
    ╰────
  help: add a step with `request`, in the background, before
  × nobody stops `agent`
    ╭─[name.toml:13:7]
 12 │ [[step]]
 13 │ agent.wait = { until = "stopped" }
    ·       ────
 14 │ [[step]]
    ╰────
  help: send it SIGSTOP before
  × nobody ends `box`
    ╭─[name.toml:15:5]
 14 │ [[step]]
 15 │ box.wait = { until = "ended" }
    ·     ────
 16 │ [[step]]
    ╰────
  help: let it exit, or send it a signal
  × `agent` is not stopped here
    ╭─[name.toml:17:5]
 16 │ [[step]]
 17 │ box.signal = { to = "agent", signal = "SIGCONT" }
    ·     ──────
    ╰────
  help: send it SIGSTOP before, or leave this out
5 problems
"##);
    let steps = r#"[[step]]
box.request = { description = "d", callout = "c" }
[[step]]
agent.answer = {}
"#;
    assert_snapshot!(complaint(&(stage.to_owned() + steps)), @r##"
  × `agent` holds this until a later step, which this one keeps from coming
    ╭─[name.toml:9:5]
  8 │ [[step]]
  9 │ box.request = { description = "d", callout = "c" }
    ·     ───────
 10 │ [[step]]
    ╰────
  help: add background = "NAME"
1 problem
"##);
}

#[test]
fn a_mount_may_raise_the_upcall_that_is_waited_for() {
    let text = r#"title = "t"
rules = []
[process.agent]
serves = "dns_resolver"
on_upcall = { hold = {} }
[process.box]
session_keys = ["agent"]
[[step]]
box.mount = { type = "ceph", source = "store:/", at = "/tmp" }
background = "mounting"
[[step]]
agent.wait = { until = { upcalls = 1 } }
[[step]]
agent.answer = {}
[[step]]
box.await = { job = "mounting" }
"#;
    assert_eq!(complaint(text), "no problem");
}
