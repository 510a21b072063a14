//! What a word of the command line could become, for shells that ask.

use std::ffi::OsStr;

use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use kernel::Kernels;

use crate::runner::selection;

/// Completes the name of a scenario: with its family, or without where that has been left out.
pub fn scenario() -> ArgValueCompleter {
    ArgValueCompleter::new(|begun: &OsStr| match begun.to_str() {
        Some(begun) => scenarios_like(begun, &selection::names()).map(CompletionCandidate::new).collect(),
        None => Vec::new(),
    })
}

fn scenarios_like<'n>(begun: &str, names: &'n [String]) -> impl Iterator<Item = &'n str> {
    let whole = names.iter().map(String::as_str).filter(move |name| name.starts_with(begun));
    // Where nothing has been typed yet, the families are overview enough.
    let apart = names.iter().filter(move |_| !begun.is_empty()).filter_map(|name| name.split_once('/'));
    let apart = apart.map(|(_, name)| name).filter(move |name| name.starts_with(begun));
    whole.chain(apart)
}

/// Completes the name of a kernel.
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
    fn a_scenario_is_found_by_its_whole_name_and_by_the_part_behind_the_family() {
        let names = ["exec/apart".to_owned(), "exec/two".to_owned(), "threads/exec-late".to_owned()];
        let like = |begun| scenarios_like(begun, &names).collect::<Vec<_>>();
        assert_eq!(like("exec"), ["exec/apart", "exec/two", "exec-late"]);
        assert_eq!(like("exec/t"), ["exec/two"]);
        assert_eq!(like("two"), ["two"]);
        assert_eq!(like(""), ["exec/apart", "exec/two", "threads/exec-late"]);
    }
}
