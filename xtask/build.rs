//! Notices new scenarios: rstest lists them when the tests are compiled.

fn main() {
    println!("cargo::rerun-if-changed=../scenarios/suite");
}
