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
6:10 «0» nothing happens 0 times → leave it out, or say at least 1
9:9 «"raced"» there is nothing to put in order → say steps = [{ PROCESS.OPERATION = { … } }, …]
15:9 «describe» `a` can't do two things at the same moment → let another process do it
16:9 «wait» only what processes do can be raced → put it before or after
17:9 «describe» `b` can't do two things at the same moment → let another process do it
17:9 «describe» a background step can't be raced → begin it before, or leave `background` out
20:9 «[1, 1]» every step has to come once → say the numbers from 1 to 2 in the order that you want
22:1 «colour» unknown field `colour` → known are: steps, order, repeat
24:9 «"racd"» unknown name `racd` → did you mean `raced`?
28:9 «[]» there are no steps → say steps = [{ PROCESS.OPERATION = { … } }, …]
31:3 «exit» `b` has ended: this would wait for ever → let another process do it
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
    let scenario = read(&text);
    let who: Vec<&str> = scenario.plan().steps.iter().map(|step| step.process.as_str()).collect();
    assert_eq!(who, ["a", "b", "a"]);
    let block = Block { first: 1, count: 2, order: Order::Given, repeat: 3 };
    assert_eq!(scenario.plan().blocks, [block]);
}
