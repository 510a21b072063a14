//! Makes a test case of every scenario. (rstest can list files, but a file may state several cases.)

use std::fmt::Write;
use std::path::Path;
use std::{env, fs};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    const SUITE: &str = "../scenarios/suite";
    println!("cargo::rerun-if-changed={SUITE}");
    let mut test = String::from("#[rstest::rstest]\n");
    match scenarios::suite::load(Path::new(SUITE)) {
        Ok(scenarios) => {
            for scenario in scenarios {
                writeln!(test, "#[case::{}({:?})]", identifier(&scenario.name), scenario.name)?;
            }
        }
        // The one test case tells what is wrong with the suite.
        Err(_) => test.push_str("#[case::suite(\"\")]\n"),
    }
    test.push_str(
        "fn scenario(#[case] name: &str) {\n    judge(name).unwrap_or_else(|why| panic!(\"{why}\"));\n}\n",
    );
    fs::write(Path::new(&env::var("OUT_DIR")?).join("scenarios.rs"), test)?;
    Ok(())
}

/// A scenario's name with all that Rust has no use for in names replaced, and in snake case.
fn identifier(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    let words = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("_")
}
