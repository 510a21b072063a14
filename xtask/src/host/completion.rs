//! Completion of command-line words, for shells.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use kernel::Kernels;
use scenarios::rule::Rule;
use scenarios::suite;

use super::workspace;

/// Completes a scenario's name, with its family or without.
pub fn scenario() -> ArgValueCompleter {
    completer(|begun| scenarios_like(begun, &names()))
}

/// Completes the name of one scenario. Cases are read from the files.
pub fn one_scenario() -> ArgValueCompleter {
    completer(|begun| {
        // An invalid scenario is reported when the command runs.
        let scenarios = suite::load(&workspace::suite()).unwrap_or_default();
        let names: Vec<String> = scenarios.into_iter().map(|scenario| scenario.name).collect();
        scenarios_like(begun, &names)
    })
}

pub fn scenario_or_rule() -> ArgValueCompleter {
    completer(|begun| {
        let rules = Rule::all().filter(|rule| rule.to_string().starts_with(&begun.to_uppercase()));
        let rules =
            rules.map(|rule| CompletionCandidate::new(rule.to_string()).help(Some(rule.title().into())));
        rules.filter(|_| !begun.is_empty()).chain(scenarios_like(begun, &names())).collect()
    })
}

fn completer(
    candidates: impl Fn(&str) -> Vec<CompletionCandidate> + Send + Sync + 'static,
) -> ArgValueCompleter {
    ArgValueCompleter::new(move |begun: &OsStr| begun.to_str().map(&candidates).unwrap_or_default())
}

fn scenarios_like(begun: &str, names: &[String]) -> Vec<CompletionCandidate> {
    let whole = names.iter().map(String::as_str).filter(|name| name.starts_with(begun));
    // Without any input, only the names with families are offered.
    let apart = names.iter().filter(|_| !begun.is_empty()).filter_map(|name| name.split_once('/'));
    let apart = apart.map(|(_, name)| name).filter(|name| name.starts_with(begun));
    whole.chain(apart).map(CompletionCandidate::new).collect()
}

/// Returns the names of all scenario files, without reading them, for speed.
fn names() -> Vec<String> {
    let files = |place: &Path| fs::read_dir(place).into_iter().flatten().flatten().map(|entry| entry.path());
    let toml = |file: &PathBuf| file.extension().is_some_and(|it| it == "toml");
    let name = |file: PathBuf| {
        let family = file.parent()?.file_name()?.to_str()?;
        Some(format!("{family}/{}", file.file_stem()?.to_str()?))
    };
    let families = files(&workspace::suite());
    let mut names: Vec<String> = families
        .flat_map(|family| files(&family).filter(toml).filter_map(name).collect::<Vec<_>>())
        .collect();
    names.sort();
    names
}

pub fn kernel() -> ArgValueCompleter {
    completer(|begun| {
        let names =
            Kernels::load().into_iter().flat_map(Kernels::names).filter(|name| name.starts_with(begun));
        names.map(|name| CompletionCandidate::new(name.to_owned())).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn completion_matches_name_with_and_without_family() {
        let names = ["exec/apart".to_owned(), "exec/two".to_owned(), "threads/exec-late".to_owned()];
        let like = |begun| {
            let candidates = scenarios_like(begun, &names).into_iter();
            candidates.map(|it| it.get_value().display().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(like("exec"), ["exec/apart", "exec/two", "exec-late"]);
        assert_eq!(like("exec/t"), ["exec/two"]);
        assert_eq!(like("two"), ["two"]);
        assert_eq!(like(""), ["exec/apart", "exec/two", "threads/exec-late"]);
    }
}
