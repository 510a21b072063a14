//! Parsing of a file once for each case of its matrix. Each problem is reported once.

use std::sync::Arc;

use toml::{Spanned, de::DeTable};

use super::{
    deserialize::Table,
    file::{self, Source},
    matrix::{self, Case, Cases},
    placeholder::{Substitution, Use},
};
use crate::{diagnostics::Problem, scenario, scenario::Scenario};

pub(super) fn read(source: &Source<'_>, mut document: Table<'_>) -> Result<Vec<Scenario>, Vec<Problem>> {
    let mut problems = Vec::new();
    let family = matrix::take(document.get_mut(), &mut problems);
    // A case of a faulty matrix would have consequential errors.
    if !problems.is_empty() {
        return Err(problems);
    }
    let labels: Arc<[String]> = family.cases.iter().filter_map(|case| case.label.clone()).collect();
    let mut collected = CollectedProblems { problems, cases: Vec::new(), of: family.cases.len() };
    let mut scenarios = Vec::new();
    let mut used = Vec::new();
    for case in &family.cases {
        let (read, uses) = read_case(source, &document, case, &labels);
        match read {
            Ok(scenario) => scenarios.push(scenario),
            Err(problems) => problems.into_iter().for_each(|problem| collected.note(problem, case, &uses)),
        }
        used.extend(uses);
    }
    collected.unused(&family, &used);
    let problems = collected.problems();
    if problems.is_empty() { Ok(scenarios) } else { Err(problems) }
}

fn read_case<'t>(
    source: &Source<'_>,
    document: &Table<'t>,
    case: &Case<'t>,
    labels: &Arc<[String]>,
) -> (Result<Scenario, Vec<Problem>>, Vec<Use>) {
    let span = document.span();
    let mut document: DeTable<'t> = document.get_ref().clone();
    let mut substitution = Substitution::of(&case.values);
    substitution.table(&mut document);
    let Substitution { uses, problems: mut unknown, .. } = substitution;
    let case = case.label.clone().map(|label| scenario::Case { label, all: Arc::clone(labels) });
    let read = file::read(source, case, Spanned::new(span, document));
    let read = match read {
        Err(problems) => {
            unknown.extend(problems);
            Err(unknown)
        }
        Ok(scenario) if unknown.is_empty() => Ok(scenario),
        Ok(_) => Err(unknown),
    };
    (read, uses)
}

/// Problems found so far, each with its cases.
struct CollectedProblems {
    problems: Vec<Problem>,
    cases: Vec<Vec<String>>,
    /// Number of cases.
    of: usize,
}

impl CollectedProblems {
    fn note(&mut self, mut problem: Problem, case: &Case<'_>, uses: &[Use]) {
        let place = problem.span.clone();
        // A problem with a value is shown where it is used, beside the place of the value itself.
        for used in uses.iter().filter(|used| used.place == place) {
            problem.related.push((used.value.clone(), format!("`{}` is this here", used.name)));
        }
        let label = case.label.clone().unwrap_or_default();
        match self.problems.iter().position(|known| *known == problem) {
            Some(known) => self.cases[known].push(label),
            None => {
                self.problems.push(problem);
                self.cases.push(vec![label]);
            }
        }
    }

    fn unused(&mut self, family: &Cases<'_>, used: &[Use]) {
        for variable in &family.variables {
            if !variable.is_label && !used.iter().any(|used| used.name == variable.name) {
                let problem =
                    Problem::new(variable.place.clone(), format!("nothing uses `{}`", variable.name));
                self.problems
                    .push(problem.with_help(format!("say \"{{{}}}\" where it belongs", variable.name)));
                self.cases.push(vec![String::new(); self.of]);
            }
        }
    }

    /// Returns all problems. A problem that is not in every case names its first case.
    fn problems(self) -> Vec<Problem> {
        let of = self.of;
        self.problems
            .into_iter()
            .zip(self.cases)
            .map(|(mut problem, cases)| {
                if cases.len() < of && problem.related.is_empty() {
                    let more = if cases.len() > 1 {
                        format!(" and {} more", cases.len() - 1)
                    } else {
                        String::new()
                    };
                    problem.message.push_str(&format!(", in the case {}{more}", cases[0]));
                }
                problem
            })
            .collect()
    }
}

#[cfg(test)]
mod tests;
