//! Options that select kernels, series, profiles and virtual machines for a run.

use std::num::NonZero;
use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};
use kernel::Kernels;

use super::at_least_one;
use crate::artifacts::image::{Profile, SeriesOption};
use crate::artifacts::kernel_choice;
use crate::host::completion;
use crate::host::packages::Purpose;
use crate::vm::Kind;

/// Kernels, series, profiles and virtual machines; each combination is a column.
#[derive(Debug, Clone, Default, Args)]
pub struct MatrixOptions {
    /// Kernels of kernel/kernels.toml, separated by commas: 7.3,6.12 [default: the first that this machine can have]
    #[arg(long, value_name = "NAMES", value_delimiter = ',', add = completion::kernel())]
    pub(crate) kernel: Vec<String>,

    /// Another kernel source, a directory or a tarball; it is only read
    #[arg(long, value_name = "DIR|TARBALL")]
    pub(crate) kernel_src: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) series: SeriesOption,

    /// Profiles of the kernels' configuration, separated by commas [default: plain]
    #[arg(long, value_enum, value_name = "PROFILES", value_delimiter = ',')]
    pub(crate) profile: Vec<Profile>,

    /// Virtual machines, separated by commas [default: auto]
    #[arg(long, value_enum, value_name = "VMS", value_delimiter = ',')]
    pub(crate) vm: Vec<Choice>,

    /// Number of virtual machines that run at once [default: three for each processor; with QEMU the number of processors plus one]
    #[arg(long, value_name = "N", value_parser = at_least_one::<NonZero<usize>>)]
    pub(crate) jobs: Option<NonZero<usize>>,

    /// Start a new guest for each scenario; fast with --vm uml
    #[arg(long)]
    pub(crate) fresh: bool,

    /// Install missing packages, with sudo if necessary
    #[arg(long)]
    pub(crate) install: bool,

    /// The seed of delays in the kernel.
    #[arg(skip)]
    pub(crate) perturb: Option<NonZero<u32>>,
}

/// Virtual machines of one `--vm` value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// KVM where it works; else UML for the scenarios that it can run, and TCG for the rest.
    Auto,
    /// Each virtual machine that works on this machine, in a column of its own.
    All,
    One(Kind),
}

/// The error for a seed and another profile.
pub(crate) const NO_DELAYS: &str = "--perturb needs a profile with delays: mutants (which is quick) or debug";

impl MatrixOptions {
    /// Returns these options with the coverage profile and one kernel, since lines of two kernels
    /// can't be added up.
    pub fn for_coverage(&self) -> Result<Self> {
        if self.kernel.len() > 1 {
            bail!("--kernel takes one kernel here: coverage of two kernels can't be combined");
        }
        if self.profile.iter().any(|profile| *profile != Profile::Coverage) {
            bail!("--profile can't be set here: it is coverage");
        }
        if self.vm.iter().any(|choice| matches!(choice, Choice::All | Choice::One(Kind::Uml))) {
            bail!(
                "--vm takes tcg or kvm here: User-Mode Linux can't run the whole suite, having no 32-bit programs"
            );
        }
        Ok(Self { profile: vec![Profile::Coverage], ..self.clone() })
    }

    /// Returns these options with the profile that has mutants, one kernel, and a guest of its own
    /// for each scenario.
    pub fn for_mutants(&self) -> Result<Self> {
        if self.kernel.len() > 1 {
            bail!("--kernel takes one kernel here: each kernel has mutants of its own");
        }
        if self.profile.iter().any(|profile| *profile != Profile::Mutants) {
            bail!("--profile can't be set here: it is mutants");
        }
        let vm = match self.vm.as_slice() {
            [] => vec![Choice::One(Kind::Uml)],
            [Choice::One(_)] => self.vm.clone(),
            _ => bail!("--vm takes one virtual machine here: uml, tcg or kvm"),
        };
        Ok(Self { profile: vec![Profile::Mutants], vm, fresh: true, ..self.clone() })
    }

    /// Returns these options with a profile that can delay by a seed, and a guest of its own for each
    /// scenario.
    pub fn for_seed(&self, seed: NonZero<u32>) -> Result<Self> {
        if self.profile.iter().any(|profile| !profile.has_delays()) {
            bail!("{NO_DELAYS}");
        }
        let profile = if self.profile.is_empty() { vec![Profile::Mutants] } else { self.profile.clone() };
        let vm = if self.vm.is_empty() { vec![Choice::One(Kind::Uml)] } else { self.vm.clone() };
        Ok(Self { profile, vm, fresh: true, perturb: Some(seed), ..self.clone() })
    }

    /// Checks the options before any work.
    pub fn check(&self) -> Result<()> {
        let kernels = Kernels::load()?;
        for name in &self.kernel {
            kernels.get(name)?;
        }
        if self.kernel_src.is_some() && self.kernel.len() > 1 {
            bail!("--kernel-src is the source of one kernel: name one with --kernel");
        }
        let name = self.kernel.first().map(String::as_str);
        let first = kernel_choice::kernel(name, self.kernel_src.is_some())?;
        self.series.of(first, None, self.kernel_src.as_deref())?;
        Ok(())
    }

    pub(crate) fn purpose(&self) -> Purpose {
        let only_uml = !self.vm.is_empty() && self.vm.iter().all(|choice| *choice == Choice::One(Kind::Uml));
        if only_uml { Purpose::BootUml } else { Purpose::BootQemu }
    }
}

impl ValueEnum for Choice {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Auto, Self::All, Self::One(Kind::Kvm), Self::One(Kind::Tcg), Self::One(Kind::Uml)]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let (name, what) = match self {
            Self::Auto => (
                "auto",
                "KVM where it works; else UML for the scenarios that it can run, and TCG for the rest",
            ),
            Self::All => ("all", "Each virtual machine that works on this machine, in a column of its own"),
            Self::One(kind) => return kind.to_possible_value(),
        };
        Some(PossibleValue::new(name).help(what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coverage_is_refused_on_user_mode_linux() {
        let on = |vm: &[Choice]| MatrixOptions { vm: vm.to_vec(), ..MatrixOptions::default() }.for_coverage();
        for vm in [[Choice::One(Kind::Tcg), Choice::One(Kind::Uml)], [Choice::One(Kind::Kvm), Choice::All]] {
            assert!(on(&vm).unwrap_err().to_string().starts_with("--vm takes tcg or kvm here"));
        }
        assert!(on(&[]).is_ok() && on(&[Choice::Auto, Choice::One(Kind::Kvm)]).is_ok());
    }

    #[test]
    fn a_seed_needs_a_profile_with_delays() {
        let seed = NonZero::<u32>::MIN;
        let of = |profile: &[Profile]| {
            MatrixOptions { profile: profile.to_vec(), ..MatrixOptions::default() }.for_seed(seed)
        };
        let options = of(&[]).unwrap();
        assert_eq!(options.profile, [Profile::Mutants]);
        assert!(options.fresh && options.perturb == Some(seed));
        assert_eq!(of(&[Profile::Debug]).unwrap().profile, [Profile::Debug]);
        assert_eq!(of(&[Profile::Plain]).unwrap_err().to_string(), NO_DELAYS);
    }
}
