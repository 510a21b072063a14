use std::path::Path;

use insta::assert_snapshot;
use proptest::prelude::*;

use super::Trace;
use crate::{
    plan::{KeyRef, Op, Payload, Special},
    scenario::Scenario,
    verdict::expectations::mismatches,
    wire::{Described, Done, Ending, Event, EventKind, Identity, Outcome, UpcallSignal, Value},
};

/// Two containers send requests to one agent: the first with three workers that race for one key,
/// the second in the foreground.
const SCENARIO: &str = r#"
title = "t"
rules = []
[process.agent]
serves = "user"
[process.left]
session_keys = ["agent"]
unshare = ["user", "pid"]
[process.right]
session_keys = ["agent"]
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

fn parsed(text: &str) -> Scenario {
    crate::parse::scenarios("f/n", Path::new("n.toml"), text).unwrap().remove(0)
}

fn scenario() -> Scenario {
    parsed(SCENARIO)
}

fn trace(scenario: &Scenario, events: impl IntoIterator<Item = Option<Event>>) -> String {
    Trace::of_scenario(scenario, &events.into_iter().flatten().collect::<Vec<_>>()).to_string()
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
        let mut last = self.add(upcall(target, pid, 7), &[asked]);
        let key = KeyRef::Serial(target);
        let read = Op::Read { key: KeyRef::Special(Special::RequestKeyAuth) };
        let calls = [
            (Op::Assume { key: Some(key.clone()) }, Value::Serial(target + 1001)),
            (read, Value::Text(format!("callout for {description}"))),
            (Op::Instantiate { key, payload: Payload::Text("p".into()), into: None }, Value::None),
        ];
        for (op, value) in calls {
            last = self.add(called(target, op, Outcome::Ok(value)), &[last]);
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

/// Returns an event of the agent while it serves the upcall for a target.
fn serving(target: i32, kind: EventKind) -> Option<Event> {
    event("agent", None, None, kind).map(|event| Event { upcall: Some(target), ..event })
}

/// Returns the arrival of an upcall from a process with this pid and user id.
fn upcall(target: i32, pid: i32, uid: u32) -> Option<Event> {
    let siginfo = UpcallSignal { signal: 35, code: -8, pid, uid, value: target, nonzero_padding: Vec::new() };
    serving(target, EventKind::UpcallSignal(siginfo))
}

fn called(target: i32, op: Op, outcome: Outcome) -> Option<Event> {
    serving(target, EventKind::Called { op, done: Done { outcome, begun_us: 0, elapsed_us: 1 } })
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
        // A request began when its trigger came.
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
    assert_snapshot!(Trace::of_scenario(&scenario(), &events), @r##"
agent is a keyagent
      agent registers for "user" → agent
left is a requester, with key agent linked, with user, pid namespaces of its own
right is a requester, with key agent linked
  1.  left requests user "k{worker}" with callout "c", 3 times at once, in the background as race
      3 times:
        agent receives an upcall for key-1 from left, uid 7
        agent assumes authority over key-1 → authkey of key-1
        agent reads @a → "callout for k{worker}"
        agent instantiates key-1 with "p"
      1 × → ENOKEY
      2 × → key-1, 2 different keys
  2.  right requests user "other" with callout "d" → other
      agent receives an upcall for other from right, uid 7
      agent assumes authority over other → authkey of other
      agent reads @a → "callout for other"
      agent instantiates other with "p"
  3.  left waits for the end of race
"##);
}

/// A helper may report before the agent whose reaction it continues.
#[test]
fn an_authkey_is_called_after_its_target_whoever_reports_it_first() {
    let scenario = r#"
title = "t"
rules = []
[process.agent]
serves = "user"
on_upcall = { ops = [{ link = { key = "@authkey", into = "@s" } }] }
[process.helper]
[process.box]
session_keys = ["agent"]
[[step]]
box.request = { description = "k", callout = "c" }
as = "k"
background = "asked"
[[step]]
helper.assume = { key = "agent.target" }
"#;
    let scenario = parsed(scenario);
    let link = Op::Link { key: KeyRef::Serial(300), into: KeyRef::Special(Special::Session) };
    let reaction = called(100, link, Outcome::Ok(Value::None));
    let rung = upcall(100, 80, 7);
    let begun = event("box", Some(0), Some(0), EventKind::Begun { pids: vec![80] });
    let assumed = done("helper", 1, None, Outcome::Ok(Value::Serial(300)));
    let answered = done("box", 0, Some(0), Outcome::Ok(Value::Serial(100)));
    let agent_first = [begun.clone(), rung.clone(), reaction.clone(), assumed.clone(), answered.clone()];
    let usual = trace(&scenario, agent_first);
    assert!(usual.contains("helper assumes authority over k → authkey of k"), "{usual}");
    assert_eq!(trace(&scenario, [begun, rung, assumed, reaction, answered]), usual);
}

/// A command has an unknown pid, so a request of an unknown process during a command is attributed
/// to it.
#[test]
fn what_a_command_asks_for_is_told_under_its_step() {
    let scenario = r#"
title = "t"
rules = []
[process.agent]
serves = "user"
[process.box]
session_keys = ["agent"]
[[step]]
box.request = { description = "k", callout = "c" }
expect = "ENOKEY"
[[step]]
box.run = { command = "keyctl request2 user k c" }
"#;
    let scenario = parsed(scenario);
    assert_eq!(scenario.requirements(), ["shell"]);
    let ran = Outcome::Ok(Value::Command { status: 3, output: "no".into() });
    let events = [
        started("box", &[80]),
        upcall(100, 80, 0),
        done("box", 0, None, Outcome::Error("ENOKEY".into())),
        upcall(101, 81, 0),
        done("box", 1, None, ran),
    ];
    let events: Vec<Event> = events.into_iter().flatten().collect();
    assert_snapshot!(Trace::of_scenario(&scenario, &events), @r##"
agent is a keyagent
box is a requester, with key agent linked
  1.  box requests user "k" with callout "c" → ENOKEY
      agent receives an upcall for key-1 from box, uid 0
  2.  box runs "keyctl request2 user k c" → "no", exit code 3
      agent receives an upcall for key-2 from a command of box, uid 0
"##);
    assert_eq!(
        mismatches(&scenario, &events).iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["step 2 (n.toml:12:5), box: expected success, got exit code 3 and \"no\""]
    );
}

/// Returns the calls of an agent that answers `k`, whose serial is 100, with the kernel's result of
/// each.
fn answering() -> Vec<(Op, Value)> {
    let key = || KeyRef::Serial(100);
    let described =
        Described { kind: "user".into(), uid: 7, gid: 7, perm: 0x3f01_0000, description: "k".into() };
    let payload = Payload::Text("p".into());
    let callout = KeyRef::Special(Special::RequestKeyAuth);
    vec![
        (Op::Assume { key: Some(key()) }, Value::Serial(300)),
        (Op::Describe { key: key() }, Value::Described(described)),
        (Op::Read { key: callout }, Value::Text("c".into())),
        (Op::Instantiate { key: key(), payload, into: None }, Value::None),
        (Op::Assume { key: None }, Value::None),
    ]
}

/// Returns the trace of a request whose agent makes these calls, after the step.
fn told_of(calls: Vec<(Op, Outcome)>) -> Vec<String> {
    let scenario = r#"
title = "t"
rules = []
[process.agent]
serves = "user"
[process.box]
session_keys = ["agent"]
[[step]]
box.request = { description = "k", callout = "c" }
as = "k"
"#;
    let mut events = vec![started("box", &[80]), upcall(100, 80, 7)];
    events.extend(calls.into_iter().map(|(op, outcome)| called(100, op, outcome)));
    events.push(done("box", 0, None, Outcome::Ok(Value::Serial(100))));
    let trace = trace(&parsed(scenario), events);
    let after_step = trace.split_once("→ k\n").unwrap().1;
    after_step.lines().map(|line| line.trim_start().to_owned()).collect()
}

fn succeeding(calls: Vec<(Op, Value)>) -> Vec<(Op, Outcome)> {
    calls.into_iter().map(|(op, value)| (op, Outcome::Ok(value))).collect()
}

const UPCALL: &str = "agent receives an upcall for k from box, uid 7";

#[test]
fn an_ordinary_answer_is_told_in_one_line() {
    assert_eq!(told_of(succeeding(answering())), [format!("{UPCALL}, and answers with \"p\"")]);
    let reject = |seconds| {
        let reject = Op::Reject { key: KeyRef::Serial(100), seconds, error: "EIO".into(), into: None };
        let mut calls = answering();
        calls.splice(1..4, [(reject, Value::None)]);
        told_of(succeeding(calls))
    };
    assert_eq!(reject(60), [format!("{UPCALL}, and rejects it with EIO")]);
    assert_eq!(reject(2), [format!("{UPCALL}, and rejects it with EIO for 2 s")]);
}

#[test]
fn an_answer_with_anything_out_of_the_ordinary_is_told_call_by_call() {
    let described = |change: fn(&mut Described)| {
        move |calls: &mut Vec<(Op, Outcome)>| match &mut calls[1].1 {
            Outcome::Ok(Value::Described(described)) => change(described),
            _ => unreachable!(),
        }
    };
    let failing =
        |call: usize| move |calls: &mut Vec<(Op, Outcome)>| calls[call].1 = Outcome::Error("EIO".into());
    type Change = Box<dyn Fn(&mut Vec<(Op, Outcome)>)>;
    let mut changes: Vec<(Change, &str)> = vec![
        (Box::new(described(|it| it.uid = 8)), "describes k → user \"k\" of 8:7, possessor all, user view"),
        (Box::new(described(|it| it.gid = 8)), "describes k → user \"k\" of 7:8, possessor all, user view"),
        (Box::new(described(|it| it.perm = 0)), "describes k → user \"k\" of 7:7, no permissions"),
        (Box::new(described(|it| it.kind = "logon".into())), "describes k → logon \"k\" of 7:7"),
        (Box::new(described(|it| it.description = "x".into())), "describes k → user \"x\" of 7:7"),
        (Box::new(|calls| calls[2].1 = Outcome::Ok(Value::Text("x".into()))), "reads @a → \"x\""),
        (Box::new(|calls| calls[0].1 = Outcome::Ok(Value::Serial(100))), "assumes authority over k → k"),
        (Box::new(|calls| calls[0].1 = Outcome::Ok(Value::Serial(0))), "assumes authority over k → 0"),
        (Box::new(|calls| calls[4].1 = Outcome::Ok(Value::Serial(0))), "gives authority up → 0"),
    ];
    changes.extend((0..5).map(|call| (Box::new(failing(call)) as Change, "→ EIO")));
    for (change, told) in changes {
        let mut calls = succeeding(answering());
        change(&mut calls);
        let lines = told_of(calls);
        assert_eq!(lines.len(), 6, "{lines:?}");
        assert_eq!(lines[0], UPCALL);
        assert!(lines.iter().any(|line| line.contains(told)), "{told}: {lines:?}");
    }
}

#[test]
fn a_key_has_one_name_however_steps_refer_to_it() {
    let scenario = r#"
title = "t"
rules = []
[process.agent]
serves = "user"
on_upcall = { hold = {} }
[process.box]
session_keys = ["agent"]
[[step]]
box.request = { description = "k", callout = "c" }
background = "asked"
[[step]]
agent.assume = { key = "@target" }
[[step]]
agent.unlink = { key = "@authkey", from = "@p" }
[[step]]
agent.instantiate = { key = "agent.target", payload = "p" }
[[step]]
box.request = { description = "k" }
as = "found"
[[step]]
box.read = { key = "found" }
"#;
    let of_upcall = |event: Option<Event>| event.map(|event| Event { upcall: Some(100), ..event });
    let events = [
        event("box", Some(0), Some(0), EventKind::Begun { pids: vec![80] }),
        upcall(100, 80, 7),
        of_upcall(done("agent", 1, None, Outcome::Ok(Value::Serial(300)))),
        of_upcall(done("agent", 2, None, Outcome::Ok(Value::None))),
        done("agent", 3, None, Outcome::Ok(Value::None)),
        done("box", 0, Some(0), Outcome::Ok(Value::Serial(100))),
        done("box", 4, None, Outcome::Ok(Value::Serial(100))),
        done("box", 5, None, Outcome::Ok(Value::Text("p".into()))),
    ];
    assert_snapshot!(trace(&parsed(scenario), events), @r##"
agent is a keyagent
box is a requester, with key agent linked
  1.  box requests user "k" with callout "c", in the background as asked → found
      agent receives an upcall for found from box, uid 7
  2.  agent assumes authority over found → authkey of found
  3.  agent unlinks authkey of found from @p
  4.  agent instantiates found with "p"
  5.  box requests user "k" → found
  6.  box reads found → "p"
"##);
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
        let pids = vec![100 + worker, worker];
        push(event("left", Some(0), Some(worker as u32), EventKind::Begun { pids }));
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

#[test]
fn end_of_a_program_is_traced_if_a_step_has_waited_for_it() {
    let text = |until: &str| {
        format!(
            "title = \"t\"\nrules = []\nprocess.p = {{ program = \"keyctl\" }}\n[[step]]\np.wait = {{ until = {until} }}\n"
        )
    };
    let ended = event("p", None, None, EventKind::Ended(Ending::Exited(3)));
    let traced = |until: &str, outcome: Outcome| {
        trace(&parsed(&text(until)), [ended.clone(), done("p", 0, None, outcome)])
    };
    assert!(traced("\"ended\"", Outcome::Ok(Value::ExitCode(3))).ends_with("\np exits with 3"));
    assert!(!traced("\"ended\"", Outcome::TimedOut).contains("exits with"));
    assert!(!traced("{ prints = \"x\" }", Outcome::Ok(Value::None)).contains("exits with"));
}
