use insta::assert_snapshot;

use crate::{
    parse::tests::{complaint, read},
    plan::{Block, Order},
};

/// Two processes, without a step.
const STAGE: &str = r#"title = "t"
rules = []
[process.a]
[process.b]
"#;

#[test]
fn steps_that_belong_together_are_told_apart_from_those_that_can_not() {
    let text = STAGE.to_owned()
        + r##"[[step]]
repeat = 0
a.describe = { key = "@s" }
[[step]]
order = "raced"
a.describe = { key = "@s" }
[[step]]
order = "raced"
steps = [
    { a.describe = { key = "@s" } },
    { a.describe = { key = "@p" } },
    { b.wait = { until = "ended" } },
    { b.describe = { key = "@s" }, background = "x" },
]
[[step]]
order = [1, 1]
steps = [{ a.describe = { key = "@s" } }, { b.describe = { key = "@s" } }]
colour = 1
[[step]]
order = "racd"
steps = [{ a.describe = { key = "@s" } }]
[[step]]
repeat = 2
steps = []
[[step]]
repeat = 2
b.exit = {}
"##;
    assert_snapshot!(complaint(&text), @r##"
  × nothing happens 0 times
   ╭─[name.toml:6:10]
 5 │ [[step]]
 6 │ repeat = 0
   ·          ─
 7 │ a.describe = { key = "@s" }
   ╰────
  help: leave it out, or say at least 1
  × there is nothing to put in order
    ╭─[name.toml:9:9]
  8 │ [[step]]
  9 │ order = "raced"
    ·         ───────
 10 │ a.describe = { key = "@s" }
    ╰────
  help: say steps = [{ PROCESS.OPERATION = { … } }, …]
  × `a` can't do two things at the same moment
    ╭─[name.toml:15:9]
 14 │     { a.describe = { key = "@s" } },
 15 │     { a.describe = { key = "@p" } },
    ·         ────────
 16 │     { b.wait = { until = "ended" } },
    ╰────
  help: let another process do it
  × only what processes do can be raced
    ╭─[name.toml:16:9]
 15 │     { a.describe = { key = "@p" } },
 16 │     { b.wait = { until = "ended" } },
    ·         ────
 17 │     { b.describe = { key = "@s" }, background = "x" },
    ╰────
  help: put it before or after
  × `b` can't do two things at the same moment
    ╭─[name.toml:17:9]
 16 │     { b.wait = { until = "ended" } },
 17 │     { b.describe = { key = "@s" }, background = "x" },
    ·         ────────
 18 │ ]
    ╰────
  help: let another process do it
  × a background step can't be raced
    ╭─[name.toml:17:9]
 16 │     { b.wait = { until = "ended" } },
 17 │     { b.describe = { key = "@s" }, background = "x" },
    ·         ────────
 18 │ ]
    ╰────
  help: begin it before, or leave `background` out
  × every step has to come once
    ╭─[name.toml:20:9]
 19 │ [[step]]
 20 │ order = [1, 1]
    ·         ──────
 21 │ steps = [{ a.describe = { key = "@s" } }, { b.describe = { key = "@s" } }]
    ╰────
  help: say the numbers from 1 to 2 in the order that you want
  × unknown field `colour`
    ╭─[name.toml:22:1]
 21 │ steps = [{ a.describe = { key = "@s" } }, { b.describe = { key = "@s" } }]
 22 │ colour = 1
    · ──────
 23 │ [[step]]
    ╰────
  help: known are: steps, order, repeat
  × unknown name `racd`
    ╭─[name.toml:24:9]
 23 │ [[step]]
 24 │ order = "racd"
    ·         ──────
 25 │ steps = [{ a.describe = { key = "@s" } }]
    ╰────
  help: did you mean `raced`?
  × there are no steps
    ╭─[name.toml:28:9]
 27 │ repeat = 2
 28 │ steps = []
    ·         ──
 29 │ [[step]]
    ╰────
  help: say steps = [{ PROCESS.OPERATION = { … } }, …]
  × `b` has ended: this would wait for ever
    ╭─[name.toml:31:3]
 30 │ repeat = 2
 31 │ b.exit = {}
    ·   ────
    ╰────
  help: let another process do it
11 problems
"##);
}

#[test]
fn a_block_is_its_steps_in_the_chosen_order() {
    let text = STAGE.to_owned()
        + r##"[[step]]
a.describe = { key = "@s" }
[[step]]
repeat = 3
order = [2, 1]
steps = [{ a.describe = { key = "@s" } }, { b.describe = { key = "@s" } }]
"##;
    let scenario = read(&text).unwrap();
    let who: Vec<&str> = scenario.plan().steps.iter().map(|step| step.process.as_str()).collect();
    assert_eq!(who, ["a", "b", "a"]);
    let block = Block { first: 1, count: 2, order: Order::Given, repeat: 3 };
    assert_eq!(scenario.plan().blocks, [block]);
}
