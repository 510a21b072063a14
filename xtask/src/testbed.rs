//! The testbed: what was asked for on the command line, as columns of a table and the grounds that they are run on.

use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;

use anyhow::{Result, anyhow, bail};
use clap::{Args, ValueEnum};
use kernel::Kernels;
use scenarios::scenario::Scenario;
use scenarios::verdict::Verdict;

use crate::completion;
use crate::ground::{self, Extras, Ground, Setting};
use crate::host::{self, Consent, Purpose};
use crate::image::{self, KernelOptions, Profile, SeriesOption};
use crate::lane::Lane;
use crate::ledger::About;
use crate::schedule::Terms;
use crate::terminal::Terminal;
use crate::vm::{Kind, trial};
use crate::{cache, guest};

/// What to test on.
#[derive(Debug, Clone, Default, Args)]
pub struct MatrixOptions {
    /// Kernels of kernel/kernels.toml, with commas between them: 6.12,6.1 [default: the one named there]
    #[arg(long, value_name = "NAMES", value_delimiter = ',', add = completion::kernel())]
    kernel: Vec<String>,

    /// A kernel source of your own, a directory or a tarball; it is never written to
    #[arg(long, value_name = "DIR|TARBALL")]
    kernel_src: Option<PathBuf>,

    #[command(flatten)]
    series: SeriesOption,

    /// What the kernels are built for, with commas between them [default: plain]
    #[arg(long, value_enum, value_name = "PROFILES", value_delimiter = ',')]
    profile: Vec<Profile>,

    /// The virtual machines, with commas between them [default: auto]
    #[arg(long, value_enum, value_name = "VMS", value_delimiter = ',')]
    vm: Vec<Choice>,

    /// How many virtual machines run at once [default: three for each processor, QEMU's one more than there are processors]
    #[arg(long, value_name = "N")]
    jobs: Option<NonZero<usize>>,

    /// Give every scenario a kernel that has just been started; quick with --vm uml
    #[arg(long)]
    fresh: bool,

    /// Install missing packages, with sudo if need be
    #[arg(long)]
    install: bool,
}

/// The choice of virtual machines for a column.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Choice {
    /// KVM where it works; else UML for what it can run, and TCG for the rest
    #[default]
    Auto,
    /// Each one that works on this machine, in a column of its own
    All,
    /// QEMU with the host's processor
    Kvm,
    /// QEMU with an emulated processor: works everywhere
    Tcg,
    /// User-Mode Linux: the quickest to start, with one processor
    Uml,
}

/// A column of the table: everything is run once in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// What it is called: what tells it from the others.
    pub title: String,
    /// Numbers of the grounds that its scenarios may be run on, the best one first.
    pub grounds: Vec<usize>,
    /// The choice of virtual machines that it stands for.
    pub vm: &'static str,
    /// Whether it is no harm if none of them works here.
    pub optional: bool,
}

/// A testbed. Its grounds are prepared when they are wanted.
pub struct Testbed {
    /// The grounds, by number.
    pub settings: Vec<Setting>,
    /// The columns, in the order in which they were asked for.
    pub columns: Vec<Column>,
    /// How many virtual machines run at once. More than there are processors: much of a scenario's time is spent waiting.
    pub jobs: usize,
    /// How many of them may be QEMU's, which have several processors each and emulate them.
    qemu_jobs: usize,
    /// Whether every scenario has a guest of its own.
    pub fresh: bool,
    /// Where everything is kept.
    pub cache: PathBuf,
    label: String,
    initramfs: PathBuf,
    grounds: Vec<OnceLock<Result<Ground, String>>>,
    idle: Mutex<Vec<(usize, Lane)>>,
}

impl Testbed {
    /// Prepares what is common to all grounds: packages, and the guest's programs.
    ///
    /// `label` tells this testbed's logs from those of others.
    ///
    /// # Errors
    /// Something is missing, or no such kernel can be had.
    pub fn prepare(options: &MatrixOptions, label: &str, terminal: &Terminal) -> Result<Self> {
        options.check()?;
        host::ensure(options.purpose(), Consent::from_flag(options.install), terminal)?;
        let cache = cache::directory()?;
        let (settings, columns) = layout(options, &choices(options, &cache, terminal)?);
        let initramfs = guest::initramfs(&[], &[], &[], &cache, terminal)?;
        ground::clear_logs(label)?;
        Ok(Self {
            grounds: settings.iter().map(|_| OnceLock::new()).collect(),
            settings,
            columns,
            jobs: options.jobs.map_or(3 * processors(), NonZero::get),
            qemu_jobs: options.jobs.map_or(processors() + 1, NonZero::get),
            fresh: options.fresh,
            cache,
            label: label.to_owned(),
            initramfs,
            idle: Mutex::default(),
        })
    }

    /// What the schedule has to know of each ground.
    pub fn terms(&self) -> Vec<Terms> {
        let terms = |setting: &Setting| Terms {
            start: setting.start_seconds(),
            most: if setting.kind == Kind::Uml { self.jobs } else { self.qemu_jobs },
        };
        self.settings.iter().map(terms).collect()
    }

    /// The ground with that number, prepared the first time that it is asked for. That may take minutes.
    ///
    /// # Errors
    /// What [`Ground::on`] says.
    pub fn ground(&self, number: usize, terminal: &Terminal) -> Result<&Ground> {
        let prepare = || {
            let setting = &self.settings[number];
            let label =
                if self.settings.len() > 1 { format!("{}-{number}", self.label) } else { self.label.clone() };
            Ground::on(setting, &self.initramfs, &Extras::default(), &label, &self.cache, terminal)
                .map_err(|error| format!("{error:#}"))
        };
        self.grounds[number].get_or_init(prepare).as_ref().map_err(|error| anyhow!("{error}"))
    }

    /// What its columns are, for those who tell of the run.
    ///
    /// # Errors
    /// There is no such kernel.
    pub fn about(&self) -> Result<Vec<About>> {
        about(&self.settings, &self.columns)
    }

    /// Whether preparing the ground takes no building, as far as that can be told at once.
    pub fn is_built(&self, number: usize) -> bool {
        let setting = &self.settings[number];
        image::is_built(&setting.kernel, setting.arch(), &self.cache).unwrap_or(false)
    }

    /// Runs one scenario by itself, on the first ground of the first column that can. Its guest is kept for the next one.
    ///
    /// # Errors
    /// There is no ground that could be prepared.
    pub fn run(&self, scenario: &Scenario, terminal: &Terminal) -> Result<Verdict> {
        let column = self.columns.first().ok_or_else(|| anyhow!("nothing to test on"))?;
        let mut last = Err(anyhow!("nothing to test on"));
        for number in &column.grounds {
            let ground = match self.ground(*number, terminal) {
                Ok(ground) => ground,
                Err(error) => {
                    last = Err(error);
                    continue;
                }
            };
            let mut lane = self.idle_lane(*number).unwrap_or_default();
            let verdict = lane.run(ground, scenario);
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push((*number, lane));
            let skipped = matches!(verdict, Verdict::Skipped(_));
            last = Ok(verdict);
            if !skipped {
                break;
            }
        }
        last
    }

    fn idle_lane(&self, ground: usize) -> Option<Lane> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let index = idle.iter().position(|(number, _)| *number == ground)?;
        Some(idle.swap_remove(index).1)
    }
}

impl MatrixOptions {
    /// The user's own kernel source.
    pub fn kernel_src(&self) -> Option<&Path> {
        self.kernel_src.as_deref()
    }

    /// The same on a kernel that counts which lines run. It is one: lines of two can't be added up.
    ///
    /// # Errors
    /// Several kernels, or another profile.
    pub fn for_coverage(&self) -> Result<Self> {
        if self.kernel.len() > 1 {
            bail!("--kernel names one kernel here: what two of them reach can't be added up");
        }
        if self.profile.iter().any(|profile| *profile != Profile::Coverage) {
            bail!("--profile is coverage here: leave it out");
        }
        Ok(Self { profile: vec![Profile::Coverage], ..self.clone() })
    }

    /// What the columns will be, as far as that is known before any work: where a choice depends on the machine, only the choice.
    ///
    /// # Errors
    /// There is no such kernel.
    pub fn about(&self) -> Result<Vec<About>> {
        let asked: &[Choice] = if self.vm.is_empty() { &[Choice::Auto] } else { &self.vm };
        let chosen = |choice: &Choice| match choice {
            Choice::Auto | Choice::All => {
                Chosen { title: choice.title(), kinds: vec![Kind::Tcg], optional: false }
            }
            Choice::Kvm => Chosen::one(Kind::Kvm),
            Choice::Tcg => Chosen::one(Kind::Tcg),
            Choice::Uml => Chosen::one(Kind::Uml),
        };
        let (settings, columns) = layout(self, &asked.iter().map(chosen).collect::<Vec<_>>());
        about(&settings, &columns)
    }

    /// What can be said of the options before any work.
    ///
    /// # Errors
    /// There is no such kernel, or no such series.
    pub fn check(&self) -> Result<()> {
        let kernels = Kernels::load()?;
        for name in &self.kernel {
            kernels.get(name)?;
        }
        if self.kernel_src.is_some() && self.kernel.len() > 1 {
            bail!("--kernel-src is the source of one kernel: name one with --kernel");
        }
        let default = kernels.get_or_default(self.kernel.first().map(String::as_str))?;
        self.series.of(default, self.kernel_src.as_deref())?;
        Ok(())
    }

    fn purpose(&self) -> Purpose {
        let only_uml = !self.vm.is_empty() && self.vm.iter().all(|choice| *choice == Choice::Uml);
        if only_uml { Purpose::Build } else { Purpose::BuildAndBoot }
    }
}

fn processors() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

/// What stands for a choice: its title, its kinds of virtual machines, and whether it may be missing.
struct Chosen {
    title: &'static str,
    kinds: Vec<Kind>,
    optional: bool,
}

impl Choice {
    /// As it is written on the command line.
    fn title(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::All => "all",
            Self::Kvm => "kvm",
            Self::Tcg => "tcg",
            Self::Uml => "uml",
        }
    }
}

impl Chosen {
    /// One kind of virtual machine, by its own name.
    fn one(kind: Kind) -> Self {
        let title = match kind {
            Kind::Kvm => "kvm",
            Kind::Tcg => "tcg",
            Kind::Uml => "uml",
        };
        Self { title, kinds: vec![kind], optional: false }
    }
}

/// What the columns are, for those who tell of the run.
fn about(settings: &[Setting], columns: &[Column]) -> Result<Vec<About>> {
    let kernels = Kernels::load()?;
    let one = |column: &Column| {
        let kernel = column.grounds.first().map(|ground| &settings[*ground].kernel);
        let name = kernel.and_then(|kernel| kernel.kernel.as_deref());
        Ok(About {
            title: column.title.clone(),
            kernel: kernels.get_or_default(name)?.name.clone(),
            profile: kernel.map_or_else(Profile::default, |kernel| kernel.profile),
            vm: column.vm.to_owned(),
            optional: column.optional,
        })
    };
    columns.iter().map(one).collect()
}

/// Turns the choices into kinds, each column once.
fn choices(options: &MatrixOptions, cache: &Path, terminal: &Terminal) -> Result<Vec<Chosen>> {
    let mut chosen: Vec<Chosen> = Vec::new();
    let asked: &[Choice] = if options.vm.is_empty() { &[Choice::Auto] } else { &options.vm };
    for choice in asked {
        let more = match choice {
            Choice::Kvm => vec![Chosen::one(Kind::Kvm)],
            Choice::Tcg => vec![Chosen::one(Kind::Tcg)],
            Choice::Uml => vec![Chosen::one(Kind::Uml)],
            Choice::Auto => {
                let mut kinds = vec![Kind::Uml, Kind::Tcg];
                if trial::kvm_is_out(cache, terminal)?.is_none() {
                    kinds.insert(0, Kind::Kvm);
                }
                vec![Chosen { title: choice.title(), kinds, optional: false }]
            }
            Choice::All => {
                let mut all =
                    vec![Chosen::one(Kind::Tcg), Chosen { optional: true, ..Chosen::one(Kind::Uml) }];
                match trial::kvm_is_out(cache, terminal)? {
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

/// Every kernel in every profile on every choice: the grounds, each once, and the columns.
fn layout(options: &MatrixOptions, chosen: &[Chosen]) -> (Vec<Setting>, Vec<Column>) {
    let kernels: Vec<Option<String>> = if options.kernel.is_empty() {
        vec![None]
    } else {
        options.kernel.iter().cloned().map(Some).collect()
    };
    let profiles =
        if options.profile.is_empty() { vec![Profile::default()] } else { options.profile.clone() };
    let mut settings: Vec<Setting> = Vec::new();
    let mut columns: Vec<Column> = Vec::new();
    for kernel in &kernels {
        for profile in &profiles {
            for choice in chosen {
                // What needs all checks, or all lines, is better not spread over two kernels.
                let spread = choice.kinds.len() > 1 && *profile != Profile::Plain;
                let kinds = choice.kinds.iter().filter(|kind| !(spread && **kind == Kind::Uml));
                let mut grounds = Vec::new();
                for kind in kinds {
                    let kernel_src = options.kernel_src.clone();
                    let kernel = KernelOptions {
                        kernel: kernel.clone(),
                        kernel_src,
                        series: options.series.clone(),
                        profile: *profile,
                        ..KernelOptions::default()
                    };
                    let setting = Setting { kernel, kind: *kind };
                    let number = settings.iter().position(|it| *it == setting).unwrap_or_else(|| {
                        settings.push(setting);
                        settings.len() - 1
                    });
                    grounds.push(number);
                }
                let parts = [
                    kernel.as_deref().filter(|_| kernels.len() > 1),
                    Some(profile.name()).filter(|_| profiles.len() > 1),
                    Some(choice.title).filter(|_| chosen.len() > 1),
                ];
                let title = parts.into_iter().flatten().collect::<Vec<_>>().join(" ");
                columns.push(Column { title, grounds, vm: choice.title, optional: choice.optional });
            }
        }
    }
    (settings, columns)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen() -> [Chosen; 2] {
        [
            Chosen { title: "auto", kinds: vec![Kind::Uml, Kind::Tcg], optional: false },
            Chosen { title: "tcg", kinds: vec![Kind::Tcg], optional: false },
        ]
    }

    #[test]
    fn columns_that_want_the_same_ground_share_it() {
        let (settings, columns) = layout(&MatrixOptions::default(), &chosen());
        assert_eq!(settings.iter().map(|it| it.kind).collect::<Vec<_>>(), [Kind::Uml, Kind::Tcg]);
        let columns: Vec<_> = columns.iter().map(|it| (it.title.as_str(), it.grounds.as_slice())).collect();
        assert_eq!(columns, [("auto", [0, 1].as_slice()), ("tcg", &[1])]);
    }

    #[test]
    fn a_title_says_what_tells_the_column_from_the_others() {
        let options = MatrixOptions {
            kernel: vec!["6.12".into(), "6.1".into()],
            profile: vec![Profile::Plain, Profile::Debug],
            ..MatrixOptions::default()
        };
        let (settings, columns) = layout(&options, &chosen()[..1]);
        let titles: Vec<_> = columns.iter().map(|it| it.title.as_str()).collect();
        assert_eq!(titles, ["6.12 plain", "6.12 debug", "6.1 plain", "6.1 debug"]);
        // A debug kernel is not spread over UML, which checks less.
        assert_eq!(columns[1].grounds.iter().map(|it| settings[*it].kind).collect::<Vec<_>>(), [Kind::Tcg]);
    }
}
