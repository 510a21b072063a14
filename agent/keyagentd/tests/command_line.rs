//! What the command line says without a kernel that has keyagents: rules and options that are wrong.

use std::fs;
use std::io;
use std::process::Command;

/// Exit code and standard output of the program, run in a directory with these rules.
fn run(rules: &str, arguments: &[&str]) -> io::Result<(Option<i32>, String)> {
    let directory = tempfile::tempdir()?;
    fs::write(directory.path().join("rules"), rules)?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_keyagentd"));
    let output = command.args(arguments).current_dir(directory.path()).output()?;
    Ok((output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned()))
}

const CHECK: [&str; 3] = ["check", "--rules", "rules"];

#[test]
fn check_prints_mistakes_and_missing_helpers() {
    let rules = "create user * * /bin/sh %x\ncreate user a* * /non\u{1b}existent %k\n";
    let (code, printed) = run(rules, &CHECK).unwrap();
    assert_eq!(code, Some(78));
    let lines: Vec<&str> = printed.lines().collect();
    assert!(lines.len() == 2 && lines[0].starts_with("rules:1:25: error: no such macro"), "{printed}");
    assert!(
        lines[1].starts_with("rules:2: warning: can't execute /non\\u{1b}existent: No such file"),
        "{printed}"
    );
}

#[test]
fn check_prints_what_would_run() {
    let rules = "create user a:* * |/bin/sh -c true %k %d %%c %S %c\n";
    let check = |key: &[&str]| run(rules, &[&CHECK[..], key].concat()).unwrap();
    let (code, printed) = check(&["user", "a:x y", "$(z)"]);
    assert_eq!(
        (code, printed.as_str()),
        (Some(0), "rules:1: |/bin/sh -c true KEY 'a:x y' '%c' KEYRING '$(z)'\n")
    );
    let (code, printed) = check(&["user", "a:", "--", "-z"]);
    assert_eq!(code, Some(0));
    assert!(printed.starts_with("rules:1: |/bin/sh is not run: can't pass %c to the helper"), "{printed}");
    let none = "no rule matches: the request would be rejected with ENOKEY\n".to_owned();
    assert_eq!(check(&["user", "b"]), (Some(1), none));
}

#[test]
fn wrong_options_and_rules_have_codes_of_their_own() {
    for (arguments, code) in [
        (&["--nonexistent"][..], 64),
        (&[], 64),
        (&["-t", "user,user", "--exec", "cat"], 64),
        (&["-t", "user", "--lifetime", "600"], 64),
        (&["-t", "user", "--lifetime", "user=1,dns_resolver=1", "--exec", "cat"], 64),
        (&["run", "-t", "user", "--keyring", "k", "--", "true"], 64),
        (&["-t", "user", "--exec", "cat", "--rules", "rules"], 64),
        (&["-t", "user", "--exec", "/nonexistent"], 78),
        (&["-t", "user", "--rules", "rules"], 78),
        (&["run", "-t", "user", "--rules", "rules", "true"], 78),
        (&["--version"], 0),
    ] {
        assert_eq!(run("create\n", arguments).unwrap().0, Some(code), "{arguments:?}");
    }
}
