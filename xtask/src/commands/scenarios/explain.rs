//! `cargo xtask scenarios explain`: a scenario in plain English.

use anyhow::{Context, Result};
use clap::Args;
use console::style;
use scenarios::explain::{Explanation, Kind, Row, wrapping};

use crate::host::completion;
use crate::host::process::quoted;
use crate::host::terminal::Terminal;
use crate::runner::selection;

const WIDTH: usize = 100;

/// Scenario to explain.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo xtask scenarios explain linking/two-containers
  cargo xtask scenarios explain two-containers            # if only one family has it
  NO_COLOR=1 cargo xtask scenarios explain lifetime/exec > exec.txt

The diagram shows what happened when the scenario's snapshot was accepted. What a step causes stands below \
it, also where it happens later.")]
pub struct Options {
    /// FAMILY/NAME
    #[arg(value_name = "NAME", add = completion::one_scenario())]
    name: String,
}

pub fn run(options: &Options, terminal: &Terminal) -> Result<()> {
    let scenario = selection::named(&options.name)?;
    let explanation = Explanation::of(&scenario, WIDTH).context("can't explain the scenario")?;
    terminal.say(&format!("{}\n{}", style(&scenario.name).dim(), style(&explanation.title).bold()));
    terminal.say(&section("Proves", &proved(&explanation)));
    terminal.say(&section("Who takes part", &paragraphs(&explanation.processes)));
    if !explanation.conditions.is_empty() {
        terminal.say(&section("Under these circumstances", &paragraphs(&explanation.conditions)));
    }
    terminal.say(&section("What happens", &numbered(&explanation.steps)));
    match &explanation.diagram {
        Some(rows) => terminal.say(&section("What the kernel answered", &diagram(rows))),
        None => terminal.say(&format!(
            "\nIt has no snapshot yet: run `cargo xtask test {0}`, look at the trace and accept it with `cargo xtask scenarios accept {0}`.",
            quoted(&scenario.name)
        )),
    }
    Ok(())
}

fn section(heading: &str, body: &[String]) -> String {
    format!("\n{}\n{}", style(heading).bold(), body.join("\n"))
}

fn proved(explanation: &Explanation) -> Vec<String> {
    let line = |label: String, title: &str| hanging(&format!("  {label:<5}"), title);
    let rules = explanation.rules.iter().map(|rule| line(rule.to_string(), rule.title()));
    let lines: Vec<String> = rules.collect();
    if lines.is_empty() { vec!["  no rule: it is an example".to_owned()] } else { lines }
}

fn paragraphs(texts: &[String]) -> Vec<String> {
    texts.iter().map(|text| hanging("  ", text)).collect()
}

fn numbered(texts: &[String]) -> Vec<String> {
    texts.iter().enumerate().map(|(index, text)| hanging(&format!("{:>3}. ", index + 1), text)).collect()
}

/// Formats text after a label, with aligned lines.
fn hanging(label: &str, text: &str) -> String {
    let indent = " ".repeat(label.chars().count());
    let options = wrapping(WIDTH).initial_indent(label).subsequent_indent(&indent);
    textwrap::fill(text, options)
}

fn diagram(rows: &[Row]) -> Vec<String> {
    let line = |row: &Row| {
        let number = row.number.map(|number| format!("{number}.")).unwrap_or_default();
        let text = match row.kind {
            None | Some(Kind::Action) => row.text.clone(),
            Some(Kind::Result) => style(&row.text).green().to_string(),
            Some(Kind::Remark) => style(&row.text).dim().to_string(),
        };
        let lanes = style(&row.lanes);
        let lanes = if row.kind.is_none() { lanes.bold() } else { lanes.cyan() };
        format!("{number:>4} {lanes}  {text}").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}
