//! Programs of the host for the guests of scenarios.

use std::path::Path;

use anyhow::{Context, Result};
use scenarios::programs::{HostProgram, Origin, PROGRAMS};
use scenarios::scenario::Scenario;

use crate::artifacts::guest_file::Program;
use crate::artifacts::initramfs;
use crate::artifacts::program_closure::ProgramClosure;
use crate::host::packages;
use crate::host::terminal::Terminal;
use crate::runner::environment::Extras;

impl Extras {
    /// Returns the programs that scenarios need. Their packages are installed first, as other
    /// useful ones; a program that is still missing is left out, and its scenarios are skipped.
    pub fn for_scenarios(scenarios: &[Scenario], install: bool, terminal: &Terminal) -> Result<Self> {
        let needs: Vec<String> = scenarios.iter().flat_map(Scenario::requirements).collect();
        let needed: Vec<&HostProgram> =
            PROGRAMS.iter().filter(|program| needs.iter().any(|need| need == program.name)).collect();
        let missing = needed.iter().filter_map(|program| missing_package(program));
        packages::ensure_useful(&missing.collect::<Vec<_>>(), install, terminal)?;
        let mut closure = ProgramClosure::default();
        let mut built = Vec::new();
        for program in needed {
            match program.origin {
                Origin::Workspace => built.push(Program {
                    path: program.path.to_owned(),
                    file: initramfs::program(program.name, terminal)?,
                }),
                Origin::Package(_) if is_here(program) => pack(program, &mut closure)
                    .with_context(|| format!("can't take {} along into the guest", program.name))?,
                Origin::Package(_) => {}
            }
        }
        Ok(Self {
            programs: closure.programs().into_iter().chain(built).collect(),
            directories: closure.directories(),
            links: closure.links(),
            ..Self::default()
        })
    }
}

fn is_here(program: &HostProgram) -> bool {
    Path::new(program.path).exists()
}

fn missing_package(program: &HostProgram) -> Option<&'static str> {
    match program.origin {
        Origin::Package(package) if !is_here(program) => Some(package),
        Origin::Package(_) | Origin::Workspace => None,
    }
}

fn pack(program: &HostProgram, closure: &mut ProgramClosure) -> Result<()> {
    closure.pack_program(program.path)?;
    let directories = program.directories.iter().map(Path::new);
    directories.filter(|directory| directory.exists()).try_for_each(|directory| closure.pack(directory))
}
