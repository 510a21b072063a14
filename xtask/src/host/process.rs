//! Child processes that never outlive this process.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Output, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, SyncSender, channel, sync_channel};
use std::thread;

use anyhow::{Context, Error, Result, anyhow};
pub use kernel::{command_line, quoted};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::{prctl, signal::Signal};
use nix::unistd::{Pid, getpid, getppid};

struct Request {
    command: Command,
    reply: SyncSender<io::Result<Child>>,
}

/// Thread that spawns all children. The kernel sends the parent-death signal when the *thread* that
/// forked ends, so this one never does.
static SPAWNER: LazyLock<Sender<Request>> = LazyLock::new(|| {
    let (requests, inbox) = channel::<Request>();
    thread::spawn(move || {
        for Request { mut command, reply } in inbox {
            // The requester waits for the reply; if it is gone, the child handle is dropped.
            let _ = reply.send(command.spawn());
        }
    });
    requests
});

/// Starts a command as a child that the kernel kills when this process ends, for any reason.
pub fn spawn_pdeathsig(mut command: Command) -> Result<Child> {
    let line = command_line(&command);
    let parent = getpid();
    // SAFETY: the closure runs between fork and exec and makes two system calls, both async-signal-safe.
    unsafe { command.pre_exec(move || set_pdeathsig(parent)) };
    let (reply, answer) = sync_channel(1);
    // A request that can't be sent has no reply either.
    let _ = SPAWNER.send(Request { command, reply });
    let spawned = answer.recv().map_err(|_| anyhow!("can't start a program: the spawning thread is gone"))?;
    spawned.with_context(|| format!("can't start: {line}"))
}

/// Runs a command without input, and returns its output.
pub fn output(command: &mut Command) -> Result<Output> {
    let line = command_line(command);
    command.stdin(Stdio::null()).output().with_context(|| format!("can't start: {line}"))
}

/// Runs a command without input. If it fails, the error has its output.
pub fn run(command: &mut Command) -> Result<()> {
    let output = output(command)?;
    if output.status.success() { Ok(()) } else { Err(failed(command, &output)) }
}

/// Returns the error of a failed command, with its error messages, or its output if it has none.
pub fn failed(command: &Command, output: &Output) -> Error {
    let printed = if output.stderr.is_empty() { &output.stdout } else { &output.stderr };
    let printed = String::from_utf8_lossy(printed);
    anyhow!("`{}` failed ({}):\n{}", command_line(command), output.status, printed.trim_end())
}

/// Pins the command and its descendants to one processor that this process may use, another one
/// each time.
pub fn pin_to_cpu(command: &mut Command) {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let Ok(allowed) = sched_getaffinity(Pid::this()) else { return };
    let processors: Vec<usize> =
        (0..CpuSet::count()).filter(|one| allowed.is_set(*one) == Ok(true)).collect();
    // The offset differs between processes of this program.
    let offset = NEXT.fetch_add(1, Ordering::Relaxed) + getpid().as_raw() as usize;
    let mut chosen = CpuSet::new();
    if processors.is_empty() || chosen.set(processors[offset % processors.len()]).is_err() {
        return;
    }
    let pin = move || {
        // Pinning only improves speed.
        let _ = sched_setaffinity(Pid::from_raw(0), &chosen);
        Ok(())
    };
    // SAFETY: the closure runs between fork and exec and makes one system call, which is async-signal-safe.
    unsafe { command.pre_exec(pin) };
}

fn set_pdeathsig(parent: Pid) -> io::Result<()> {
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    // The parent may have exited before the line above took effect.
    if getppid() == parent { Ok(()) } else { Err(io::ErrorKind::BrokenPipe.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_of_a_missing_program_has_its_arguments() {
        let mut command = Command::new("/does/not/exist");
        command.arg("-x");
        let error = format!("{:#}", spawn_pdeathsig(command).unwrap_err());
        assert!(error.starts_with("can't start: /does/not/exist -x: "), "{error}");
    }

    #[test]
    fn pinned_programs_use_all_processors_in_turn() {
        let processors = || {
            let mut command = Command::new("sed");
            command.args(["-n", r"s/^Cpus_allowed_list:\s*//p", "/proc/self/status"]);
            pin_to_cpu(&mut command);
            String::from_utf8(command.output().unwrap().stdout).unwrap()
        };
        let count = thread::available_parallelism().unwrap().get();
        let mut seen: Vec<usize> = (0..8 * count).map(|_| processors().trim().parse().unwrap()).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), count);
    }
}
