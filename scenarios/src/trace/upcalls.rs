//! Attribution of upcalls to the requests that caused them.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    plan::{Op, Plan},
    wire::{Event, EventKind},
};

/// An upcall to an agent, or to /sbin/request-key, which reports under its own name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Upcall {
    pub(super) agent: String,
    pub(super) target: i32,
    /// The step with the request. An upcall that was raised while another was served has the step
    /// of that one.
    pub(super) step: Option<usize>,
    /// 0 for a step's own request, 1 for a request made while that was served, and so on.
    pub(super) depth: usize,
    /// The request, if it was made by request_key(2) in the scenario's own words.
    pub(super) asked: Option<Asked>,
    /// Name of the requesting command, if a command requested the key.
    pub(super) command: Option<String>,
    /// Replacements of the worker's own texts.
    general: Vec<(String, String)>,
    /// Templates of the texts of tries.
    tries: Vec<String>,
}

/// A call of request_key(2), with the scenario's texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) kind: String,
    pub(super) description: String,
    pub(super) callout: String,
}

impl Upcall {
    /// Returns the text with a worker's own description and callout replaced by their templates.
    pub(super) fn generalise(&self, text: &str) -> String {
        let text =
            self.general.iter().fold(text.to_owned(), |text, (own, general)| text.replace(own, general));
        let general =
            |word| self.tries.iter().find(|general| fits(general, word)).map_or(word, String::as_str);
        text.split('"').map(general).collect::<Vec<_>>().join("\"")
    }
}

/// Returns true if a text is a template with a number in place of `{worker}`.
fn fits(general: &str, text: &str) -> bool {
    let number = general
        .split_once("{worker}")
        .and_then(|(before, after)| text.strip_prefix(before)?.strip_suffix(after));
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

#[derive(Debug)]
pub(super) struct Upcalls {
    all: Vec<Upcall>,
    /// Indices of upcalls by agent and target.
    index: BTreeMap<(String, i32), usize>,
}

impl Upcalls {
    pub(super) fn of(plan: &Plan, events: &[Event]) -> Self {
        let requests = requests(plan, events);
        let levels = pid_levels(events);
        let known = pids(events).into_values().flat_map(|pids| pids.iter().copied().enumerate());
        let known: BTreeSet<(usize, i32)> = known.collect();
        let mut got: BTreeMap<i32, &Request<'_>> = BTreeMap::new();
        for request in &requests {
            request.serial.map(|serial| got.entry(serial).or_insert(request));
        }
        let mut upcalls: Vec<Upcall> = Vec::new();
        let mut index = BTreeMap::new();
        for event in events {
            let Some(target) = event.upcall.filter(|_| event.step.is_none()) else { continue };
            let key = (event.process.clone(), target);
            if index.contains_key(&key) {
                continue;
            }
            let sender = match &event.kind {
                EventKind::UpcallSignal(siginfo) => siginfo.pid,
                _ => 0,
            };
            let level = levels.get(event.process.as_str()).copied().unwrap_or(0);
            let by_command = !known.contains(&(level, sender));
            let candidates =
                requests.iter().filter(|request| sender == 0 || request.is_command() == by_command);
            let raised = || raiser(candidates, sender, level, event.at_us);
            // A requester that got the key later may only have found it.
            let served = got.get(&target).copied();
            let request = served.filter(|request| request.begun_us <= event.at_us).or_else(raised).or(served);
            let (step, depth) = request.map_or((None, 0), |request| request.cause(&upcalls));
            index.insert(key, upcalls.len());
            upcalls.push(Upcall {
                agent: event.process.clone(),
                target,
                step,
                depth,
                asked: request.and_then(Request::asked),
                command: request.and_then(Request::command),
                general: request.map(Request::general).unwrap_or_default(),
                tries: request.map(Request::tries).unwrap_or_default(),
            });
        }
        Self { all: upcalls, index }
    }

    pub(super) fn get(&self, agent: &str, target: i32) -> Option<&Upcall> {
        self.index.get(&(agent.to_owned(), target)).and_then(|place| self.all.get(*place))
    }

    /// Returns the upcalls that a step caused, or those that no step caused.
    pub(super) fn of_step(&self, step: Option<usize>) -> impl Iterator<Item = &Upcall> {
        self.all.iter().filter(move |upcall| upcall.step == step)
    }
}

/// A call of request_key(2), or one for which the kernel requests a key, that may have raised an upcall.
struct Request<'r> {
    op: &'r Op,
    event: &'r Event,
    worker: Option<u32>,
    pids: Vec<i32>,
    begun_us: u64,
    serial: Option<i32>,
}

impl Request<'_> {
    fn cause(&self, before: &[Upcall]) -> (Option<usize>, usize) {
        let served = self.event.upcall.and_then(|target| {
            before.iter().find(|upcall| upcall.target == target && upcall.agent == self.event.process)
        });
        match (self.event.step, served) {
            (Some(step), _) => (Some(step), 0),
            (None, Some(upcall)) => (upcall.step, upcall.depth + 1),
            (None, None) => (None, 0),
        }
    }

    fn is_command(&self) -> bool {
        matches!(self.op, Op::Run { .. })
    }

    fn asked(&self) -> Option<Asked> {
        match self.op {
            Op::Request { kind, description, callout: Some(callout), .. } => {
                Some(Asked { kind: kind.clone(), description: description.clone(), callout: callout.clone() })
            }
            _ => None,
        }
    }

    fn command(&self) -> Option<String> {
        self.is_command().then(|| format!("a command of {}", self.event.process))
    }

    fn general(&self) -> Vec<(String, String)> {
        let Some(worker) = self.worker else { return Vec::new() };
        let number = worker.to_string();
        let own =
            |general: String| (general.replace("{worker}", &number).replace("{round}", &number), general);
        self.templates().map(own).collect()
    }

    fn tries(&self) -> Vec<String> {
        if self.worker.is_some() { Vec::new() } else { self.templates().collect() }
    }

    /// Returns the templates of a worker's or a try's description and callout.
    fn templates(&self) -> impl Iterator<Item = String> {
        let texts = match self.op {
            Op::Request { description, callout, .. } => [Some(description), callout.as_ref()],
            _ => [None, None],
        };
        let numbered = |general: &&String| general.contains("{worker}") || general.contains("{round}");
        texts.into_iter().flatten().filter(numbered).cloned()
    }
}

fn requests<'r>(plan: &'r Plan, events: &'r [Event]) -> Vec<Request<'r>> {
    let pids = pids(events);
    let begun = begun(events);
    let of_event = |event: &'r Event| {
        let (op, begun_us, serial): (&Op, u64, Option<i32>) = match &event.kind {
            EventKind::Done(done) => (&plan.steps.get(event.step?)?.op, done.begun_us, done.outcome.serial()),
            EventKind::Called { op, done } => (op, done.begun_us, done.outcome.serial()),
            // A worker that ended before it reported.
            EventKind::Ended(_) => {
                (&plan.steps.get(event.step?)?.op, *begun.get(&(event.step, event.worker))?, None)
            }
            _ => return None,
        };
        let op = op.core();
        let may_raise =
            matches!(op, Op::Request { callout: Some(_), .. } | Op::Mount { .. } | Op::Run { .. });
        let pids = pids_of(&pids, event);
        may_raise.then_some(Request { op, event, worker: event.worker, pids, begun_us, serial })
    };
    let mut requests: Vec<Request<'_>> = events.iter().filter_map(of_event).collect();
    // If several steps waited for an upcall, the first of them is the one that raised it.
    requests.sort_by_key(|request| (request.event.step.is_none(), request.event.step, request.event.worker));
    requests
}

/// Start times of workers, by step and number.
fn begun(events: &[Event]) -> BTreeMap<(Option<usize>, Option<u32>), u64> {
    let begun = events.iter().filter(|event| matches!(event.kind, EventKind::Begun { .. }));
    begun.map(|event| ((event.step, event.worker), event.at_us)).collect()
}

/// Returns the request that raised an upcall and got no key for it. It is the last request that the
/// sender of the signal had begun by then, or of all processes, if the agent can't see the sender.
/// A command sends requests with a pid of its own.
fn raiser<'r>(
    requests: impl Iterator<Item = &'r Request<'r>>,
    sender: i32,
    level: usize,
    at_us: u64,
) -> Option<&'r Request<'r>> {
    requests
        .filter(|request| request.begun_us <= at_us && request.serial.is_none())
        .filter(|request| sender == 0 || request.is_command() || request.pids.get(level) == Some(&sender))
        .max_by_key(|request| request.begun_us)
}

type Pids<'p> = BTreeMap<(&'p str, Option<usize>, Option<u32>), &'p [i32]>;

/// Returns the pids of processes, and of workers by step and number.
fn pids(events: &[Event]) -> Pids<'_> {
    let mut pids = Pids::new();
    for event in events {
        match &event.kind {
            EventKind::Started(identity) => pids.insert((&event.process, None, None), &identity.pids),
            EventKind::Begun { pids: own } => pids.insert((&event.process, event.step, event.worker), own),
            _ => None,
        };
    }
    pids
}

fn pids_of(pids: &Pids<'_>, event: &Event) -> Vec<i32> {
    let process = event.process.as_str();
    let own = pids.get(&(process, event.step, event.worker));
    own.or_else(|| pids.get(&(process, None, None))).map(|pids| pids.to_vec()).unwrap_or_default()
}

/// Depth of each process in the tree of pid namespaces.
fn pid_levels(events: &[Event]) -> BTreeMap<&str, usize> {
    let mut levels = BTreeMap::new();
    for event in events {
        if let EventKind::Started(identity) = &event.kind {
            levels.insert(event.process.as_str(), identity.pids.len().saturating_sub(1));
        }
    }
    levels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_try_asked_for_is_told_as_what_all_of_them_ask_for() {
        let tries = vec!["k{worker}".to_owned()];
        let (agent, general) = Default::default();
        let upcall =
            Upcall { agent, target: 1, step: None, depth: 0, asked: None, command: None, general, tries };
        let line = r#"agent describes key-1 → user "k17" of 0:0"#;
        assert_eq!(upcall.generalise(line), r#"agent describes key-1 → user "k{worker}" of 0:0"#);
        let other = r#"agent instantiates key-1 with "kx""#;
        assert_eq!(upcall.generalise(other), other);
    }
}
