//! The guest's program: see the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    guest::run()
}
