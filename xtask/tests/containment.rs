//! Containment of failures: each is attributed to its own scenario, and all others get their
//! verdicts.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use scenarios::parse;
use scenarios::scenario::Scenario;
use scenarios::verdict::Verdict;
use xtask::args::matrix::MatrixOptions;
use xtask::host::terminal::Terminal;
use xtask::runner::testbed::Testbed;

const PASSES: &str = r#"
title = "A key is added"
rules = []
[process.box]
[[step]]
box.add = { type = "user", description = "k", payload = "p" }
"#;

/// The kernel panics when it is out of memory. Most of the memory is reserved, so that this happens
/// soon.
const PANICS: &str = r#"
title = "The kernel panics"
rules = []
sysctl = { "vm/min_free_kbytes" = "420000", "vm/overcommit_memory" = "1", "vm/panic_on_oom" = "2" }
[process.glutton]
[[step]]
glutton.add = { type = "user", description = "k", payload = { fill = 4000000000 } }
"#;

/// A step waits for an event that never happens. The deadline leaves a busy machine the time to reach that step.
const HANGS: &str = r#"
title = "No answer"
rules = []
deadline_ms = 10000
[process.agent]
serves = "user"
on_upcall = { hold = {} }
[process.box]
session_keys = ["agent"]
[[step]]
box.request = { description = "k", callout = "c" }
background = "for ever"
"#;

/// A keyring named like one of a user's own remains when those are emptied after a scenario.
const LEAKS: &str = r#"
title = "A key outlives its scenario"
rules = []
[process.box]
[[step]]
box.add = { type = "keyring", description = "_uid_left", payload = "", into = "@u" }
"#;

fn scenario(name: &str, text: &str) -> Result<Scenario> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("containment");
    fs::create_dir_all(&folder)?;
    let mut cases = parse::scenarios(name, &folder.join(name.replace('/', "-")), text)
        .map_err(|problems| anyhow::anyhow!("{:?}", problems.problems))?;
    cases.pop().context("a scenario without cases")
}

#[test]
fn panic_hang_and_leak_are_attributed_to_their_scenarios() -> Result<()> {
    let terminal = Terminal::default();
    let testbed = Testbed::prepare(&MatrixOptions::default(), &[], "containment", &terminal)?;
    let scenarios = [
        ("a/well", PASSES),
        ("b/panics", PANICS),
        ("c/well", PASSES),
        ("d/hangs", HANGS),
        ("e/well", PASSES),
        ("f/leaks", LEAKS),
        ("g/well", PASSES),
    ];
    let mut words = Vec::new();
    let mut report = String::new();
    let mut left = Vec::new();
    for (name, text) in scenarios {
        let verdict = testbed.run(&scenario(name, text)?, &terminal)?;
        words.push(match &verdict {
            // The scenarios have no snapshot, which must be the only difference.
            Verdict::Failed(failure) if failure.is_pending() => "passed",
            Verdict::Failed(failure) => {
                left.extend(failure.left.clone());
                "failed"
            }
            other => other.word(),
        });
        if let Verdict::Crashed(_) = &verdict {
            report = verdict.details();
        }
    }
    assert_eq!(words, ["passed", "crashed", "passed", "hung", "passed", "failed", "passed"]);
    assert_eq!(left.first().map(String::as_str), Some("keyring _uid_left: empty"));

    assert!(report.starts_with("kernel panic: Kernel panic - not syncing: Out of memory"), "{report}");
    let traced = report.lines().find(|line| line.contains(" out_of_memory+0x")).context("no call trace")?;
    assert!(traced.contains("← mm/oom_kill.c:"), "{traced}");
    Ok(())
}
