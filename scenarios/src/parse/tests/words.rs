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
5:1 «answer» `answer` is now `on_upcall` → say on_upcall = { answer = "PAYLOAD" }
8:1 «reject» `reject` is now `on_upcall` → say on_upcall = { reject = "ERRNO" }
11:1 «negate» `negate` is now `on_upcall` → say on_upcall = { negate = {} }
14:1 «hold» `hold` is now `on_upcall` → say on_upcall = { hold = {} }
17:1 «reactions» `reactions` is now `on_upcall` → say on_upcall = [ … ], with { hold = {} }, { answer = "PAYLOAD" } or { ops = [ … ] } for each upcall
19:1 «holds» `holds` is now `session_keys` → say session_keys = ["AGENT"]
21:33 «0x3f190000» a permission mask is written by names: say perm = { possessor = "all", user = ["view", "search", "link"] }
24:33 «0x3f010020» a permission mask is written by names: say perm = { possessor = "all", user = ["view"], other = ["setattr"] }
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
5:50 «"everything"» invalid value: string "everything", expected "all", or a list of view, read, write, search, link and setattr
7:45 «["view", "serch"]» unknown right `serch` → did you mean `search`?
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
5:36 «-1» -1 is no permission mask, which has 32 bits: say perm = { possessor = "all", user = ["view"] }, or other names
7:36 «0x100000000» 4294967296 is no permission mask, which has 32 bits: say perm = { possessor = "all", user = ["view"] }, or other names
9:36 «0x81000040» a permission mask is written by names, and the bits 0x80000040 have none: say perm = { possessor = "all", user = ["view"] }, or other names
11:36 «0» a permission mask is written by names: say perm = {}
13:36 «0xffffffffffffffff» 18446744073709551615 is no permission mask, which has 32 bits: say perm = { possessor = "all", user = ["view"] }, or other names
"##);
}
