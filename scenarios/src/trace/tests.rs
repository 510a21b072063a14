use std::path::Path;

use insta::assert_snapshot;
use proptest::prelude::*;

use super::Trace;
use crate::{
    plan::{AuthorityOp, KeyOp, KeyRef, KeyringOp, Op},
    scenario::Scenario,
    verdict::expectations::mismatches,
    wire::{Done, Event, EventKind, Identity, Outcome, UpcallSignal, Value},
};

/// Two containers ask one agent: the first with three workers that race for one key, the second in the foreground.
const SCENARIO: &str = r#"
title = "t"
rules = []
[process.agent]
serves = "user"
[process.left]
holds = ["agent"]
unshare = ["user", "pid"]
[process.right]
holds = ["agent"]
[[step]]
left.request = { description = "k{worker}", callout = "c" }
background = "race"
count = 3
[[step]]
right.request = { description = "other", callout = "d" }
as = "other"
[[step]]
left.await = { job = "race" }
"#;

fn scenario() -> Scenario {
    crate::parse::scenarios("f/n", Path::new("n.toml"), SCENARIO).unwrap().remove(0)
}

/// An event and the events, by their place in the list, that come before it in every run.
type Legal = (Option<Event>, Vec<usize>);

#[derive(Default)]
struct Run(Vec<Legal>);

impl Run {
    fn add(&mut self, event: Option<Event>, after: &[usize]) -> usize {
        self.0.push((event, after.to_vec()));
        self.0.len() - 1
    }

    fn upcall(&mut self, target: i32, pid: i32, description: &str, asked: usize) -> usize {
        let event = |kind| {
            Some(Event {
                process: "agent".into(),
                step: None,
                worker: None,
                upcall: Some(target),
                at_us: 0,
                kind,
            })
        };
        let siginfo =
            UpcallSignal { signal: 35, code: -8, pid, uid: 7, value: target, nonzero_padding: Vec::new() };
        let mut last = self.add(event(EventKind::UpcallSignal(siginfo)), &[asked]);
        let key = KeyRef::Serial(target);
        let read = Op::Key(KeyOp::Read { key: KeyRef::Special(crate::plan::Special::RequestKeyAuth) });
        let calls = [
            (Op::Authority(AuthorityOp::Assume { key: Some(key.clone()) }), Value::Serial(target + 1001)),
            (read, Value::Text(format!("callout for {description}"))),
            (
                Op::Authority(AuthorityOp::Instantiate {
                    key,
                    payload: crate::plan::Payload::Text("p".into()),
                    into: None,
                }),
                Value::None,
            ),
        ];
        for (op, value) in calls {
            let done = Done { outcome: Outcome::Ok(value), begun_us: 0, elapsed_us: 1 };
            last = self.add(event(EventKind::Called { op, done }), &[last]);
        }
        last
    }
}

fn event(process: &str, step: Option<usize>, worker: Option<u32>, kind: EventKind) -> Option<Event> {
    Some(Event { process: process.into(), step, worker, upcall: None, at_us: 0, kind })
}

fn done(process: &str, step: usize, worker: Option<u32>, outcome: Outcome) -> Option<Event> {
    event(process, Some(step), worker, EventKind::Done(Done { outcome, begun_us: 0, elapsed_us: 0 }))
}

fn started(process: &str, pids: &[i32]) -> Option<Event> {
    let keyrings = [("@s".to_owned(), 500 + pids[0])].into();
    event(process, None, None, EventKind::Started(Identity { pids: pids.to_vec(), uid: 0, gid: 0, keyrings }))
}

/// A run with all its freedom. A request's own beginning is an entry without an event.
fn run() -> Run {
    let mut run = Run::default();
    let agent = run.add(started("agent", &[70]), &[]);
    let register = EventKind::Called {
        op: scenario().plan().processes[0].setup[0].op.clone(),
        done: Done { outcome: Outcome::Ok(Value::Serial(900)), begun_us: 0, elapsed_us: 1 },
    };
    let registered = run.add(event("agent", None, None, register), &[agent]);
    let left = run.add(started("left", &[71, 1]), &[registered]);
    let right = run.add(started("right", &[72]), &[left]);
    let mut results = Vec::new();
    let mut begun = vec![right];
    for worker in 0..3 {
        let pids = vec![80 + worker, 5 + worker];
        begun.push(run.add(event("left", Some(0), Some(worker as u32), EventKind::Begun { pids }), &[right]));
        let asked = *begun.last().unwrap();
        let answered = run.upcall(100 + worker, 80 + worker, &format!("k{worker}"), asked);
        // The last worker finds its key negated.
        let outcome = match worker {
            2 => Outcome::Error("ENOKEY".into()),
            _ => Outcome::Ok(Value::Serial(100 + worker)),
        };
        results.push(run.add(done("left", 0, Some(worker as u32), outcome), &[answered]));
    }
    let asks = run.add(None, &begun);
    let answered = run.upcall(200, 72, "other", asks);
    let got = run.add(done("right", 1, None, Outcome::Ok(Value::Serial(200))), &[answered]);
    let awaits: Vec<usize> = results.into_iter().chain([got]).collect();
    run.add(done("left", 2, None, Outcome::Ok(Value::None)), &awaits);
    run
}

/// The events in the order that the choices make of what may come next.
fn interleaved(run: &Run, choices: &[usize]) -> Vec<Event> {
    let mut order: Vec<usize> = Vec::new();
    let mut choices = choices.iter().cycle();
    while order.len() < run.0.len() {
        let ready: Vec<usize> = (0..run.0.len())
            .filter(|place| {
                !order.contains(place) && run.0[*place].1.iter().all(|before| order.contains(before))
            })
            .collect();
        order.push(ready[choices.next().unwrap() % ready.len()]);
    }
    let time = |place: usize| order.iter().position(|it| *it == place).unwrap() as u64 * 10;
    let mut events = Vec::new();
    for place in &order {
        let Some(mut event) = run.0[*place].0.clone() else { continue };
        event.at_us = time(*place);
        // A request began when what it was told by came.
        if let (EventKind::Done(done), Some(step)) = (&mut event.kind, event.step) {
            let began = run.0.iter().position(|(other, _)| match other {
                Some(other) => matches!(other.kind, EventKind::Begun { .. }) && other.worker == event.worker,
                None => step == 1,
            });
            done.begun_us = time(began.unwrap_or(*place));
        }
        events.push(event);
    }
    events
}

#[test]
fn a_trace_reads_like_a_story() {
    let events = interleaved(&run(), &[0]);
    assert_snapshot!(Trace::of_scenario(&scenario(), &events), @r#"
agent is a keyagent
      agent registers for "user" with SIGRTMIN+1, into @s → agent
left is a requester, holding agent, with user, pid namespaces of its own
right is a requester, holding agent
  1.  left requests user "k{worker}" with callout "c", 3 times at once, in the background as race
      3 times:
        agent hears SIGRTMIN+1 for key-1 from left, uid 7
        agent assumes authority over key-1 → authkey of key-1
        agent reads @a → "callout for k{worker}"
        agent instantiates key-1 with "p"
      1 × → ENOKEY
      2 × → key-1, 2 different keys
  2.  right requests user "other" with callout "d" → other
      agent hears SIGRTMIN+1 for other from right, uid 7
      agent assumes authority over other → authkey of other
      agent reads @a → "callout for other"
      agent instantiates other with "p"
  3.  left waits for the end of race
"#);
}

/// A helper may be quicker to report than the agent whose reaction it goes on from.
#[test]
fn an_authkey_is_called_after_its_target_whoever_reports_it_first() {
    let scenario = r#"
title = "t"
rules = []
[process.agent]
serves = "user"
reactions = [[{ link = { key = "@authkey", into = "@s" } }]]
[process.helper]
[process.box]
holds = ["agent"]
[[step]]
box.request = { description = "k", callout = "c" }
as = "k"
background = "asked"
[[step]]
helper.assume = { key = "agent.target" }
"#;
    let scenario = crate::parse::scenarios("f/n", Path::new("n.toml"), scenario).unwrap().remove(0);
    let session = KeyRef::Special(crate::plan::Special::Session);
    let link = Op::Keyring(KeyringOp::Link { key: KeyRef::Serial(300), into: session });
    let linked = Done { outcome: Outcome::Ok(Value::None), begun_us: 0, elapsed_us: 0 };
    let mut reaction = event("agent", None, None, EventKind::Called { op: link, done: linked });
    reaction.iter_mut().for_each(|event| event.upcall = Some(100));
    let siginfo =
        UpcallSignal { signal: 35, code: -8, pid: 80, uid: 7, value: 100, nonzero_padding: Vec::new() };
    let mut rung = event("agent", None, None, EventKind::UpcallSignal(siginfo));
    rung.iter_mut().for_each(|event| event.upcall = Some(100));
    let begun = event("box", Some(0), Some(0), EventKind::Begun { pids: vec![80] });
    let assumed = done("helper", 1, None, Outcome::Ok(Value::Serial(300)));
    let answered = done("box", 0, Some(0), Outcome::Ok(Value::Serial(100)));
    let told = |events: [Option<Event>; 5]| {
        Trace::of_scenario(&scenario, &events.into_iter().flatten().collect::<Vec<_>>()).to_string()
    };
    let usual = told([begun.clone(), rung.clone(), reaction.clone(), assumed.clone(), answered.clone()]);
    assert!(usual.contains("helper assumes authority over agent.target → authkey of k"), "{usual}");
    assert_eq!(told([begun, rung, assumed, reaction, answered]), usual);
}

/// Its pid is nobody's, so what a stranger asks for while one runs is its doing.
#[test]
fn what_a_command_asks_for_is_told_under_its_step() {
    let scenario = r#"
title = "t"
rules = []
[process.agent]
serves = "user"
[process.box]
holds = ["agent"]
[[step]]
box.request = { description = "k", callout = "c" }
expect = "ENOKEY"
[[step]]
box.run = { command = "keyctl request2 user k c" }
"#;
    let scenario = crate::parse::scenarios("f/n", Path::new("n.toml"), scenario).unwrap().remove(0);
    assert_eq!(scenario.requirements(), ["shell"]);
    let rung = |pid, value| {
        let siginfo = UpcallSignal { signal: 35, code: -8, pid, uid: 0, value, nonzero_padding: Vec::new() };
        let mut rung = event("agent", None, None, EventKind::UpcallSignal(siginfo));
        rung.iter_mut().for_each(|event| event.upcall = Some(value));
        rung
    };
    let ran = Outcome::Ok(Value::Command { status: 3, output: "no".into() });
    let events = [
        started("box", &[80]),
        rung(80, 100),
        done("box", 0, None, Outcome::Error("ENOKEY".into())),
        rung(81, 101),
        done("box", 1, None, ran),
    ];
    let events: Vec<Event> = events.into_iter().flatten().collect();
    assert_snapshot!(Trace::of_scenario(&scenario, &events), @r#"
agent is a keyagent
box is a requester, holding agent
  1.  box requests user "k" with callout "c" → ENOKEY
      agent hears SIGRTMIN+1 for key-1 from box, uid 0
  2.  box runs "keyctl request2 user k c" → "no", exit code 3
      agent hears SIGRTMIN+1 for key-2 from a command of box, uid 0
"#);
    assert_eq!(
        mismatches(&scenario, &events).iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["step 2, box: expected success, got exit code 3 and \"no\""]
    );
}

#[test]
fn no_trace_of_nothing() {
    let text = Trace::of_scenario(&scenario(), &[]).to_string();
    assert!(text.contains("→ no answer"), "{text}");
}

proptest! {
    #[test]
    fn no_race_changes_the_trace(choices in proptest::collection::vec(0usize..100, 1..60)) {
        let run = run();
        let scenario = scenario();
        let usual = Trace::of_scenario(&scenario, &interleaved(&run, &[0])).to_string();
        prop_assert_eq!(Trace::of_scenario(&scenario, &interleaved(&run, &choices)).to_string(), usual);
    }
}

/// Time and memory have to stay in proportion: the suite has a scenario with this many requests.
#[test]
fn ten_thousand_upcalls_are_told_in_no_time() {
    let mut run = Vec::new();
    let mut push = |event: Option<Event>| run.extend(event);
    push(started("agent", &[70]));
    push(started("left", &[71, 1]));
    for worker in 0..10_000 {
        push(event(
            "left",
            Some(0),
            Some(worker as u32),
            EventKind::Begun { pids: vec![100 + worker, worker] },
        ));
        let mut upcall = Run::default();
        upcall.upcall(50_000 + worker * 2, 100 + worker, &format!("k{worker}"), 0);
        upcall.0.into_iter().for_each(|(event, _)| push(event));
        push(done("left", 0, Some(worker as u32), Outcome::Ok(Value::Serial(50_000 + worker * 2))));
    }
    let begun = std::time::Instant::now();
    let trace = Trace::of_scenario(&scenario(), &run).to_string();
    assert!(trace.contains("10000 times:"), "{trace}");
    assert!(begun.elapsed().as_secs() < 10, "{:?}", begun.elapsed());
}
