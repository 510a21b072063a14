//! Operations of a process on itself.

use std::process::{self, Stdio};

use nix::sys::prctl;
use scenarios::plan::{Command, Op};
use scenarios::wire::{Outcome, Value};

use super::{done, misplaced};
use crate::process::credentials::{Credentials, set_rlimits};
use crate::process::program::PATH;
use crate::process::{Cause, PlanProcess};
use crate::sys::{errno, process::exit_now};

impl PlanProcess<'_> {
    pub(super) fn process_op(&mut self, op: &Op, cause: Cause) -> Outcome {
        match op {
            Op::Exit { code } => {
                self.report_before_exit(op, cause);
                exit_now(*code)
            }
            Op::Crash {} => {
                self.report_before_exit(op, cause);
                process::abort()
            }
            Op::Exec { setuid } => done(Err(self.exec(*setuid, cause))),
            Op::LeaveLeader {} => done(Err(self.leave_leader(cause))),
            Op::Become { uid, gid, groups, capabilities, inheritable } => {
                let credentials = Credentials {
                    uid: *uid,
                    gid: *gid,
                    groups: groups.as_deref(),
                    capabilities: capabilities.as_deref(),
                    inheritable,
                };
                done(credentials.apply())
            }
            Op::Limit { rlimits } => done(set_rlimits(rlimits)),
            Op::SetDumpable { dumpable } => done(prctl::set_dumpable(*dumpable)),
            Op::Run { command } => run(command),
            _ => misplaced(op),
        }
    }

    fn report_before_exit(&self, op: &Op, cause: Cause) {
        let done = self.untimed(Outcome::Ok(Value::None));
        self.report_result(cause, op.clone(), done);
    }
}

/// Runs a command; returns both outputs in one text.
fn run(command: &Command) -> Outcome {
    use std::os::unix::process::ExitStatusExt;
    let words = match command {
        Command::Shell(line) => &["sh", "-c", line].map(str::to_owned)[..],
        Command::Program(words) => words,
    };
    let Some((program, arguments)) = words.split_first() else {
        return Outcome::Skipped("no command".to_owned());
    };
    let ran = std::io::pipe().and_then(|(mut reader, writer)| {
        let mut child = process::Command::new(program)
            .args(arguments)
            .env("PATH", PATH)
            .stdin(Stdio::null())
            .stdout(writer.try_clone()?)
            .stderr(writer)
            .spawn()?;
        let mut output = String::new();
        let read = std::io::Read::read_to_string(&mut reader, &mut output);
        let status = child.wait()?;
        read.map(|_| (status, output))
    });
    match ran {
        Ok((status, output)) => {
            let status = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
            let output = output.strip_suffix('\n').unwrap_or(&output).to_owned();
            Outcome::Ok(Value::Command { status, output })
        }
        Err(why) => Outcome::Error(errno::name(errno::from_io(why))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_returns_output_and_status() {
        let command = Command::Shell("echo out; echo err >&2; exit 3".to_owned());
        let output = "out\nerr".to_owned();
        assert_eq!(run(&command), Outcome::Ok(Value::Command { status: 3, output }));
    }
}
