//! `cargo xtask kernel check`: build, sparse, checkpatch and kernel-doc for each patch.

use std::num::NonZero;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;

use anyhow::{Result, bail};
use clap::Args;
use console::{Style, style};
use kernel::{
    Check, CheckKind, Difference, KernelSpec, Kernels, Origin, Outcome, Report, Row, Series, Subsystem,
};

use crate::artifacts::image::SeriesOption;
use crate::host::cache;
use crate::host::packages::{self, Purpose};
use crate::host::terminal::Terminal;

/// Kernels, patches and sources to check.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo xtask kernel check                                  # every patch for every kernel
  cargo xtask kernel check --kernel 6.12 --patches 3..5     # three patches
  cargo xtask kernel check --series v3.mbox --kernel 6.12   # another series
  cargo xtask kernel check --subsystem nfs --kernel 7.3     # NFS's patches")]
pub struct Options {
    /// Kernels of kernel/kernels.toml, separated by commas [default: all]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    kernel: Vec<String>,

    /// Patches, such as 3 or 3..5, counted from 1 [default: all]
    #[arg(long, value_name = "N..M", value_parser = range)]
    patches: Option<RangeInclusive<usize>>,

    /// Another kernel source, a directory or a tarball, for a single kernel
    #[arg(long, value_name = "DIR|TARBALL")]
    kernel_src: Option<PathBuf>,

    /// A subsystem whose patches are checked, on top of the kernel's own: nfs
    #[arg(long, value_name = "NAME", conflicts_with = "series")]
    subsystem: Option<Subsystem>,

    #[command(flatten)]
    series: SeriesOption,

    /// Install missing packages, with sudo if necessary
    #[arg(long)]
    install: bool,
}

pub fn run(options: &Options, terminal: &Terminal) -> Result<ExitCode> {
    packages::ensure(Purpose::Build, options.install, terminal)?;
    let kernels = Kernels::load()?;
    let mut reports = Vec::new();
    for kernel in options.kernels(kernels)? {
        let say = |lines: Vec<String>| lines.iter().for_each(|line| terminal.say(line));
        let tell = |row: &Row| say(complaints_about(kernel, row));
        let report = kernel::check(&options.check(kernel, terminal)?, &cache::directory()?, terminal, tell)?;
        say(complaints(kernel, "the whole series: clang", &report.clang));
        reports.push((kernel, report));
    }
    for (kernel, report) in &reports {
        terminal.say(&table(kernel, report));
    }
    let has_own_series =
        options.series.given().is_none() && options.subsystem.is_none() && options.kernel_src.is_none();
    let compared = reports.iter().map(|(kernel, _)| *kernel).filter(|_| has_own_series);
    let unexplained = compare(compared, kernels.primary()?, terminal)?;
    let failed = unexplained || reports.iter().any(|(_, report)| report.failed());
    Ok(ExitCode::from(u8::from(failed)))
}

/// Prints the differences of each series from the primary one. Returns true if one has no
/// explanation.
fn compare<'k>(
    kernels: impl Iterator<Item = &'k KernelSpec>,
    primary: &KernelSpec,
    terminal: &Terminal,
) -> Result<bool> {
    let mut unexplained = false;
    for kernel in kernels.filter(|kernel| kernel.name != primary.name) {
        for difference in kernel::differences(primary, kernel)? {
            unexplained |= difference.explanation.is_none();
            told(&difference, primary, kernel).iter().for_each(|line| terminal.say(line));
        }
    }
    Ok(unexplained)
}

/// Returns a heading, the explanation or the lack of one, and the lines that differ.
fn told(difference: &Difference, primary: &KernelSpec, kernel: &KernelSpec) -> Vec<String> {
    let heading = format!("{} {}: differs from {}", kernel.name, difference.patch, primary.name);
    let (heading, why) = match &difference.explanation {
        Some(explanation) => (style(format!("~ {heading}")).yellow(), explanation.clone()),
        None => {
            let words = kernel::explanation(primary);
            let why = format!("no paragraph of the patch begins with `{words}` and explains it");
            (style(format!("✗ {heading}")).red().bold(), why)
        }
    };
    let mut lines = vec![heading.to_string(), format!("    {why}")];
    let width = primary.name.len().max(kernel.name.len());
    let mut file = "";
    for unlike in &difference.lines {
        if file != unlike.file {
            file = &unlike.file;
            lines.push(format!("    {file}"));
        }
        lines.push(format!("      {:<width$}  {}", unlike.kernel, unlike.line));
    }
    lines
}

impl Options {
    fn kernels<'a>(&self, kernels: &'a Kernels) -> Result<Vec<&'a KernelSpec>> {
        let all: Vec<String> = kernels.names().map(str::to_owned).collect();
        let names = if self.kernel.is_empty() { &all } else { &self.kernel };
        if self.kernel_src.is_some() && self.kernel.len() != 1 {
            bail!("--kernel-src is the source of one kernel: name one with --kernel");
        }
        names.iter().map(|name| Ok(kernels.get(name)?)).collect()
    }

    fn check<'a>(&self, kernel: &'a KernelSpec, terminal: &Terminal) -> Result<Check<'a>> {
        let series = self.series.of(kernel, self.subsystem, self.kernel_src.as_deref())?;
        self.series.note_left_out(&series, terminal);
        if series.is_empty() {
            bail!("there are no patches for {} in {}", kernel.name, kernel.series_directory().display());
        }
        let below = self.subsystem.map_or(Ok(Series::default()), |_| kernel.series())?.patches().len();
        let whole = below + 1..=series.patches().len();
        Ok(Check {
            kernel,
            origin: self.kernel_src.as_deref().map(|path| Origin::below(&series, path)).transpose()?,
            patches: self.patches.clone().unwrap_or(whole),
            series,
            subsystem: self.subsystem,
            jobs: thread::available_parallelism().map_or(1, NonZero::get),
        })
    }
}

/// Parses `3` or `3..5`, both ends included.
fn range(text: &str) -> Result<RangeInclusive<usize>, String> {
    let number = |text: &str| text.parse().ok().filter(|number| *number > 0);
    let (first, last) = text.split_once("..").unwrap_or((text, text));
    match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => Ok(first..=last),
        _ => Err("give a patch's number, or two such as 3..5, counted from 1".into()),
    }
}

fn complaints_about(kernel: &KernelSpec, row: &Row) -> Vec<String> {
    let title = |aspect: CheckKind| format!("{}: {}", row.patch, heading(aspect));
    row.outcomes.iter().flat_map(|(aspect, outcome)| complaints(kernel, &title(*aspect), outcome)).collect()
}

/// Returns a heading and a line for each complaint; empty if there is none.
fn complaints(kernel: &KernelSpec, title: &str, outcome: &Outcome) -> Vec<String> {
    let Outcome::Failed(complaints) = outcome else { return Vec::new() };
    let heading = style(format!("✗ {} {title}", kernel.name)).red().bold().to_string();
    let lines = complaints.iter().map(|complaint| format!("    {complaint}"));
    std::iter::once(heading).chain(lines).collect()
}

/// Returns a row for each patch, with a column for each check.
fn table(kernel: &KernelSpec, report: &Report) -> String {
    let width = report.rows.iter().map(|row| row.patch.chars().count()).max().unwrap_or(0);
    let headings: String =
        CheckKind::ALL.into_iter().map(|aspect| format!("  {}", heading(aspect))).collect();
    let title = format!("{:<width$}", kernel.name);
    let mut lines = vec![format!("\n{}{}", style(title).bold(), style(headings).dim())];
    lines.extend(report.rows.iter().map(|row| format!("{:<width$}{}", row.patch, marks(row))));
    lines.push(format!("{:<width$}  {}", "the whole with clang", mark(&report.clang)));
    for reason in skipped(report) {
        lines.push(style(format!("– skipped: {reason}")).dim().to_string());
    }
    lines.join("\n")
}

fn marks(row: &Row) -> String {
    let cell = |aspect: CheckKind| {
        let outcome = row.outcomes.iter().find(|(one, _)| *one == aspect).map(|(_, outcome)| outcome);
        let rest = " ".repeat(heading(aspect).len() - 1);
        format!("  {}{rest}", outcome.map_or(" ".into(), mark))
    };
    CheckKind::ALL.into_iter().map(cell).collect::<String>().trim_end().to_owned()
}

fn mark(outcome: &Outcome) -> String {
    let (mark, colour) = match outcome {
        Outcome::Clean => ("✓", Style::new().green()),
        Outcome::Failed(_) => ("✗", Style::new().red()),
        Outcome::Skipped(_) => ("–", Style::new().dim()),
    };
    colour.apply_to(mark).to_string()
}

/// Returns the distinct reasons of skipped checks.
fn skipped(report: &Report) -> Vec<&str> {
    let outcomes = report.rows.iter().flat_map(|row| &row.outcomes).map(|(_, outcome)| outcome);
    let mut reasons: Vec<&str> = outcomes
        .chain([&report.clang])
        .filter_map(|outcome| match outcome {
            Outcome::Skipped(reason) => Some(reason.as_str()),
            _ => None,
        })
        .collect();
    reasons.sort_unstable();
    reasons.dedup();
    reasons
}

fn heading(aspect: CheckKind) -> &'static str {
    match aspect {
        CheckKind::Applies => "applies",
        CheckKind::On => "W=1 on",
        CheckKind::Off => "W=1 off",
        CheckKind::Sparse => "sparse",
        CheckKind::Style => "checkpatch",
        CheckKind::Docs => "kernel-doc",
    }
}

#[cfg(test)]
mod tests {
    use kernel::UnlikeLine;

    use super::*;

    #[test]
    fn patch_range_is_one_number_or_two() {
        assert_eq!(range("3"), Ok(3..=3));
        assert_eq!(range("3..5"), Ok(3..=5));
        for wrong in ["0", "5..3", "3..", "a", "1..2..3"] {
            assert!(range(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn difference_without_an_explanation_is_a_finding_with_its_lines() {
        let kernels = Kernels::load().unwrap();
        let [new, old] = ["7.3", "6.12"].map(|name| kernels.get(name).unwrap());
        let line = |kernel: &str, line: &str| UnlikeLine {
            file: "a.c".into(),
            kernel: kernel.into(),
            line: line.into(),
        };
        let lines = vec![line("7.3", "+new();"), line("6.12", "+old();")];
        let mut difference = Difference { patch: "0001-a.patch".into(), lines, explanation: None };
        let text = |difference: &Difference| {
            console::strip_ansi_codes(&told(difference, new, old).join("\n")).into_owned()
        };
        assert_eq!(
            text(&difference),
            "✗ 6.12 0001-a.patch: differs from 7.3\n    \
             no paragraph of the patch begins with `Differs from 7.3:` and explains it\n    \
             a.c\n      7.3   +new();\n      6.12  +old();"
        );
        difference.explanation = Some("Differs from 7.3: so.".into());
        assert!(
            text(&difference)
                .starts_with("~ 6.12 0001-a.patch: differs from 7.3\n    Differs from 7.3: so.\n")
        );
    }

    #[test]
    fn table_has_a_mark_under_each_heading() {
        let outcomes = vec![
            (CheckKind::Applies, Outcome::Clean),
            (CheckKind::On, Outcome::Failed(vec!["a.c:1: warning: x".into()])),
            (CheckKind::Sparse, Outcome::Skipped("no sparse".into())),
        ];
        let rows = vec![Row { number: 1, patch: "0001-a.patch".into(), outcomes }];
        let report = Report { rows, clang: Outcome::Skipped("no clang".into()) };
        let kernels = Kernels::load().unwrap();
        let text = table(kernels.get("6.12").unwrap(), &report);
        let text = console::strip_ansi_codes(&text).into_owned();
        assert_eq!(
            text,
            "\n6.12          applies  W=1 on  W=1 off  sparse  checkpatch  kernel-doc\n\
             0001-a.patch  ✓        ✗                –\n\
             the whole with clang  –\n\
             – skipped: no clang\n– skipped: no sparse"
        );
    }
}
