//! One program, four lives: PID 1 of the guest, an attendant in somebody else's guest, a process that went through execve, and the
//! stock upcall.

use std::process::ExitCode;

use agent::{init, process, request_key};
use scenarios::program::ATTEND;

fn main() -> ExitCode {
    if std::process::id() == 1 {
        init::main();
    }
    let mut arguments = std::env::args();
    let program = arguments.next().unwrap_or_default();
    match arguments.next() {
        Some(task) if task == ATTEND => init::exec_server::main(),
        Some(state) if program == process::EXECUTED_AS => process::resume(&state),
        Some(operation) if program.ends_with("request-key") => request_key::answer(&operation, arguments),
        _ => ExitCode::from(2),
    }
}
