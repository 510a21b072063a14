//! Selection of scenarios by name.

use anyhow::{Context, Result, bail};
use scenarios::scenario::Scenario;
use scenarios::suite;

use crate::host::terminal::Terminal;
use crate::host::workspace;

/// Loads all scenarios. Returns those whose name contains one of the filters; all without a filter.
pub fn select(filters: &[String]) -> Result<Vec<Scenario>> {
    let mut scenarios = suite::load(&workspace::suite())?;
    if scenarios.is_empty() {
        bail!("there are no scenarios in {}", workspace::suite().display());
    }
    if let Some(filter) = filters.iter().find(|filter| !scenarios.iter().any(|it| it.name.contains(*filter)))
    {
        let mut families: Vec<&str> = scenarios.iter().map(|scenario| scenario.family.as_str()).collect();
        families.dedup();
        let names: Vec<&str> = scenarios.iter().map(|scenario| scenario.name.as_str()).collect();
        let near = family_like(filter, &families).or_else(|| nearest(filter, &names));
        let near = near.map(|near| format!("did you mean {near}? ")).unwrap_or_default();
        bail!("no scenario's name contains `{filter}`; {near}the families are {}", families.join(", "));
    }
    scenarios.retain(|scenario| filters.is_empty() || filters.iter().any(|f| scenario.name.contains(f)));
    Ok(scenarios)
}

/// Returns the scenarios with exactly these names: `FAMILY/NAME[CASE]`, or `FAMILY/NAME` with all
/// its cases.
pub fn select_exactly(names: &[String]) -> Result<Vec<Scenario>> {
    let mut scenarios = select(&[])?;
    let has = |scenario: &Scenario, name: &String| [&scenario.name, &scenario.file].contains(&name);
    if let Some(name) = names.iter().find(|name| !scenarios.iter().any(|scenario| has(scenario, name))) {
        let all = scenarios.iter().flat_map(|scenario| [scenario.name.as_str(), &scenario.file]);
        bail!("there is no scenario `{name}`{}", hint(name, &all.collect::<Vec<_>>()));
    }
    scenarios.retain(|scenario| names.iter().any(|name| has(scenario, name)));
    Ok(scenarios)
}

/// Returns the scenario with this name: `FAMILY/NAME`, or `NAME` if it is unambiguous.
pub fn named(name: &str) -> Result<Scenario> {
    let mut scenarios = suite::load(&workspace::suite())?;
    let ending = format!("/{name}");
    let names: Vec<&str> = scenarios.iter().map(|scenario| scenario.name.as_str()).collect();
    if let Some(exact) = names.iter().position(|it| *it == name) {
        return Ok(scenarios.swap_remove(exact));
    }
    let alike: Vec<usize> = (0..names.len()).filter(|index| names[*index].ends_with(&ending)).collect();
    match alike.as_slice() {
        [one] => Ok(scenarios.swap_remove(*one)),
        [] => {
            let is_case =
                |it: &&Scenario| it.case.is_some() && (it.file == name || it.file.ends_with(&ending));
            match scenarios.iter().filter(is_case).count() {
                0 => bail!("there is no scenario `{name}`{}", hint(name, &names)),
                count => {
                    let first = scenarios.iter().find(is_case).map_or(name, |it| it.name.as_str());
                    bail!("`{name}` has {count} cases: name one, such as '{first}'")
                }
            }
        }
        several => {
            let several: Vec<&str> = several.iter().map(|index| names[*index]).collect();
            bail!("`{name}` is ambiguous: name {}", several.join(" or "))
        }
    }
}

fn hint(wrong: &str, names: &[&str]) -> String {
    match nearest(wrong, names) {
        Some(near) => format!("; did you mean {near}?"),
        None => "; `cargo xtask scenarios list` shows all".to_owned(),
    }
}

/// Returns the family that a filter names incompletely or mistypes.
fn family_like<'n>(filter: &str, families: &[&'n str]) -> Option<&'n str> {
    let wrong = filter.split('/').next().unwrap_or(filter);
    let extends = |family: &&&str| !wrong.is_empty() && family.starts_with(wrong);
    families.iter().find(extends).copied().or_else(|| nearest(wrong, families))
}

/// Returns the scenario name most similar to a mistyped one, in any family.
fn nearest<'n>(wrong: &str, names: &[&'n str]) -> Option<&'n str> {
    let distance = |name: &str| {
        let whole = strsim::damerau_levenshtein(wrong, name);
        let (_, file) = name.split_once('/').unwrap_or(("", name));
        whole.min(strsim::damerau_levenshtein(wrong, file))
    };
    names
        .iter()
        .copied()
        .filter(|name| distance(name) <= 1.max(wrong.len() / 3))
        .min_by_key(|name| distance(name))
}

/// Prints a note for each snapshot, or part of one, without a scenario.
pub fn note_stale_snapshots(terminal: &Terminal) -> Result<()> {
    let dir = workspace::suite();
    let scenarios = suite::load(&dir)?;
    for stale in suite::stale_snapshots(&dir, &scenarios).context("can't search for stale snapshots")? {
        terminal.note(&stale.to_string());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_name_is_a_case_or_a_file_with_its_cases() {
        let names = |name: &str| -> Result<Vec<String>> {
            Ok(select_exactly(&[name.to_owned()])?.into_iter().map(|it| it.name).collect())
        };
        let all = select(&[]).unwrap();
        let case = all.iter().find(|scenario| scenario.case.is_some()).unwrap();
        assert_eq!(names(&case.name).unwrap(), std::slice::from_ref(&case.name));
        assert!(names(&case.file).unwrap().len() > 1);
        let begun = &case.file[..case.file.len() - 1];
        assert!(!select(&[begun.to_owned()]).unwrap().is_empty());
        let error = names(begun).unwrap_err().to_string();
        assert!(error.contains(&format!("no scenario `{begun}`; did you mean {}", case.file)), "{error}");
    }

    #[test]
    fn unmatched_filter_gets_the_family_or_scenario_that_it_resembles() {
        let error = |filter: &str| select(&[filter.to_owned()]).unwrap_err().to_string();
        for (filter, near) in [
            ("kernel/", "kernel-requests"),
            ("linkng/confined", "linking"),
            ("chosen-eror", "rejection/chosen-error"),
        ] {
            assert!(error(filter).contains(&format!("did you mean {near}? ")), "{}", error(filter));
        }
        assert!(
            error("zzzzzz").contains("`zzzzzz`; the families are agent-selection, "),
            "{}",
            error("zzzzzz")
        );
    }

    #[test]
    fn name_of_a_file_with_cases_is_refused_with_one_of_them() {
        let all = select(&[]).unwrap();
        let case = all.iter().find(|scenario| scenario.case.is_some()).unwrap();
        let error = named(&case.file).unwrap_err().to_string();
        assert!(error.ends_with(&format!(" cases: name one, such as '{}'", case.name)), "{error}");
    }
}
