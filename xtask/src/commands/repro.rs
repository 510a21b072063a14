//! `cargo xtask repro`: one scenario in detail, repeatedly or under a debugger.

use std::num::NonZero;
use std::process::ExitCode;
use std::slice;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::Args;
use console::style;
use kernel::Arch;
use scenarios::plan::{Order, Plan};
use scenarios::scenario::Scenario;
use scenarios::verdict::Verdict;

use crate::args::at_least_one;
use crate::args::matrix::NO_DELAYS;
use crate::args::one_guest::GuestOptions;
use crate::artifacts::image::{self, Profile};
use crate::debug::timeline::Timeline;
use crate::debug::{gdb, symbolize};
use crate::host::completion;
use crate::host::process::quoted;
use crate::host::terminal::{Terminal, seconds};
use crate::host::{cache, output};
use crate::mutants::judge::boot_parameter;
use crate::mutants::table;
use crate::runner::environment::{Environment, Extras, seed_parameter};
use crate::runner::result_word::Word;
use crate::runner::scenario_result::accept_hint;
use crate::runner::selection;
use crate::runner::worker::{self, Judged};
use crate::session::Session;
use crate::vm::{BootConfig, Kind};

const EXAMPLES: &str = "Examples:
  cargo xtask repro chosen-error                           events and tracepoints on one clock
  cargo xtask repro serving/raced --until-fail             until a run fails; prints the seed
  cargo xtask repro serving/raced --seed 17                with a given seed
  cargo xtask repro rejection/chosen-error --mutant 17     with a fault in the series
  cargo xtask repro serving/raced --perturb 17             with delays in the kernel, by a seed
  cargo xtask repro chosen-error --gdb keyagent_dispatch   a gdb command that stops at that function";

/// Time limit of a guest under a debugger, long enough never to expire.
const NO_LIMIT: Duration = Duration::from_secs(10 * 24 * 60 * 60);

/// Scenario, repetition and debugger.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// The scenario's name: FAMILY/NAME, or NAME if only one family has it
    #[arg(add = completion::one_scenario())]
    scenario: String,

    /// Wait for gdb before the kernel starts; with a function, print a gdb command that stops there
    #[arg(long, value_name = "FUNCTION", num_args = 0..=1, default_missing_value = "", conflicts_with_all = ["repeat", "until_fail"])]
    gdb: Option<String>,

    /// The port for gdb [default: a free one]
    #[arg(long, value_name = "PORT", requires = "gdb")]
    gdb_port: Option<u16>,

    /// Run the scenario N times, each with the next seed, and show the runs that fail
    #[arg(long, value_name = "N", value_parser = at_least_one::<NonZero<u32>>)]
    repeat: Option<NonZero<u32>>,

    /// Run the scenario until a run fails, at most --repeat times
    #[arg(long)]
    until_fail: bool,

    /// The seed of the delays between raced steps [default: a new one each time]
    #[arg(long, value_name = "SEED")]
    seed: Option<u64>,

    /// Choose a mutant of `cargo xtask mutants --list`, and show its diff; the profile is mutants, the virtual machine UML
    #[arg(long, value_name = "NUMBER", conflicts_with = "gdb")]
    mutant: Option<u32>,

    /// Delay locks and wake-ups of the key service as this seed says [default profile: mutants; default virtual machine: UML]
    #[arg(long, value_name = "SEED", value_parser = at_least_one::<NonZero<u32>>, conflicts_with = "gdb")]
    perturb: Option<NonZero<u32>>,

    #[command(flatten)]
    guest: GuestOptions,
}

pub fn run(options: &Options, terminal: &Terminal) -> Result<ExitCode> {
    let scenario = selection::named(&options.scenario)?;
    if options.gdb.is_some() && options.guest.vm == Some(Kind::Uml) {
        bail!("only QEMU supports gdb: use --vm tcg or --vm kvm");
    }
    let port = options.gdb.as_ref().map(|_| gdb::port(options.gdb_port)).transpose()?;
    let mut options = options.with_profile()?;
    options.guest.kernel = options.guest.kernel.for_scenario(&scenario);
    let options = &options;
    options.guest.ensure_host(terminal)?;
    let environment = options.environment(&scenario, terminal)?;
    terminal.say(&format!("{} {}", style("keyagents").bold(), style(environment.describe()).dim()));
    terminal.say(&format!("{} {}", style(&scenario.name).bold(), style(&scenario.title).dim()));
    let environment = match options.mutant {
        Some(number) => options.choose_mutant(environment, number, terminal)?,
        None => environment,
    };
    let environment = match options.perturb {
        Some(seed) => environment.with_parameter(seed_parameter(seed)),
        None => environment,
    };
    let verdict = match port {
        Some(port) => options.debug(&environment, &scenario, port, terminal)?,
        None if options.repeat.is_none() && !options.until_fail => {
            options.run_once(&environment, &scenario, terminal)
        }
        None => return Ok(options.run_repeatedly(&environment, &scenario, terminal)),
    };
    conclude(&scenario, &verdict, terminal);
    Ok(ExitCode::from(verdict.exit_code_alone()))
}

impl Options {
    /// Returns these options with the profile and the virtual machine that a mutant or a seed implies.
    fn with_profile(&self) -> Result<Self> {
        if self.mutant.is_none() && self.perturb.is_none() {
            return Ok(self.clone());
        }
        let mut options = self.clone();
        options.guest.kernel.profile = match self.guest.kernel.profile {
            Profile::Plain | Profile::Mutants => Profile::Mutants,
            _ if self.mutant.is_some() => bail!("--profile can't be set with --mutant: it is mutants"),
            profile if profile.has_delays() => profile,
            _ => bail!("{NO_DELAYS}"),
        };
        options.guest.vm = self.guest.vm.or(Some(Kind::Uml));
        Ok(options)
    }

    /// Shows the mutant, and has the environment's guests boot with it.
    fn choose_mutant(
        &self,
        environment: Environment,
        number: u32,
        terminal: &Terminal,
    ) -> Result<Environment> {
        let arch = if environment.kind() == Kind::Uml { Arch::Um } else { Arch::X86_64 };
        let image = image::image(&self.guest.kernel, arch, &[], &cache::directory()?, terminal)?;
        let set = image.mutants()?;
        let Some(mutant) = set.get(number).filter(|mutant| set.is_compiled(mutant.id)) else {
            bail!("there is no mutant {number} in this kernel: `cargo xtask mutants --list` shows all")
        };
        terminal.say(&format!("mutant {}\n{}", table::line(mutant), set.diff(mutant)));
        Ok(environment.with_parameter(boot_parameter(mutant)))
    }

    /// Returns what judges a run. The trace of a mutant is no proposal for a snapshot.
    fn judge(&self) -> Judge {
        if self.mutant.is_some() { Judged::of_mutant } else { Judged::of }
    }

    /// Returns the first environment whose guests have the features that the scenario needs.
    fn environment(&self, scenario: &Scenario, terminal: &Terminal) -> Result<Environment> {
        let mut kinds = self.guest.kinds(&cache::directory()?, terminal)?;
        kinds.retain(|kind| self.gdb.is_none() || *kind != Kind::Uml);
        let extras = Extras::for_scenarios(slice::from_ref(scenario), self.guest.install, terminal)?;
        while !kinds.is_empty() {
            let environment = self.guest.environment(&kinds, &extras, "repro", terminal)?;
            let features = match &environment.features {
                Some(features) => features.clone(),
                // Without a trial boot the features are unknown, but QEMU's guests have all of them.
                None => return Ok(environment),
            };
            let Some(feature) = scenario.missing(&features) else { return Ok(environment) };
            kinds.retain(|kind| *kind != environment.kind());
            if kinds.is_empty() {
                bail!(
                    "{} can't run on {}: {}",
                    scenario.name,
                    environment.kind().full_name(),
                    worker::missing_feature(&feature)
                );
            }
        }
        bail!("can't start a guest: there is no virtual machine to choose from")
    }

    /// Returns the first seed: the given one, or a random one.
    fn first_seed(&self) -> u64 {
        // The standard library seeds its hash maps with random numbers.
        let random = || std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 0) % 1_000_000;
        self.seed.unwrap_or_else(random)
    }

    /// Prints the seed and its effect on this plan. Without an effect, only a seed that was asked for is worth a line.
    fn print_seed(&self, plan: &Plan, seed: u64, terminal: &Terminal) {
        let line = if plan.blocks.iter().any(|block| block.order == Order::Raced) {
            format!("seed {seed}: it sets the delays between raced steps")
        } else if self.seed.is_some() {
            "no steps are raced: the seed has no effect".to_owned()
        } else {
            return;
        };
        terminal.say(&format!("{}\n", style(line).dim()));
    }

    fn run_once(&self, environment: &Environment, scenario: &Scenario, terminal: &Terminal) -> Verdict {
        let seed = self.first_seed();
        self.print_seed(scenario.plan(), seed, terminal);
        let plan = Plan { seed: Some(seed), ..environment.boot.time_scale.plan(scenario) };
        let boot = verbose_boot(environment);
        run_in_new_guest(environment, &boot, scenario, &plan, self.judge(), print_line)
    }

    fn debug(
        &self,
        environment: &Environment,
        scenario: &Scenario,
        port: u16,
        terminal: &Terminal,
    ) -> Result<Verdict> {
        let function = self.gdb.as_deref().filter(|name| !name.is_empty());
        if let Some(function) = function {
            gdb::check_function(&environment.image.vmlinux, function)?;
        }
        let cache = cache::directory()?;
        let command = gdb::command(&self.guest.kernel, &environment.image.vmlinux, &cache, port, function)?;
        let seed = self.first_seed();
        self.print_seed(scenario.plan(), seed, terminal);
        terminal.say(&format!("\nThe guest waits for gdb. In another terminal:\n\n  {command}\n"));
        let plan = Plan {
            seed: Some(seed),
            deadline_ms: NO_LIMIT.as_millis() as u64,
            ..environment.boot.time_scale.plan(scenario)
        };
        let boot =
            BootConfig { debugger: Some(port), boot_deadline: Some(NO_LIMIT), ..verbose_boot(environment) };
        Ok(run_in_new_guest(environment, &boot, scenario, &plan, Judged::of, print_line))
    }

    /// Runs the scenario repeatedly, with one line for each run, and the whole timeline of each
    /// run that fails.
    fn run_repeatedly(
        &self,
        environment: &Environment,
        scenario: &Scenario,
        terminal: &Terminal,
    ) -> ExitCode {
        let first = self.first_seed();
        self.print_seed(scenario.plan(), first, terminal);
        let runs = self.repeat.map_or(u32::MAX, NonZero::get);
        let (mut done, mut bad) = (0, Vec::new());
        for run in 0..runs {
            let seed = first.wrapping_add(run.into());
            let began = Instant::now();
            let plan = Plan { seed: Some(seed), ..environment.boot.time_scale.plan(scenario) };
            let (printed, lines) = mpsc::channel();
            let keep = move |line: &str| _ = printed.send(line.to_owned());
            let verdict =
                run_in_new_guest(environment, &environment.boot, scenario, &plan, self.judge(), keep);
            let word = Word::of(&verdict, false);
            let of = self.repeat.map(|runs| format!("/{runs}")).unwrap_or_default();
            let time = style(format!("· seed {seed} · {}", seconds(began.elapsed()))).dim();
            terminal.say(&format!("  {} {}{of} {word} {time}", word.coloured_mark(), run + 1));
            done = run + 1;
            if verdict != Verdict::Passed {
                let lines: Vec<String> = lines.into_iter().collect();
                terminal.say(&format!("\n{}\n{}", lines.join("\n"), verdict.details().trim_end()));
                bad.push((seed, verdict.exit_code_alone()));
                if self.until_fail {
                    break;
                }
            }
        }
        let (Some((seed, _)), Some(code)) = (bad.first(), bad.iter().map(|(_, code)| *code).max()) else {
            terminal.say(&format!("\n{} passed {done} times", scenario.name));
            return ExitCode::SUCCESS;
        };
        terminal.say(&format!(
            "\n{} failed {} of {done} times; to run it again: cargo xtask repro {} --seed {seed}",
            scenario.name,
            bad.len(),
            quoted(&scenario.name)
        ));
        ExitCode::from(code)
    }
}

/// Prints a line of the timeline at once.
fn print_line(line: &str) {
    output::write_stdout(format!("{line}\n").as_bytes());
}

/// Returns a boot configuration that prints all kernel messages, with tracepoints.
fn verbose_boot(environment: &Environment) -> BootConfig {
    let mut parameters = environment.boot.parameters.clone();
    parameters.extend(["loglevel=7", "tp_printk", "trace_event=keyagent:*"].map(str::to_owned));
    BootConfig { parameters, ..environment.boot.clone() }
}

type Judge = fn(Session, &Environment, &Scenario, &Plan) -> Judged;

/// Runs the scenario in a new guest, which ends before the timeline is complete.
fn run_in_new_guest(
    environment: &Environment,
    boot: &BootConfig,
    scenario: &Scenario,
    plan: &Plan,
    judge: Judge,
    print: impl FnMut(&str) + Send + 'static,
) -> Verdict {
    let timeline = Timeline::of(plan.clone(), print);
    let boot = BootConfig { observer: timeline.observer(), ..boot.clone() };
    let verdict = match environment.start(&boot) {
        Err(failure) => symbolize::located(failure.verdict(plan), &environment.image.vmlinux),
        Ok(guest) => judge(guest, environment, scenario, plan).verdict,
    };
    // This sender keeps the timeline open.
    drop(boot);
    timeline.end();
    verdict
}

fn conclude(scenario: &Scenario, verdict: &Verdict, terminal: &Terminal) {
    let word = Word::of(verdict, false);
    let details = verdict.details();
    let details = if details.is_empty() { details } else { format!("\n{}", details.trim_end()) };
    terminal.say(&format!("\n{} {word}{details}", word.coloured_mark()));
    accept_hint(&scenario.name, verdict).iter().for_each(|line| terminal.say(line));
}
