//! Parser of `program` and `files` of a process.

use std::{
    collections::BTreeMap,
    path::{Component, Path, PathBuf},
};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    deserialize::{self, Value, keep},
    process::list_alone,
};
use crate::{
    diagnostics::Problem,
    plan::Program,
    programs::{self, PROGRAMS},
};

/// Words of a process that a program can't have: it takes no part in the scenario's own protocol, and
/// an execve(2) makes it dumpable.
const NOT_FOR_PROGRAMS: [&str; 7] = ["role", "serves", "with", "on_upcall", "hears", "setup", "dumpable"];

/// Directories of the kernel's and of devices.
const NOT_FOR_FILES: [&str; 3] = ["proc", "sys", "dev"];

/// The most bytes of the files of a process.
const MAX_FILES: usize = 64 << 10;

/// Takes `program` out of a process.
pub(super) fn take(table: &mut DeTable<'_>, problems: &mut Vec<Problem>) -> Option<Program> {
    list_alone(table, "program");
    let (_, value) = deserialize::take(table, "program")?;
    let unfit = table.keys().filter(|key| NOT_FOR_PROGRAMS.contains(&key.get_ref().as_ref()));
    problems.extend(unfit.map(|key| {
        let message = format!("a program has no `{}`", key.get_ref());
        Problem::new(key.span(), message).with_help("delete it, or let another process do it")
    }));
    let place = value.span();
    let words: Vec<Spanned<String>> = keep(deserialize::value(value), problems)?;
    problems.extend(
        words
            .iter()
            .filter(|word| word.get_ref().contains('\0'))
            .map(|word| Problem::new(word.span(), "no argument has a NUL").with_help("take it out")),
    );
    let mut words = words.into_iter();
    let Some(name) = words.next() else {
        let problem = Problem::new(place, "there is no program");
        problems.push(problem.with_help("say program = [\"NAME\", \"ARGUMENT\", …]"));
        return None;
    };
    if programs::find(name.get_ref()).is_none() {
        let problem = Problem::new(name.span(), format!("guests have no program `{}`", name.get_ref()));
        problems.push(problem.with_names(name.get_ref(), PROGRAMS.iter().map(|program| program.name)));
    }
    Some(Program { name: name.into_inner(), arguments: words.map(Spanned::into_inner).collect() })
}

/// Takes `files` out of a process. Returns their texts by path.
pub(super) fn take_files(table: &mut DeTable<'_>, problems: &mut Vec<Problem>) -> BTreeMap<String, String> {
    let Some((key, value)) = deserialize::take(table, "files") else { return BTreeMap::new() };
    let place = value.span();
    let DeValue::Table(files) = value.into_inner() else {
        let problem = Problem::new(place, "`files` is not a table");
        problems.push(problem.with_help("say files = { \"/etc/hosts\" = \"TEXT\", … }"));
        return BTreeMap::new();
    };
    if !has_own_mounts(table) {
        let message = "everybody would see these files";
        let help = "say unshare = [\"mount\", …]; a child of this process sees them, too";
        problems.push(Problem::new(key.span(), message).with_help(help));
    }
    let mut texts = BTreeMap::new();
    let paths: Vec<String> = files.keys().map(|path| path.get_ref().to_string()).collect();
    for (path, text) in files {
        let name: &str = path.get_ref();
        let is_below = |other: &&String| *other != name && Path::new(other).starts_with(name);
        if !is_fit(name) {
            let problem = Problem::new(path.span(), format!("`{}` can't be a file", name.escape_debug()));
            let help = "say an absolute path as in /etc/hosts, and none below /proc, /sys or /dev";
            problems.push(problem.with_help(help));
        } else if let Some(other) = paths.iter().find(is_below) {
            let message = format!("`{name}` can't be a file and the directory of `{other}`");
            problems.push(Problem::new(path.span(), message).with_help("rename one of them"));
        }
        texts.extend(keep(deserialize::value(text), problems).map(|text| (path.get_ref().to_string(), text)));
    }
    if texts.values().map(String::len).sum::<usize>() > MAX_FILES {
        let message = format!("these files have more than {} KiB", MAX_FILES >> 10);
        problems.push(Problem::new(key.span(), message).with_help("let a program write long ones"));
    }
    texts
}

fn has_own_mounts(table: &DeTable<'_>) -> bool {
    let unshared = |value: &Value<'_>| match value.get_ref() {
        DeValue::Array(kinds) => kinds.iter().any(|kind| kind.get_ref().as_str() == Some(MOUNT)),
        _ => false,
    };
    table.get("unshare").is_some_and(unshared)
}

/// The word for a mount namespace.
const MOUNT: &str = "mount";

fn is_fit(path: &str) -> bool {
    let mut parts = Path::new(path).components();
    let top = (parts.next(), parts.next());
    let (Some(Component::RootDir), Some(Component::Normal(top))) = top else { return false };
    let below: Vec<Component<'_>> = parts.collect();
    let is_plain = below.iter().all(|part| matches!(part, Component::Normal(_)));
    let is_normal = Path::new(path).components().collect::<PathBuf>().as_os_str() == path;
    is_plain
        && !below.is_empty()
        && is_normal
        && !path.contains('\0')
        && !NOT_FOR_FILES.iter().any(|it| top == *it)
}
