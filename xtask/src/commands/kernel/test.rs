//! `cargo xtask kernel test`: the series' own KUnit tests and selftests.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Result, bail};
use clap::Args;
use console::style;
use kernel::Fragment;

use crate::args::one_guest::GuestOptions;
use crate::artifacts::guest_file::Program;
use crate::artifacts::image;
use crate::host::cache;
use crate::host::terminal::Terminal;
use crate::kernel_tests::{self, Part, Selftests, User};
use crate::runner::environment::{Environment, Extras};
use crate::runner::scenario_result::{ScenarioResult, Tally, exit_code, summary};

/// The directory of the kernel's selftests that the series adds to.
const COLLECTION: &str = "keys";

/// Test cases, kernel and reports.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo xtask kernel test                     # all of them
  cargo xtask kernel test kunit/              # only KUnit's cases
  cargo xtask kernel test user/ --kernel 6.12 # cases of an ordinary user, on another kernel")]
pub struct Options {
    /// Report only cases whose names contain one of these, such as kunit/ or root/payload
    #[arg(value_name = "FILTER")]
    filters: Vec<String>,

    #[command(flatten)]
    testbed: GuestOptions,
}

pub fn run(options: &Options, terminal: &Terminal) -> Result<ExitCode> {
    let (environment, programs) = prepare(&options.testbed, terminal)?;
    terminal.say(&format!("{} {}", style("keyagents").bold(), style(environment.describe()).dim()));
    let started = Instant::now();
    let mut parts = Vec::new();
    let mut show = |part: Part| {
        options.show(&part, terminal);
        parts.push(part);
    };
    let work = terminal.work("Running KUnit");
    let part = kernel_tests::kunit(&environment);
    drop(work);
    show(part);
    let mut selftests = Selftests::on(&environment);
    for program in &programs {
        for user in [User::Root, User::Ordinary] {
            let work = terminal.work(&format!("Running {}", kernel_tests::title(&program.path, user)));
            let part = selftests.run(&program.path, user);
            drop(work);
            show(part);
        }
    }
    selftests.close().into_iter().for_each(show);

    let results = options.selected(parts)?;
    results.iter().filter_map(|it| it.details("")).for_each(|it| terminal.say(&it));
    terminal.say(&format!("\n{}", summary(&Tally::of(&results), "case", Some(started.elapsed()))));
    Ok(exit_code(&results).into())
}

fn prepare(options: &GuestOptions, terminal: &Terminal) -> Result<(Environment, Vec<Program>)> {
    options.ensure_host(terminal)?;
    let files = image::selftests(&options.kernel, COLLECTION, &cache::directory()?, terminal)?;
    let in_bin = |file: PathBuf| {
        let path = format!("/bin/{}", file.file_name().unwrap_or_default().to_string_lossy());
        Program { path, file }
    };
    let programs: Vec<Program> = files.into_iter().map(in_bin).collect();
    let fragments = vec![Fragment::named("keyagent-kunit")?];
    // A request without a keyagent must fail, and not reach the testbed's stock upcall.
    let extras = Extras {
        fragments,
        programs: programs.clone(),
        absent: vec!["/sbin/request-key"],
        ..Extras::default()
    };
    Ok((options.qemu_environment(&extras, "kernel-test", terminal)?, programs))
}

impl Options {
    fn show(&self, part: &Part, terminal: &Terminal) {
        terminal.say(&format!("\n  {}", style(&part.title).bold()));
        for report in part.cases.iter().filter(|case| self.selects(case)).chain(&part.outside) {
            terminal.say(&report.case_line(&part.title));
        }
    }

    fn selects(&self, case: &ScenarioResult) -> bool {
        self.filters.is_empty() || self.filters.iter().any(|filter| case.scenario.contains(filter))
    }

    /// Returns the requested results. Failures outside of any case are always among them.
    fn selected(&self, parts: Vec<Part>) -> Result<Vec<ScenarioResult>> {
        let all_well = parts.iter().all(|part| part.outside.is_none());
        let fits = |filter: &String| {
            parts.iter().any(|part| part.cases.iter().any(|case| case.scenario.contains(filter)))
        };
        if let Some(filter) = self.filters.iter().find(|filter| all_well && !fits(filter)) {
            let titles: Vec<String> = parts.iter().map(|part| format!("{}/", part.title)).collect();
            bail!("no case's name contains `{filter}`; they begin with {}", titles.join(", "));
        }
        let of_part = |part: Part| {
            part.cases.into_iter().filter(|case| self.selects(case)).chain(part.outside).collect::<Vec<_>>()
        };
        Ok(parts.into_iter().flat_map(of_part).collect())
    }
}
