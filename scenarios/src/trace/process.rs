//! English text of a process's initial state.

use crate::plan::{Hears, IdRange, Namespace, Process, Program, Role, Session};

/// Returns the properties of a process that are not the default.
pub(super) fn of(process: &Process) -> String {
    let mut parts = vec![role(&process.role)];
    parts.extend(process.parent.iter().map(|parent| format!("a child of {parent}")));
    parts.extend(process.pid_of.iter().map(|former| format!("with the pid that {former} had")));
    parts.extend(session(process).map(str::to_owned));
    parts.extend(match process.session_keys.as_slice() {
        [] => None,
        [key] => Some(format!("with key {key} linked")),
        keys => Some(format!("with keys {} linked", keys.join(", "))),
    });
    let joined = process.join.iter();
    parts.extend(joined.map(|join| format!("in {}'s {}", join.process, namespaces(&join.namespaces))));
    if !process.unshare.is_empty() {
        parts.push(format!("with {} of its own", namespaces(&process.unshare)));
    }
    if process.unshare.contains(&Namespace::User) {
        parts.extend(maps(process));
    }
    parts.extend(process.hostname.iter().map(|name| format!("on host {name:?}")));
    parts.extend(process.uid.map(|uid| format!("user {uid}")));
    parts.extend(process.gid.map(|gid| format!("group {gid}")));
    parts.extend(process.capabilities.as_ref().map(|names| match names.as_slice() {
        [] => "without capabilities".to_owned(),
        names => format!("with only {}", names.join(", ")),
    }));
    parts.extend((process.dumpable == Some(false)).then(|| "not dumpable".to_owned()));
    parts.extend(process.no_new_privs.then(|| "with no new privileges to come".to_owned()));
    parts.extend(process.label.iter().map(|label| format!("labelled {label}")));
    parts.extend(process.rlimits.iter().map(|(name, value)| format!("{name} limited to {value}")));
    parts.extend((!process.files.is_empty()).then(|| {
        let files: Vec<&str> = process.files.keys().map(String::as_str).collect();
        format!("with {} of its own", files.join(", "))
    }));
    parts.extend((!process.reaped).then(|| "reaped by nobody".to_owned()));
    parts.join(", ")
}

fn role(role: &Role) -> String {
    let role = match role {
        Role::Keyagent(agent) => match agent.hears {
            Hears::Signal => "a keyagent",
            Hears::Watch => "a keyagent that watches its keyring",
            Hears::Nothing => "a keyagent that does not listen",
        },
        Role::Requester => "a requester",
        Role::Observer => "an observer",
        Role::Program(program) => return format!("the program `{}`", command_line(program)),
    };
    role.to_owned()
}

/// Returns a program and its arguments in the words of a shell.
pub(crate) fn command_line(program: &Program) -> String {
    let word = |word: &String| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
        if !word.is_empty() && word.chars().all(plain) { word.clone() } else { format!("{word:?}") }
    };
    let words = std::iter::once(&program.name).chain(&program.arguments);
    words.map(word).collect::<Vec<_>>().join(" ")
}

fn session(process: &Process) -> Option<&'static str> {
    match (process.session, &process.parent) {
        (Session::Fresh, _) => None,
        (Session::Inherited, Some(_)) => Some("in its session"),
        (Session::Inherited, None) => Some("without a session"),
    }
}

/// Lists kinds, as in `user, net namespaces`.
pub(super) fn namespaces(kinds: &[Namespace]) -> String {
    let names: Vec<String> = kinds.iter().map(|kind| format!("{kind:?}").to_lowercase()).collect();
    let word = if let [_] = kinds { "namespace" } else { "namespaces" };
    format!("{} {word}", names.join(", "))
}

/// Describes the maps, as in `its users 5-6 are 1000-1001 outside`. Empty for the default maps.
fn maps(process: &Process) -> Vec<String> {
    let (users, groups) = (&process.uid_map, &process.gid_map);
    let kinds = if users == groups { vec![("id", users)] } else { vec![("user", users), ("group", groups)] };
    let unusual = kinds.into_iter().filter(|(_, map)| map.as_slice() != [IdRange::DEFAULT]);
    unusual.flat_map(|(kind, map)| map.iter().map(move |range| mapped(kind, range))).collect()
}

fn mapped(kind: &str, range: &IdRange) -> String {
    match range {
        IdRange { inside, outside, count: 1 } => format!("its {kind} {inside} is {outside} outside"),
        IdRange { inside, outside, count } => {
            let last = |first: &u32| first.saturating_add(count.saturating_sub(1));
            format!("its {kind}s {inside}-{} are {outside}-{} outside", last(inside), last(outside))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(process: &str) -> String {
        of(&serde_json::from_str(process).unwrap())
    }

    #[test]
    fn what_is_as_usual_is_not_told() {
        let usual = r#"{"name":"p","role":"requester","unshare":["user"],
            "uid_map":[{"inside":0,"outside":100000,"count":65536}],
            "gid_map":[{"inside":0,"outside":100000,"count":65536}]}"#;
        assert_eq!(told(usual), "a requester, with user namespace of its own");
    }

    #[test]
    fn program_is_told_with_its_arguments_and_files() {
        let program = r#"{"name":"p","role":{"program":{"name":"keyagentd","arguments":["--exec","tr a-z A-Z",""]}},
            "unshare":["mount"],"files":{"/etc/a":"b","/etc/c":"d"}}"#;
        assert_eq!(
            told(program),
            "the program `keyagentd --exec \"tr a-z A-Z\" \"\"`, with mount namespace of its own, \
             with /etc/a, /etc/c of its own"
        );
    }

    #[test]
    fn what_is_unusual_is_told() {
        let unusual = r#"{"name":"p","role":{"keyagent":{"hears":"nothing","reactions":[[]]}},"session":"inherited",
            "unshare":["user"],"uid_map":[{"inside":0,"outside":7,"count":1}],"gid_map":[{"inside":0,"outside":5,"count":2}],
            "hostname":"h","dumpable":false,"no_new_privs":true,"rlimits":{"sigpending":4},"reaped":false}"#;
        assert_eq!(
            told(unusual),
            "a keyagent that does not listen, without a session, with user namespace of its own, its user 0 is 7 outside, \
             its groups 0-1 are 5-6 outside, on host \"h\", not dumpable, with no new privileges to come, \
             sigpending limited to 4, reaped by nobody"
        );
    }
}
