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
    ArgValueCompleter::new(|begun: &OsStr| match begun.to_str() {
        Some(begun) => scenarios_like(begun, &names()).map(CompletionCandidate::new).collect(),
        None => Vec::new(),
    })
}

/// Completes the name of one scenario. Cases are read from the files.
pub fn one_scenario() -> ArgValueCompleter {
    ArgValueCompleter::new(|begun: &OsStr| match (begun.to_str(), suite::load(&workspace::suite())) {
        (Some(begun), Ok(scenarios)) => {
            let names: Vec<String> = scenarios.into_iter().map(|scenario| scenario.name).collect();
            scenarios_like(begun, &names).map(CompletionCandidate::new).collect()
        }
        // An invalid scenario is reported when the command runs.
        (_, _) => Vec::new(),
    })
}

/// Completes the name of a scenario or of a rule of the contract.
pub fn scenario_or_rule() -> ArgValueCompleter {
    ArgValueCompleter::new(|begun: &OsStr| {
        let Some(begun) = begun.to_str() else { return Vec::new() };
        let rules = Rule::all().filter(|rule| rule.to_string().starts_with(&begun.to_uppercase()));
        let rules =
            rules.map(|rule| CompletionCandidate::new(rule.to_string()).help(Some(rule.title().into())));
        let names = names();
        let scenarios: Vec<_> = scenarios_like(begun, &names).map(CompletionCandidate::new).collect();
        rules.filter(|_| !begun.is_empty()).chain(scenarios).collect()
    })
}

fn scenarios_like<'n>(begun: &str, names: &'n [String]) -> impl Iterator<Item = &'n str> {
    let whole = names.iter().map(String::as_str).filter(move |name| name.starts_with(begun));
    // Without any input, only the names with families are offered.
    let apart = names.iter().filter(move |_| !begun.is_empty()).filter_map(|name| name.split_once('/'));
    let apart = apart.map(|(_, name)| name).filter(move |name| name.starts_with(begun));
    whole.chain(apart)
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
    ArgValueCompleter::new(|begun: &OsStr| {
        let kernels = Kernels::load().ok();
        let names = kernels.iter().flat_map(|kernels| kernels.names().map(str::to_owned));
        let fits = |name: &String| begun.to_str().is_some_and(|begun| name.starts_with(begun));
        names.filter(fits).map(CompletionCandidate::new).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn completion_matches_name_with_and_without_family() {
        let names = ["exec/apart".to_owned(), "exec/two".to_owned(), "threads/exec-late".to_owned()];
        let like = |begun| scenarios_like(begun, &names).collect::<Vec<_>>();
        assert_eq!(like("exec"), ["exec/apart", "exec/two", "exec-late"]);
        assert_eq!(like("exec/t"), ["exec/two"]);
        assert_eq!(like("two"), ["two"]);
        assert_eq!(like(""), ["exec/apart", "exec/two", "threads/exec-late"]);
    }
}
