//! Topological order of process starts: each process follows those that it refers to.

use std::collections::BTreeSet;

use toml::Spanned;

use super::process::ParsedProcess;
use crate::{
    diagnostics::Problem,
    plan::{KeyRef, Namespace},
};

/// Returns the processes, every one after those that it refers to, otherwise in the file's order.
pub(super) fn order(
    processes: &[ParsedProcess],
    forgiven: &BTreeSet<String>,
    problems: &mut Vec<Problem>,
) -> Vec<usize> {
    let mut sorting = Sorting { processes, forgiven, order: Vec::new(), open: Vec::new() };
    for index in 0..processes.len() {
        sorting.visit(index, problems);
    }
    sorting.order
}

struct Sorting<'s> {
    processes: &'s [ParsedProcess],
    forgiven: &'s BTreeSet<String>,
    order: Vec<usize>,
    open: Vec<usize>,
}

impl Sorting<'_> {
    fn visit(&mut self, index: usize, problems: &mut Vec<Problem>) {
        if self.order.contains(&index) {
            return;
        }
        self.open.push(index);
        for name in self.needs(index, problems) {
            let Some(other) =
                self.processes.iter().position(|process| process.process.name == *name.get_ref())
            else {
                if !self.forgiven.contains(name.get_ref()) {
                    let known = self.processes.iter().map(|process| process.process.name.as_str());
                    let problem = Problem::new(name.span(), format!("no process `{}`", name.get_ref()));
                    problems.push(problem.with_names(name.get_ref(), known));
                }
                continue;
            };
            if self.processes[index].process.parent.as_ref() == Some(name.get_ref())
                && self.processes[other].is_program()
            {
                let message = format!("`{}` is a program, which starts no process", name.get_ref());
                problems.push(
                    Problem::new(name.span(), message)
                        .with_help("name another `parent`, or share its namespaces by `join`"),
                );
            }
            if let Some(from) = self.open.iter().position(|open| *open == other) {
                problems.push(Problem::new(name.span(), self.circle(from)).with_help(
                    "processes start one after another: `parent`, `join` and `session_keys` can't go in a circle",
                ));
            } else {
                self.visit(other, problems);
            }
        }
        self.open.pop();
        self.order.push(index);
    }

    /// Describes a circle: the processes that are being visited, from one of them on.
    fn circle(&self, from: usize) -> String {
        let names = self.open[from..].iter().map(|index| &self.processes[*index].process.name);
        let names: Vec<_> = names.map(|name| format!("`{name}`")).collect();
        match names.as_slice() {
            [own] => format!("{own} can't wait for itself to start"),
            circle => format!("these processes wait for each other to start: {}", circle.join(", ")),
        }
    }

    /// Returns the processes that have to start before this one.
    fn needs(&self, index: usize, problems: &mut Vec<Problem>) -> Vec<Spanned<String>> {
        let process = &self.processes[index];
        let mut needs = process.processes.clone();
        let setup_keys = process.setup.iter().flat_map(|op| &op.keys);
        for (key, place) in setup_keys {
            match key {
                KeyRef::Of(name, _) => needs.push(Spanned::new(place.clone(), name.clone())),
                KeyRef::Variable(name) => needs.extend(self.maker(name, place, index)),
                _ => {}
            }
        }
        needs.extend(
            process.session_keys.iter().filter_map(|name| self.maker(name.get_ref(), &name.span(), index)),
        );
        if process.process.unshare.contains(&Namespace::User) && process.process.uid_map.is_empty() {
            problems.push(Problem::new(process.name.clone(), "a user namespace needs a uid_map"));
        }
        needs
    }

    /// Returns the process whose set-up stores this variable.
    fn maker(&self, variable: &str, place: &std::ops::Range<usize>, not: usize) -> Option<Spanned<String>> {
        let stores = |process: &ParsedProcess| {
            process.process.setup.iter().any(|setup| setup.save.as_deref() == Some(variable))
        };
        self.processes
            .iter()
            .enumerate()
            .find(|(index, process)| *index != not && stores(process))
            .map(|(_, process)| Spanned::new(place.clone(), process.process.name.clone()))
    }
}

#[cfg(test)]
mod tests {
    use crate::parse::tests::complaint;

    #[test]
    fn a_circle_is_named_without_those_outside_it() {
        let text = "title = \"t\"\nrules = []\n[process.a]\njoin = \"b\"\n[process.b]\njoin = \"c\"\n[process.c]\njoin = \"b\"\n\
                    [process.d]\njoin = \"d\"\n";
        let complaint = complaint(text);
        assert!(complaint.contains("wait for each other to start: `b`, `c` →"), "{complaint}");
        assert!(complaint.contains("`d` can't wait for itself to start"), "{complaint}");
    }
}
