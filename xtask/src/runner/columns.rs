//! Columns of a table, and the environments that they are run on.

use std::path::Path;

use anyhow::Result;
use kernel::Subsystem;
use scenarios::scenario::Scenario;

use crate::args::matrix::{Choice, MatrixOptions};
use crate::artifacts::image::{KernelOptions, Profile};
use crate::host::terminal::Terminal;
use crate::runner::environment::EnvironmentSpec;
use crate::runner::run_results::ColumnInfo;
use crate::session::probe;
use crate::vm::Kind;

/// A column of the table, in which every scenario runs once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Title that distinguishes the column from the others.
    pub title: String,
    /// Numbers of the environments that its scenarios may run on, in order of preference.
    pub environments: Vec<usize>,
    /// The same for scenarios that need a subsystem, if the column has images with it.
    pub with_subsystem: Vec<(Subsystem, Vec<usize>)>,
    /// The `--vm` choice that it represents.
    pub vm: &'static str,
    /// True if the run may go on without this column where none of its environments works.
    pub optional: bool,
}

impl Column {
    /// Returns the environments for a scenario. Without images for the subsystem that it needs, these
    /// are the usual ones, where it is skipped.
    pub fn environments_for(&self, scenario: &Scenario) -> &[usize] {
        let needed = Subsystem::among(&scenario.requirements());
        let found = self.with_subsystem.iter().find(|(subsystem, _)| Some(*subsystem) == needed);
        found.map_or(&self.environments, |(_, environments)| environments)
    }

    /// Returns its lists of environments, one for each set of scenarios.
    pub fn alternatives(&self) -> impl Iterator<Item = &[usize]> {
        let further = self.with_subsystem.iter().map(|(_, environments)| environments.as_slice());
        std::iter::once(self.environments.as_slice()).chain(further)
    }
}

/// A `--vm` choice: its title, its kinds of virtual machines, and whether it is optional.
pub(super) struct Chosen {
    title: &'static str,
    kinds: Vec<Kind>,
    optional: bool,
}

impl Chosen {
    /// Returns the choice of one kind, titled by the kind's name.
    fn one(kind: Kind) -> Self {
        Self { title: kind.name(), kinds: vec![kind], optional: false }
    }
}

/// Resolves the choices into kinds of virtual machines, without duplicate columns.
pub(super) fn choices(options: &MatrixOptions, cache: &Path, terminal: &Terminal) -> Result<Vec<Chosen>> {
    let mut chosen: Vec<Chosen> = Vec::new();
    let asked: &[Choice] = if options.vm.is_empty() { &[Choice::Auto] } else { &options.vm };
    for choice in asked {
        let more = match choice {
            Choice::One(kind) => vec![Chosen::one(*kind)],
            Choice::Auto => {
                let mut kinds = vec![Kind::Uml, Kind::Tcg];
                if probe::kvm_unusable(cache, terminal)?.is_none() {
                    kinds.insert(0, Kind::Kvm);
                }
                vec![Chosen { title: "auto", kinds, optional: false }]
            }
            Choice::All => {
                let mut all =
                    vec![Chosen::one(Kind::Tcg), Chosen { optional: true, ..Chosen::one(Kind::Uml) }];
                match probe::kvm_unusable(cache, terminal)? {
                    None => all.insert(0, Chosen { optional: true, ..Chosen::one(Kind::Kvm) }),
                    Some(why) => {
                        terminal.note(&format!("no column for KVM, which runs no guest here: {why}"))
                    }
                }
                all
            }
        };
        for column in more {
            if !chosen.iter().any(|other| other.title == column.title) {
                chosen.push(column);
            }
        }
    }
    Ok(chosen)
}

/// Combines every kernel, profile and choice. Returns the distinct environments, and the columns.
/// Each column has environments for `subsystems`, too, where images can have them.
pub(super) fn layout(
    options: &MatrixOptions,
    chosen: &[Chosen],
    subsystems: &[Subsystem],
) -> Result<(Vec<EnvironmentSpec>, Vec<Column>)> {
    let kernels: Vec<Option<String>> = if options.kernel.is_empty() {
        vec![None]
    } else {
        options.kernel.iter().cloned().map(Some).collect()
    };
    let profiles =
        if options.profile.is_empty() { vec![Profile::default()] } else { options.profile.clone() };
    let mut specs: Vec<EnvironmentSpec> = Vec::new();
    let mut columns: Vec<Column> = Vec::new();
    for kernel in &kernels {
        for profile in &profiles {
            for choice in chosen {
                // Other profiles are not spread over two kernels: UML checks less.
                let spread = choice.kinds.len() > 1 && *profile != Profile::Plain;
                let kinds = choice.kinds.iter().filter(|kind| !(spread && **kind == Kind::Uml));
                let kernel_options = KernelOptions {
                    kernel: kernel.clone(),
                    kernel_src: options.kernel_src.clone(),
                    series: options.series.clone(),
                    profile: *profile,
                    ..KernelOptions::default()
                };
                let mut numbers = |subsystem: Option<Subsystem>| {
                    let kernel = KernelOptions { subsystem, ..kernel_options.clone() };
                    let perturb = options.perturb;
                    let spec = |kind: &Kind| EnvironmentSpec { kernel: kernel.clone(), kind: *kind, perturb };
                    kinds.clone().map(|kind| number_of(spec(kind), &mut specs)).collect::<Vec<_>>()
                };
                let environments = numbers(None);
                let mut with_subsystem = Vec::new();
                for subsystem in subsystems {
                    if kernel_options.can_have(*subsystem)? {
                        with_subsystem.push((*subsystem, numbers(Some(*subsystem))));
                    }
                }
                let parts = [
                    kernel.as_deref().filter(|_| kernels.len() > 1),
                    Some(profile.name()).filter(|_| profiles.len() > 1),
                    Some(choice.title).filter(|_| chosen.len() > 1),
                ];
                let title = parts.into_iter().flatten().collect::<Vec<_>>().join(" ");
                let (vm, optional) = (choice.title, choice.optional);
                columns.push(Column { title, environments, with_subsystem, vm, optional });
            }
        }
    }
    Ok((specs, columns))
}

/// Returns the number of an environment, which is added if it is new.
fn number_of(spec: EnvironmentSpec, specs: &mut Vec<EnvironmentSpec>) -> usize {
    specs.iter().position(|it| *it == spec).unwrap_or_else(|| {
        specs.push(spec);
        specs.len() - 1
    })
}

impl MatrixOptions {
    /// Returns the columns as far as they are known before any work. A choice that depends on the
    /// machine keeps its own title.
    pub fn about(&self) -> Result<Vec<ColumnInfo>> {
        let asked: &[Choice] = if self.vm.is_empty() { &[Choice::Auto] } else { &self.vm };
        let chosen = |choice: &Choice| match choice {
            Choice::Auto => Chosen { title: "auto", ..Chosen::one(Kind::Tcg) },
            Choice::All => Chosen { title: "all", ..Chosen::one(Kind::Tcg) },
            Choice::One(kind) => Chosen::one(*kind),
        };
        let (specs, columns) = layout(self, &asked.iter().map(chosen).collect::<Vec<_>>(), &[])?;
        about(&specs, &columns)
    }
}

pub(super) fn about(specs: &[EnvironmentSpec], columns: &[Column]) -> Result<Vec<ColumnInfo>> {
    let one = |column: &Column| {
        let kernel = column.environments.first().map(|environment| &specs[*environment].kernel);
        Ok(ColumnInfo {
            title: column.title.clone(),
            kernel: kernel.map_or(Ok(String::new()), |kernel| kernel.spec().map(|spec| spec.name.clone()))?,
            profile: kernel.map_or_else(Profile::default, |kernel| kernel.profile),
            vm: column.vm.to_owned(),
            optional: column.optional,
        })
    };
    columns.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::fixtures;

    fn chosen() -> [Chosen; 2] {
        [
            Chosen { title: "auto", kinds: vec![Kind::Uml, Kind::Tcg], optional: false },
            Chosen { title: "tcg", kinds: vec![Kind::Tcg], optional: false },
        ]
    }

    #[test]
    fn columns_share_equal_environments() {
        let (specs, columns) = layout(&MatrixOptions::default(), &chosen(), &[]).unwrap();
        assert_eq!(specs.iter().map(|it| it.kind).collect::<Vec<_>>(), [Kind::Uml, Kind::Tcg]);
        let columns: Vec<_> =
            columns.iter().map(|it| (it.title.as_str(), it.environments.as_slice())).collect();
        assert_eq!(columns, [("auto", [0, 1].as_slice()), ("tcg", &[1])]);
    }

    #[test]
    fn column_title_has_only_what_differs() {
        let options = MatrixOptions {
            kernel: vec!["6.12".into(), "7.3".into()],
            profile: vec![Profile::Plain, Profile::Debug],
            ..MatrixOptions::default()
        };
        let (specs, columns) = layout(&options, &chosen()[..1], &[]).unwrap();
        let titles: Vec<_> = columns.iter().map(|it| it.title.as_str()).collect();
        assert_eq!(titles, ["6.12 plain", "6.12 debug", "7.3 plain", "7.3 debug"]);
        // A debug kernel is not spread over UML, which checks less.
        assert_eq!(columns[1].environments.iter().map(|it| specs[*it].kind).collect::<Vec<_>>(), [Kind::Tcg]);
    }

    #[test]
    fn scenarios_that_need_a_subsystem_have_environments_of_their_own_where_images_can_have_it() {
        let options = MatrixOptions {
            kernel: vec!["7.3".into(), "6.12".into()],
            profile: vec![Profile::Plain, Profile::Mutants],
            ..MatrixOptions::default()
        };
        let (specs, columns) = layout(&options, &chosen()[1..], &[Subsystem::Nfs]).unwrap();
        let with: Vec<_> = columns
            .iter()
            .map(|it| (it.title.as_str(), it.alternatives().map(<[usize]>::to_vec).collect::<Vec<_>>()))
            .collect();
        assert_eq!(
            with,
            [
                ("7.3 plain", vec![vec![0], vec![1]]),
                ("7.3 mutants", vec![vec![2]]),
                ("6.12 plain", vec![vec![3]]),
                ("6.12 mutants", vec![vec![4]])
            ]
        );
        let subsystems: Vec<_> = specs.iter().map(|it| it.kernel.subsystem).collect();
        assert_eq!(subsystems, [None, Some(Subsystem::Nfs), None, None, None]);
        let plain = fixtures::scenario("x");
        let mut nfs = plain.clone();
        nfs.needs.push("nfs".into());
        assert_eq!(columns[0].environments_for(&plain), [0]);
        assert_eq!(columns[0].environments_for(&nfs), [1]);
        assert_eq!(columns[2].environments_for(&nfs), [3]);
    }
}
