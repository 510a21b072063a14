//! A single guest on the fastest virtual machine here, and the exit code of a program that runs in
//! it.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, anyhow};
use scenarios::wire::Ending;

use super::environment::{self, Environment, EnvironmentSpec, Extras};
use crate::args::one_guest::GuestOptions;
use crate::artifacts::image::Profile;
use crate::host::cache;
use crate::host::terminal::Terminal;
use crate::session::probe::{self, Retry};
use crate::session::{AttachedRun, Failure};
use crate::vm::Kind;

impl GuestOptions {
    /// Returns the candidate kinds of virtual machines, in order of preference.
    pub fn kinds(&self, cache: &Path, terminal: &Terminal) -> Result<Vec<Kind>> {
        Ok(match self.vm {
            Some(kind) => vec![kind],
            None => {
                let kvm = probe::kvm_unusable(cache, terminal)?.is_none().then_some(Kind::Kvm);
                // The others ask for all checks, and UML lacks KASAN and KCSAN.
                let uml = (self.kernel.profile == Profile::Plain).then_some(Kind::Uml);
                kvm.into_iter().chain(uml).chain([Kind::Tcg]).collect()
            }
        })
    }

    /// Returns an environment of the first of these kinds that works here.
    pub fn environment(
        &self,
        kinds: &[Kind],
        extras: &Extras,
        label: &str,
        terminal: &Terminal,
    ) -> Result<Environment> {
        // An unknown kernel or series fails here, before the slow steps.
        self.kernel.patches()?;
        let cache = cache::directory()?;
        let initramfs = extras.initramfs(&cache, terminal)?;
        environment::clear_logs(label)?;
        let mut last = anyhow!("can't start a guest: there is no virtual machine to choose from");
        let retry = if self.vm.is_some() { Retry::Always } else { Retry::WhenExpired };
        for (index, kind) in kinds.iter().enumerate() {
            let spec = EnvironmentSpec { kernel: self.kernel.clone(), kind: *kind, perturb: None };
            match Environment::prepare(&spec, &initramfs, extras, label, retry, &cache, terminal) {
                Ok(environment) => return Ok(environment),
                Err(error) if index + 1 == kinds.len() => last = error,
                // TCG would run the same kernel, so one that does not build is not built again.
                Err(error)
                    if (*kind, kinds.get(index + 1)) == (Kind::Kvm, Some(&Kind::Tcg))
                        && probe::kvm_unusable(&cache, terminal)?.is_none() =>
                {
                    return Err(error);
                }
                Err(error) => terminal.note(&format!("{error:#}")),
            }
        }
        Err(last)
    }

    /// Returns an environment of the requested kind, else on KVM if it works, else on TCG. Checks
    /// packages first.
    pub fn qemu_environment(&self, extras: &Extras, label: &str, terminal: &Terminal) -> Result<Environment> {
        self.ensure_host(terminal)?;
        let mut kinds = self.kinds(&cache::directory()?, terminal)?;
        kinds.retain(|kind| self.vm.is_some() || *kind != Kind::Uml);
        Ok(self.environment(&kinds, extras, label, terminal)?.without_spare())
    }
}

/// Converts a program's ending to an exit code; notes a kernel report.
pub fn conclude(used: Result<AttachedRun, Box<Failure>>, terminal: &Terminal) -> Result<ExitCode> {
    let used = used?;
    if let Some(report) = &used.report {
        terminal.note(&format!("the guest's kernel reported: {report}"));
    }
    Ok(exit_code(used.ending))
}

/// Exit code as in a shell: the program's, or 128 plus the signal's number; 130 if the user left
/// the guest first.
fn exit_code(ending: Option<Ending>) -> ExitCode {
    const INTERRUPTED: u8 = 130;
    match ending {
        Some(Ending::Exited(code)) => ExitCode::from(code as u8),
        Some(Ending::Killed(signal)) => ExitCode::from(128u8.wrapping_add(signal as u8)),
        None => ExitCode::from(INTERRUPTED),
    }
}
