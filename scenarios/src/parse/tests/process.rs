//! Processes: roles, upcalls and session keys.

use super::*;

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
4:13 «{ answer = "x", hold = {} }» exactly one thing can be done with an upcall → say one of { answer = "…" }, { reject = "ERRNO" }, { negate = {} }, { hold = {} }, { ops = [ … ] }
6:8 «"observer"» only a keyagent has `serves` → delete `role`
9:25 «"EKEYREJECTD"» no errno `EKEYREJECTD` → did you mean `EKEYREJECTED`?
9:44 «anwser» unknown name `anwser` → did you mean `answer`?
9:71 «revok» unknown name `revok` → did you mean `revoke`?
11:13 «[]» `on_upcall` says nothing → say one of { answer = "…" }, { reject = "ERRNO" }, { negate = {} }, { hold = {} }, { ops = [ … ] }
13:21 «[]» there are no operations → say { hold = {} }
15:13 «"hold"» what is done with an upcall is a table → say one of { answer = "…" }, { reject = "ERRNO" }, { negate = {} }, { hold = {} }, { ops = [ … ] }
16:10 «count» `count` can't name a process → use letters, digits, `-` and `_`, and none of the words of a step (as, expect, background, count, …)
19:9 «3» `count` is for background steps, and at least 1 → add background = "NAME"
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
4:8 «"keyagent"» `serves` already makes it a keyagent → delete `role`
7:8 «"keyagent"» `on_upcall` already makes it a keyagent → delete `role`
10:8 «"requester"» a process is a requester unless it says otherwise → delete `role`
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
4:24 «wait» no process can `wait`: PID 1 of the guest does → make it a step of its own: PROCESS.wait = { … }
4:58 «in_thread» no process can `start`: PID 1 of the guest does → make it a step of its own: PROCESS.start = { … }
6:12 «wait» no process can `wait`: PID 1 of the guest does → make it a step of its own: PROCESS.wait = { … }
8:5 «in_thread» no process can `reap`: PID 1 of the guest does → make it a step of its own: PROCESS.reap = { … }
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
4:1 «hears» only a keyagent has `hears` → say serves = "TYPE", or delete `hears`
5:1 «with» `with` has no effect without `serves` → say serves = "TYPE", or put `with` into the operation: register = { type = "TYPE", with = { … } }
8:1 «hears» only a keyagent has `hears` → say serves = "TYPE", or delete `hears`
11:1 «with» `with` has no effect without `serves` → say serves = "TYPE", or put `with` into the operation: register = { type = "TYPE", with = { … } }
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
6:26 «"agent"» `agent` is already in the list → leave one of them out
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
6:26 «"agent.target"» `agent.target` can't be there from the start: an upcall creates it → let a step link it after the upcall has come
9:17 «"agent.target"» `agent.target` can't be there from the start: an upcall creates it → let a step link it after the upcall has come
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
4:24 «true» `negate` is written with an empty table → say negate = {}
6:22 «true» `hold` is written with an empty table → say hold = {}
8:24 «"EBOGUS"» no errno `EBOGUS` → say one of the names in errno(3), as in ENOKEY
11:36 «"EBOGUS"» no errno `EBOGUS` → say one of the names in errno(3), as in ENOKEY
14:10 «"EBOGUS"» no errno `EBOGUS` → say one of the names in errno(3), as in ENOKEY
17:10 «{ error = "EBOGUS" }» no errno `EBOGUS` → say one of the names in errno(3), as in ENOKEY
"##);
}
