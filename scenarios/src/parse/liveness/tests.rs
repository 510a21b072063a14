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
7:8 «"a"» these processes wait for each other to start: `a`, `b` → processes start one after another: `parent`, `join` and `session_keys` can't go in a circle
11:6 «describe» `late` has not started → add a step with `start = {}` before
13:3 «wait» `a` is no keyagent and gets no upcalls → say serves = "TYPE"
17:3 «describe» `a` has ended: this would wait for ever → let another process do it
19:3 «request» this can't take 600 ms → the whole scenario has deadline_ms = 500
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
9:7 «answer» there is no upcall to be met: nobody asks for a key → add a step with `request`, in the background, before
11:7 «wait» nobody asks for a key → add a step with `request`, in the background, before
13:7 «wait» nobody stops `agent` → send it SIGSTOP before
15:5 «wait» nobody ends `box` → let it exit, or send it a signal
17:5 «signal» `agent` is not stopped here → send it SIGSTOP before, or leave this out
"##);
    let steps = r#"[[step]]
box.request = { description = "d", callout = "c" }
[[step]]
agent.answer = {}
"#;
    assert_snapshot!(complaint(&(stage.to_owned() + steps)), @r##"
9:5 «request» `agent` holds this until a later step, which this one keeps from coming → add background = "NAME"
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
