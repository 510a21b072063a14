//! Old words and permission masks.

use super::*;

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
