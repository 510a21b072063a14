//! Measures the life of processes that never registered a keyagent: a fork, then exit or exec, and the reaping.

use std::ffi::{CStr, CString};
use std::io::{PipeWriter, Read, Write, pipe};
use std::time::Instant;

use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, execve};
use scenarios::wire::bench::Series;

use super::child::Child;
use super::keyagent::register;
use super::{BenchError, OTHER_KIND, Result, during, nanoseconds, pin_to_last_cpu, sample_in_turn};
use crate::sys::kmsg;
use crate::sys::process::{exit_now, fork};

const CASES: [&str; 2] = ["fork and exit", "fork and exec"];

/// Exit code of a process that can't execute the program.
const NOT_EXECUTED: i32 = 127;

/// Starts processes that wait. If they register, each one's key is in a session keyring of its own.
pub(super) fn start_others(count: u32, registered: bool) -> Result<Vec<Child>> {
    let (mut ready, ready_from) = pipe().map_err(during("a pipe"))?;
    let others = (0..count).map(|_| Child::fork(|| run_other(registered, &ready_from)));
    let others = others.collect::<Result<Vec<_>>>()?;
    drop(ready_from);
    ready.read_exact(&mut vec![0; others.len()]).map_err(during("a process did not start"))?;
    Ok(others)
}

fn run_other(registered: bool, mut ready: &PipeWriter) -> Result<()> {
    keyring::join_session_keyring(None).map_err(during("session keyring"))?;
    if registered {
        register(OTHER_KIND)?;
    }
    ready.write_all(&[0]).map_err(during("a pipe"))?;
    loop {
        nix::unistd::pause();
    }
}

pub(super) fn measure(rounds: u32, calls: u32, program: &str) -> Result<Vec<Series>> {
    let program = CString::new(program).map_err(during("a program's path"))?;
    pin_to_last_cpu()?;
    sample_in_turn(&CASES, rounds, |case, _| match case {
        0 => sample(calls, || 0),
        _ => sample(calls, || execute(&program)),
    })
}

/// The mean of `calls` processes that each run `body`, which returns the exit code.
fn sample(calls: u32, body: impl Fn() -> i32) -> Result<u64> {
    let begun = Instant::now();
    for _ in 0..calls {
        run_to_end(&body)?;
    }
    Ok(nanoseconds(begun.elapsed()) / u64::from(calls.max(1)))
}

fn run_to_end(body: impl Fn() -> i32) -> Result<()> {
    let child = match fork().map_err(during("fork"))? {
        ForkResult::Parent { child } => child,
        ForkResult::Child => exit_now(body()),
    };
    match waitpid(child, None).map_err(during("waitpid"))? {
        WaitStatus::Exited(_, code) if code != NOT_EXECUTED => Ok(()),
        other => Err(BenchError(format!("a process that was to exit gave {other:?}"))),
    }
}

/// Executes the program. Returns only on failure, which is logged to the console, with the exit code.
fn execute(program: &CStr) -> i32 {
    let Err(why) = execve(program, &[program], &[] as &[&CStr]);
    kmsg::log(kmsg::Level::Error, &format!("can't execute {}: {why}", program.to_string_lossy()));
    NOT_EXECUTED
}
