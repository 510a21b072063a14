//! The program that runs in the guest, in one of four roles; see [`run`].

mod bench;
mod channel;
pub mod children;
mod init;
mod ipc;
mod plan_runner;
mod process;
mod raw_add_key;
mod request_key;
mod sys;

use std::process::ExitCode;

use scenarios::wire::program::EXEC_SERVER;

/// Runs the role that the pid and the arguments select.
///
/// - `init`: PID 1, which runs the host's plans (`plan_runner`) and measurements (`bench`). The processes of a plan
///   (`process`) are forked from it.
/// - `process` once more, after execve(2).
/// - `request_key`: the kernel's user-mode helper, run where no keyagent serves.
/// - `init::exec_server`: a server that runs programs in a guest with another PID 1.
pub fn run() -> ExitCode {
    if std::process::id() == 1 {
        init::main();
    }
    let mut arguments = std::env::args();
    let program = arguments.next().unwrap_or_default();
    match arguments.next() {
        Some(role) if role == EXEC_SERVER => init::exec_server::main(),
        Some(state) if program == process::EXEC_NAME => process::resume(&state),
        Some(operation) if program.ends_with("request-key") => request_key::answer(&operation, arguments),
        _ => ExitCode::from(2),
    }
}
