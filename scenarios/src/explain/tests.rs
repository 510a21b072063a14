use std::path::Path;

use super::*;
use crate::{parse, suite, trace::Trace};

const TEXT: &str = r#"
title = "t"
rules = ["R18"]
sysctl = { "kernel/keys/gc_delay" = "9" }

[process.agent]
serves = "user"
on_upcall = [{ hold = {} }, { negate = {} }]

[process.box]
unshare = ["user", "pid"]
session_keys = ["agent"]
uid = 7

[[step]]
box.request = { description = "k", callout = "c" }
as = "k"
background = "b"

[[step]]
agent.exit = {}

[[step]]
box.read = { key = "k" }
expect = "ENOKEY"
within_ms = 50
"#;

/// Possible trace of a run.
const STORY: &str = r#"agent is a keyagent
      agent registers for "user" → agent
box is a requester, with key agent linked
  1.  box requests user "k" with callout "c", in the background as b → k
      agent receives an upcall for k from box, uid 0, and answers with "c"
      2 times:
        agent reads @a → "c"
  2.  agent exits with 0 → no answer
  3.  box reads k → ENOKEY
agent exits with 0"#;

fn parsed(text: &str) -> Scenario {
    parse::scenarios("f/n", Path::new("f/n.toml"), text).unwrap().remove(0)
}

fn scenario() -> Scenario {
    parsed(TEXT)
}

/// Returns the scenario with these steps in place of its own.
fn with_steps(steps: &str) -> Scenario {
    let head = TEXT.split("[[step]]").next().unwrap();
    parsed(&format!("{head}{steps}"))
}

#[test]
fn who_takes_part_and_what_happens_is_said_in_sentences() {
    let it = Explanation::of(&scenario(), 100).unwrap();
    assert_eq!(it.diagram, None, "it has no snapshot");
    assert_eq!(it.conditions, ["/proc/sys/kernel/keys/gc_delay is 9."]);
    assert_eq!(
        it.processes,
        [
            "agent is a keyagent. At its start it registers for \"user\" (the key is called agent). Its reactions: \
             on upcall 1 it leaves it pending for a later step; on all that follow it rejects with ENOKEY.",
            "box asks for keys, has user and pid namespaces of its own (root there is 100000 outside), is user 7 \
             and has the key of agent in its session keyring."
        ]
    );
    assert_eq!(
        it.steps,
        [
            "box requests user \"k\" with callout \"c\", in the background as b (the key is called k).",
            "agent exits.",
            "box reads k. Expected: ENOKEY, within 50 ms."
        ]
    );
}

fn drawn(scenario: &Scenario, trace: &str, width: usize) -> String {
    let line = |row: &Row| format!("{}  {}", row.lanes, row.text).trim_end().to_owned();
    let rows = diagram::draw(&Sequence::of(scenario, &Trace::parse(scenario.plan(), trace)), width);
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_diagram_has_a_lane_for_each_process_and_one_for_the_kernel() {
    assert_eq!(
        drawn(&scenario(), STORY, 60),
        "agent  box  kernel
  ├─────┼─────►│    registers for \"user\" → agent
  │     ├─────►│    requests user \"k\" with callout \"c\",
  │     │      │      in the background as b
  │◄────┼──────┤    upcall for k from box, uid 0
  ├─────┼─────►│    answers with \"c\"
  │     │      │    2 times:
  ├─────┼─────►│    reads @a → \"c\"
  │     │◄─────┤    → k
  ●     │      │    exits with 0 → no answer
  │     ├─────►│    reads k → ENOKEY
  ●     │      │    exits with 0"
    );
}

#[test]
fn a_background_reply_is_drawn_after_its_cause() {
    let steps = r#"
[[step]]
box.request = { description = "k", callout = "c" }
background = "first"
expect = "EKEYREVOKED"

[[step]]
box.request = { description = "l", callout = "c" }
background = "second"
expect = "EKEYREVOKED"

[[step]]
agent.exec = {}

[[step]]
box.await = { job = "second" }
"#;
    let trace = "agent is a keyagent
  1.  box requests k → EKEYREVOKED
      agent receives an upcall for key-1 from box, uid 0
  2.  box requests l → EKEYREVOKED
  3.  agent execs
  4.  box waits for the end of second
agent exits with 0";
    assert_eq!(
        drawn(&with_steps(steps), trace, 60),
        "agent  box  kernel
  │     ├─────►│    requests k
  │◄────┼──────┤    upcall for key-1 from box, uid 0
  │     ├─────►│    requests l
  ●     │      │    execs
  │     ●      │    waits for the end of second
  │     │◄─────┤    → EKEYREVOKED (step 2)
  │     │◄─────┤    → EKEYREVOKED (step 1)
  ●     │      │    exits with 0"
    );
}

#[test]
fn names_are_not_broken_at_hyphens() {
    let trace = "  1.  box waits for the end of left-asks";
    assert!(drawn(&scenario(), trace, 52).contains("\n  │     │      │      left-asks"));
}

#[test]
fn no_diagram_of_the_suite_is_wider_than_it_may_be() {
    let suite = suite::load(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/suite"))).unwrap();
    let mut rows = 0;
    for scenario in &suite {
        for row in Explanation::of(scenario, 100).unwrap().diagram.unwrap_or_default() {
            let width = row.lanes.chars().count() + row.text.chars().count() + 7;
            assert!(width <= 100, "{}: {row:?}", scenario.name);
            rows += 1;
        }
    }
    assert!(rows > suite.len(), "{rows} rows of {} diagrams", suite.len());
}

#[test]
fn steps_that_belong_together_are_said_to() {
    let steps = r#"
[[step]]
order = "raced"
repeat = 3
steps = [{ box.revoke = { key = "agent" } }, { agent.describe = { key = "agent" } }]

[[step]]
repeat = 2
box.request = { description = "k{round}" }
expect = "ENOKEY"
"#;
    assert_eq!(
        text::steps(&with_steps(steps)),
        [
            "(Steps 1 to 2 are begun at the same moment, 3 times.) box revokes agent.",
            "agent describes agent.",
            "(Step 3 is taken 2 times.) box requests user \"k{round}\". Expected: ENOKEY.",
        ]
    );
}
