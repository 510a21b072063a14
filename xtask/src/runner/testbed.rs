//! Testbed: the columns of a run and their environments, by the command line.

use std::num::NonZero;
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock};
use std::thread;

use anyhow::{Result, anyhow};
use kernel::Subsystem;
use scenarios::scenario::Scenario;
use scenarios::verdict::Verdict;

use crate::artifacts::image;
use crate::host::cache;
use crate::host::mutex::lock;
use crate::host::packages;
use crate::host::terminal::Terminal;
use crate::runner::environment::{self, Environment, EnvironmentSpec, Extras};
use crate::runner::run_results::ColumnInfo;
use crate::runner::scheduler::Limits;
use crate::runner::worker::Worker;
use crate::session::probe::Retry;
use crate::vm::Kind;

use super::columns::{Column, about, choices, layout};
use crate::args::matrix::MatrixOptions;

/// A testbed. Environments are prepared on first use.
pub struct Testbed {
    pub specs: Vec<EnvironmentSpec>,
    pub columns: Vec<Column>,
    /// Number of virtual machines at the same time. It exceeds the number of processors, since
    /// scenarios mostly wait.
    pub jobs: usize,
    /// Maximum number of QEMU guests among them, which have and emulate several processors each.
    qemu_jobs: usize,
    /// True if every scenario runs in a guest of its own.
    pub fresh: bool,
    pub cache: PathBuf,
    label: String,
    extras: Extras,
    initramfs: PathBuf,
    environments: Vec<OnceLock<Result<Environment, String>>>,
    idle: Mutex<Vec<(usize, Worker)>>,
}

impl Testbed {
    /// Prepares the parts common to all environments: packages, and the guest's programs, with
    /// those that the scenarios need.
    ///
    /// `label` prefixes the names of this testbed's logs.
    pub fn prepare(
        options: &MatrixOptions,
        scenarios: &[Scenario],
        label: &str,
        terminal: &Terminal,
    ) -> Result<Self> {
        options.check()?;
        packages::ensure(options.purpose(), options.install, terminal)?;
        let cache = cache::directory()?;
        let needs: Vec<String> = scenarios.iter().flat_map(Scenario::requirements).collect();
        let subsystems: Vec<Subsystem> = Subsystem::among(&needs).into_iter().collect();
        let (specs, columns) = layout(options, &choices(options, &cache, terminal)?, &subsystems)?;
        specs.iter().try_for_each(|spec| spec.kernel.require_source(&cache, terminal))?;
        let (extras, initramfs) = thread::scope(|scope| {
            // Unpacking takes one processor for half a minute, and so does the last part of
            // compilation. A failure is reported again where the source is used.
            scope.spawn(|| {
                specs.first().map(|first| image::fetch_tree(&first.kernel, first.arch(), &cache, terminal))
            });
            let extras = Extras::for_scenarios(scenarios, options.install, terminal)?;
            let initramfs = extras.initramfs(&cache, terminal)?;
            anyhow::Ok((extras, initramfs))
        })?;
        environment::clear_logs(label)?;
        Ok(Self {
            environments: specs.iter().map(|_| OnceLock::new()).collect(),
            specs,
            columns,
            jobs: options.jobs.map_or(3 * processors(), NonZero::get),
            qemu_jobs: options.jobs.map_or(processors() + 1, NonZero::get),
            fresh: options.fresh,
            cache,
            label: label.to_owned(),
            extras,
            initramfs,
            idle: Mutex::default(),
        })
    }

    pub fn limits(&self) -> Vec<Limits> {
        let limits = |spec: &EnvironmentSpec| Limits {
            start: spec.start_seconds(),
            max_workers: if spec.kind == Kind::Uml { self.jobs } else { self.qemu_jobs },
        };
        self.specs.iter().map(limits).collect()
    }

    /// Returns the environment with this number; prepares it on first use, which may take minutes.
    pub fn environment(&self, number: usize, terminal: &Terminal) -> Result<&Environment> {
        let prepare = || {
            let spec = &self.specs[number];
            let label =
                if self.specs.len() > 1 { format!("{}-{number}", self.label) } else { self.label.clone() };
            // A column with only this environment has requested it by name.
            let by_name = self
                .columns
                .iter()
                .any(|column| !column.optional && column.alternatives().any(|it| it == [number]));
            let retry = if by_name { Retry::Always } else { Retry::WhenExpired };
            Environment::prepare(spec, &self.initramfs, &self.extras, &label, retry, &self.cache, terminal)
                .map_err(|error| format!("{error:#}"))
        };
        self.environments[number].get_or_init(prepare).as_ref().map_err(|error| anyhow!("{error}"))
    }

    pub fn about(&self) -> Result<Vec<ColumnInfo>> {
        about(&self.specs, &self.columns)
    }

    pub fn column_of(&self, environment: usize) -> Option<usize> {
        self.columns.iter().position(|it| it.alternatives().any(|it| it.contains(&environment)))
    }

    /// Checks whether the environment's kernel is built, as far as a quick check shows.
    pub fn is_built(&self, number: usize) -> bool {
        let spec = &self.specs[number];
        image::built(&spec.kernel, spec.arch(), &self.cache).is_ok_and(|image| image.is_some())
    }

    /// Runs one scenario on the first environment of the first column that works. Keeps the guest
    /// for the next call.
    pub fn run(&self, scenario: &Scenario, terminal: &Terminal) -> Result<Verdict> {
        let column =
            self.columns.first().ok_or_else(|| anyhow!("can't run scenarios: there is no column"))?;
        let mut last = Err(anyhow!("can't run scenarios: there is no column"));
        let environments = column.environments_for(scenario);
        for number in environments {
            let is_tried = self.environments[*number].get().is_none();
            let environment = match self.environment(*number, terminal) {
                Ok(environment) => environment,
                Err(error) => {
                    if is_tried && environments.last() != Some(number) {
                        terminal.note(&format!("{error:#}"));
                    }
                    last = Err(error);
                    continue;
                }
            };
            let mut worker = self.idle_worker(*number).unwrap_or_default();
            let verdict = worker.run(environment, scenario);
            lock(&self.idle).push((*number, worker));
            let skipped = matches!(verdict, Verdict::Skipped(_));
            last = Ok(verdict);
            if !skipped {
                break;
            }
        }
        last
    }

    fn idle_worker(&self, environment: usize) -> Option<Worker> {
        let mut idle = lock(&self.idle);
        let index = idle.iter().position(|(number, _)| *number == environment)?;
        Some(idle.swap_remove(index).1)
    }
}

fn processors() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}
