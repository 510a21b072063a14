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
