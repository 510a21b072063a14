//! Judge for bundles: turns the recorded messages of a guest into a verdict.
//!
//! `judge SCENARIO.toml HOST.jsonl GUEST.jsonl`: HOST.jsonl holds the host's messages, GUEST.jsonl those of PID 1, both in
//! the wire format. The verdict goes to standard output, its word in the last line.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::{env, fs};

use scenarios::parse;
use scenarios::plan::Plan;
use scenarios::scenario::Scenario;
use scenarios::verdict::{Verdict, judge};
use scenarios::wire::{Event, Finished, GuestMessage, HostMessage};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let verdict = match arguments.as_slice() {
        [scenario, host, guest] => judged(Path::new(scenario), Path::new(host), Path::new(guest)),
        _ => Err("say `judge SCENARIO.toml HOST.jsonl GUEST.jsonl`".to_owned()),
    };
    let verdict = verdict.unwrap_or_else(|why| Verdict::Broken(why.into()));
    let told = writeln!(io::stdout(), "{}\nverdict: {}", verdict.details().trim_end(), verdict.word());
    ExitCode::from(told.map_or(2, |()| verdict.exit_code_alone()))
}

fn judged(scenario: &Path, host: &Path, guest: &Path) -> Result<Verdict, String> {
    let plan = plan(&text(host)?)?;
    let scenario = at_time_scale_of(&plan, read_scenario(scenario, &plan.name)?);
    let GuestMessages { features, events, finished } = GuestMessages::of(&text(guest)?)?;
    if let Some(feature) = scenario.missing(&features) {
        return Ok(Verdict::Skipped(format!("this guest has no {feature}")));
    }
    let finished = finished.ok_or("the guest ended before the scenario did")?;
    judge(&scenario, &events, &finished).map_err(|why| why.to_string())
}

fn text(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|why| format!("can't read {}: {why}", path.display()))
}

fn plan(host: &str) -> Result<Plan, String> {
    let messages = host.lines().filter_map(|line| serde_json::from_str(line).ok());
    let mut plans = messages.filter_map(|message| match message {
        HostMessage::Run(plan) => Some(*plan),
        _ => None,
    });
    plans.next().ok_or_else(|| "there is no plan to judge".to_owned())
}

fn read_scenario(path: &Path, name: &str) -> Result<Scenario, String> {
    let file = name.split_once('[').map_or(name, |(file, _)| file);
    let cases = parse::scenarios(file, path, &text(path)?)
        .map_err(|problems| format!("{} can't be read: {:?}", path.display(), problems.problems))?;
    let case = cases.into_iter().find(|case| case.name == name);
    case.ok_or_else(|| format!("{} has no scenario {name}", path.display()))
}

/// Scales the time limits. A kernel with self-checks gets more time for the whole plan, and for
/// each step.
fn at_time_scale_of(plan: &Plan, mut scenario: Scenario) -> Scenario {
    let times = (plan.deadline_ms / scenario.plan().deadline_ms.max(1)).max(1);
    let limits = scenario.expectations.iter_mut().filter_map(|one| one.within_ms.as_mut());
    limits.for_each(|limit| *limit = limit.saturating_mul(times));
    scenario
}

struct GuestMessages {
    features: Vec<String>,
    events: Vec<Event>,
    finished: Option<Finished>,
}

impl GuestMessages {
    fn of(text: &str) -> Result<Self, String> {
        let mut guest = Self { features: Vec::new(), events: Vec::new(), finished: None };
        for line in text.lines() {
            match serde_json::from_str(line).map_err(|why| format!("{why} in: {line}"))? {
                GuestMessage::Hello(hello) => guest.features = hello.features,
                GuestMessage::Event(event) => guest.events.push(event),
                GuestMessage::Finished(finished) => guest.finished = Some(finished),
                GuestMessage::Broken(broken) => return Err(broken.why),
                _ => {}
            }
        }
        Ok(guest)
    }
}
