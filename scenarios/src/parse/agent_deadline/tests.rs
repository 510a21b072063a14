use insta::assert_snapshot;

use crate::parse::tests::complaint;

const STAGE: &str = r#"title = "t"
rules = []
[process.agent]
serves = "user"
with = { params = { timeout_ms = 1000 } }
on_upcall = { hold = {} }
[process.other]
serves = "user"
on_upcall = { hold = {} }
[process.box]
session_keys = ["agent"]
[process.patient]
session_keys = ["other"]
"#;

#[test]
fn a_request_that_times_out_is_bound_to_its_agents_deadline_from_both_sides() {
    let steps = r#"[[step]]
box.request = { description = "early", callout = "c" }
expect = "ETIMEDOUT"
at_least_ms = 290
within_ms = 5000
[[step]]
box.request = { description = "late", callout = "c" }
background = "late"
expect = "ETIMEDOUT"
at_least_ms = 990
within_ms = 10000
[[step]]
patient.request = { description = "neither", callout = "c" }
expect = "ETIMEDOUT"
"#;
    assert_snapshot!(complaint(&(STAGE.to_owned() + steps)), @r##"
15:5 «request» this may end with ETIMEDOUT too early: the deadline of `agent` is 1000 ms → say at_least_ms = 990: the deadline, less a tick of the kernel's clock
20:5 «request» this may end with ETIMEDOUT too late: the deadline of `agent` is 1000 ms → say within_ms, with more than 1000 and less than 10000, which agents have by default
26:9 «request» this may end with ETIMEDOUT too early: the deadline of `other` is 10000 ms → say at_least_ms = 9990: the deadline, less a tick of the kernel's clock
26:9 «request» this may end with ETIMEDOUT too late: the deadline of `other` is 10000 ms → say within_ms, with more than 10000
"##);
}

#[test]
fn the_systems_deadline_counts_for_agents_without_one_and_who_joins_a_request_may_wait_less() {
    let steps = r#"[[step]]
patient.request = { description = "k", callout = "c" }
background = "first"
expect = "ETIMEDOUT"
at_least_ms = 390
within_ms = 5000
[[step]]
patient.request = { description = "k", callout = "c" }
expect = "ETIMEDOUT"
[[step]]
box.request = { description = "k2", callout = "c" }
expect = "ETIMEDOUT"
at_least_ms = 1000
within_ms = 1001
"#;
    let head =
        STAGE.replacen("rules", "sysctl = { \"kernel/keys/keyagent_timeout_ms\" = \"400\" }\nrules", 1);
    assert_eq!(complaint(&(head + steps)), "no problem");
}

#[test]
fn an_agent_that_rejects_with_etimedout_chooses_when() {
    let text = STAGE.replacen("{ hold = {} }", "{ reject = \"ETIMEDOUT\" }", 1)
        + "[[step]]\nbox.request = { description = \"k\", callout = \"c\" }\nexpect = \"ETIMEDOUT\"\n";
    assert_eq!(complaint(&text), "no problem");
}
