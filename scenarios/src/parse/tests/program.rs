//! Programs, and files of a container.

use super::*;

#[test]
fn mistakes_in_programs_and_files_are_shown_at_their_places() {
    let text = r##"title = "t"
rules = []
[process.a]
program = ["keyagnetd", "--types", "user"]
serves = "user"
[process.b]
program = []
[process.c]
program = ["keyagentd", 5]
[process.d]
files = { "/etc/hosts" = "x" }
[process.e]
unshare = ["mount"]
files = { "etc/hosts" = "x", "/hosts" = "x", "/proc/sys/x" = "1", "/etc/../x" = "1", "/etc/" = "" , "/etc/y" = 1 }
[process.g]
program = ["keyctl", "a\u0000"]
unshare = ["mount"]
[process.g.files]
"/etc//a" = ""
"/etc/a\u0000" = ""
"/etc/b" = ""
"/etc/b/c" = ""

[process.f]
unshare = ["mount"]
files = "/etc/hosts"
[[step]]
a.describe = { key = "@s" }
"##;
    assert_snapshot!(complaint(text), @r##"
4:12 «"keyagnetd"» guests have no program `keyagnetd` → did you mean `keyagentd`?
5:1 «serves» a program has no `serves` → delete it, or let another process do it
7:11 «[]» there is no program → say program = ["NAME", "ARGUMENT", …]
9:25 «5» invalid type: integer `5`, expected a string
11:1 «files» everybody would see these files → say unshare = ["mount", …]; a child of this process sees them, too
14:11 «"etc/hosts"» `etc/hosts` can't be a file → say an absolute path as in /etc/hosts, and none below /proc, /sys or /dev
14:30 «"/hosts"» `/hosts` can't be a file → say an absolute path as in /etc/hosts, and none below /proc, /sys or /dev
14:46 «"/proc/sys/x"» `/proc/sys/x` can't be a file → say an absolute path as in /etc/hosts, and none below /proc, /sys or /dev
14:67 «"/etc/../x"» `/etc/../x` can't be a file → say an absolute path as in /etc/hosts, and none below /proc, /sys or /dev
14:86 «"/etc/"» `/etc/` can't be a file → say an absolute path as in /etc/hosts, and none below /proc, /sys or /dev
14:112 «1» invalid type: integer `1`, expected a string
16:22 «"a\u0000"» no argument has a NUL → take it out
19:1 «"/etc//a"» `/etc//a` can't be a file → say an absolute path as in /etc/hosts, and none below /proc, /sys or /dev
20:1 «"/etc/a\u0000"» `/etc/a\0` can't be a file → say an absolute path as in /etc/hosts, and none below /proc, /sys or /dev
21:1 «"/etc/b"» `/etc/b` can't be a file and the directory of `/etc/b/c` → rename one of them
26:9 «"/etc/hosts"» `files` is not a table → say files = { "/etc/hosts" = "TEXT", … }
"##);
}

#[test]
fn long_files_are_refused() {
    let complaint = |length: usize| {
        let text = "x".repeat(length);
        let text = format!(
            "title = \"t\"\nrules = []\n[process.a]\nunshare = [\"mount\"]\nfiles = {{ \"/etc/a\" = \"{text}\", \"/etc/b\" = \"b\" }}\n\
             [[step]]\na.describe = {{ key = \"@s\" }}\n"
        );
        cases(&text).err().map(|file| Diagnostics { files: vec![file] }.to_string())
    };
    assert_eq!(complaint((64 << 10) - 1), None);
    let complaint = complaint(64 << 10).unwrap();
    assert!(complaint.contains("these files have more than 64 KiB"), "{complaint:.200}");
}

#[test]
fn program_has_no_children() {
    let text = r##"title = "t"
rules = []
[process.daemon]
program = "keyagentd"
[process.child]
parent = "daemon"
[[step]]
child.describe = { key = "@s" }
[[step]]
daemon.wait = { until = "ended" }
"##;
    assert_snapshot!(complaint(text), @"6:10 «\"daemon\"» `daemon` is a program, which starts no process → name another `parent`, or share its namespaces by `join`");
}

#[test]
fn program_takes_no_steps_and_only_a_program_prints() {
    let text = r##"title = "t"
rules = []
[process.box]
[process.daemon]
program = "keyagentd"
[[step]]
daemon.wait = { until = { prints = "serving" } }
[[step]]
daemon.describe = { key = "@s" }
[[step]]
box.wait = { until = { prints = "serving" } }
[[step]]
daemon.wait = { until = "ended" }
"##;
    assert_snapshot!(complaint(text), @r##"
9:8 «describe» `daemon` is a program, which takes no steps → let another process do it; for a program, there are `start`, `wait` and `reap`
11:5 «wait» `box` is no program, and prints nothing → only a process with `program` prints; wait for something else
"##);
}

#[test]
fn program_is_a_requirement_of_its_scenario() {
    let scenario = read(
        r#"
title = "t"
rules = []
needs = ["nfsidmap"]
process.daemon = { program = ["keyagentd", "--types", "user"], unshare = ["mount"], files = { "/etc/a" = "b" } }
[[step]]
daemon.wait = { until = "ended" }
"#,
    );
    assert_eq!(scenario.requirements(), ["keyagentd", "mount_ns", "nfsidmap"]);
    let daemon = &scenario.plan().processes[0];
    assert_snapshot!(serde_json::to_string(&daemon.role).unwrap(), @r##"{"program":{"name":"keyagentd","arguments":["--types","user"]}}"##);
    assert_snapshot!(serde_json::to_string(&daemon.files).unwrap(), @r##"{"/etc/a":"b"}"##);
}
