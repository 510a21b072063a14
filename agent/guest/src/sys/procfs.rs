//! Readers of /proc: keys, key users and the state of processes.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::{fs, io};

use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use scenarios::wire::{KeyUser, ProcKey};

/// Larger than most files in /proc.
const READ_SIZE: usize = 8192;

pub(crate) fn read(path: impl AsRef<Path>) -> io::Result<String> {
    read_file(File::open(path)?)
}

/// Reads the rest of an open file in /proc, without asking for its size, which is always 0.
fn read_file(file: File) -> io::Result<String> {
    let mut text = String::with_capacity(READ_SIZE);
    file.take(u64::MAX).read_to_string(&mut text)?;
    Ok(text)
}

/// The path that a parameter of the kernel command line, such as `name=`, gives.
pub(crate) fn kernel_parameter(name: &str) -> io::Result<Option<PathBuf>> {
    Ok(parameter_in(&read("/proc/cmdline")?, name))
}

fn parameter_in(command_line: &str, name: &str) -> Option<PathBuf> {
    command_line.split_whitespace().find_map(|word| word.strip_prefix(name)).map(PathBuf::from)
}

pub(crate) fn is_user_mode_linux() -> bool {
    read("/proc/cpuinfo").is_ok_and(|cpu| cpu.contains("User Mode Linux"))
}

/// The lines of /proc/keys that the caller may see.
pub(crate) fn keys() -> io::Result<Vec<ProcKey>> {
    Ok(read("/proc/keys")?.lines().filter_map(parse_key).collect())
}

pub(crate) fn key_users() -> io::Result<Vec<KeyUser>> {
    Ok(read("/proc/key-users")?.lines().filter_map(parse_user).collect())
}

/// Parses `serial flags usage timeout perm uid gid type summary`, as `proc_keys_show()` prints it.
fn parse_key(line: &str) -> Option<ProcKey> {
    let mut rest = line;
    let mut field = || {
        let (field, after) = rest.trim_start().split_once(' ')?;
        rest = after;
        Some(field)
    };
    let serial = u32::from_str_radix(field()?, 16).ok()?;
    Some(ProcKey {
        serial: serial as i32,
        flags: field()?.to_owned(),
        usage: field()?.parse().ok()?,
        timeout: field()?.to_owned(),
        perm: u32::from_str_radix(field()?, 16).ok()?,
        uid: field()?.parse().ok()?,
        gid: field()?.parse().ok()?,
        kind: field()?.to_owned(),
        summary: rest.trim().to_owned(),
    })
}

/// Parses `uid: usage keys/instantiated quota_keys/max quota_bytes/max`, as `proc_key_users_show()` prints
/// it.
fn parse_user(line: &str) -> Option<KeyUser> {
    let (uid, rest) = line.split_once(':')?;
    let mut pairs = rest.split_whitespace().skip(1).map(|pair| {
        let (first, second) = pair.split_once('/')?;
        Some((first.parse().ok()?, second.parse().ok()?))
    });
    let (keys, instantiated) = pairs.next()??;
    let (quota_keys, _) = pairs.next()??;
    let (quota_bytes, _): (_, u32) = pairs.next()??;
    Some(KeyUser { uid: uid.trim().parse().ok()?, keys, instantiated, quota_keys, quota_bytes })
}

/// The pids of the process `who` (a pid or `self`) in the procfs at `proc`. That mount's own pid namespace
/// comes first.
pub(crate) fn pids(proc: &File, who: &str) -> io::Result<Vec<i32>> {
    let path = format!("{who}/status");
    let file = openat(proc, path.as_str(), OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?;
    let status = read_file(File::from(file))?;
    let pids = field(&status, "NSpid:").or_else(|| field(&status, "Pid:")).unwrap_or_default();
    Ok(pids.split_whitespace().filter_map(|pid| pid.parse().ok()).collect())
}

/// The letter of a process's state, as in `S` and `T`; `None` if there is no such process.
///
/// If the leader has exited, the state of the other threads counts.
pub(crate) fn state(pid: i32) -> Option<char> {
    let leader = task_state(&format!("/proc/{pid}"))?;
    if leader != 'Z' {
        return Some(leader);
    }
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let mut states = threads.filter_map(|thread| task_state(&thread.path().to_string_lossy()));
    states.find(|state| *state != 'Z').or(Some(leader))
}

fn task_state(task: &str) -> Option<char> {
    let status = read(format!("{task}/status")).ok()?;
    field(&status, "State:")?.trim().chars().next()
}

/// Returns true if a process sleeps in a system call of the key service.
///
/// Without /proc/PID/syscall, as on User-Mode Linux, any sleep counts.
pub(crate) fn blocked_in_key_syscall(pid: i32) -> bool {
    if !matches!(state(pid), Some('S' | 'D')) {
        return false;
    }
    let Ok(line) = read(format!("/proc/{pid}/syscall")) else { return true };
    let call = line.split(' ').next().and_then(|number| number.parse().ok());
    call.is_some_and(|call: i64| [libc::SYS_add_key, libc::SYS_request_key, libc::SYS_keyctl].contains(&call))
}

/// Number of real-time signals pending for a process, as far as /proc shows: the user's queue, if any is
/// pending.
pub(crate) fn pending_signals(pid: i32) -> u32 {
    let Ok(status) = read(format!("/proc/{pid}/status")) else { return 0 };
    let mask =
        |name| field(&status, name).and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    if (mask("ShdPnd:") | mask("SigPnd:")) >> 31 == 0 {
        return 0;
    }
    let queued = field(&status, "SigQ:").and_then(|queue| queue.split('/').next());
    queued.and_then(|queued| queued.trim().parse().ok()).unwrap_or(0)
}

fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_parameter_is_found_among_others() {
        let found =
            parameter_in("console=ttyS0 keyagents.channel=/dev/vport0p1 quiet\n", "keyagents.channel=");
        assert_eq!(found, Some(PathBuf::from("/dev/vport0p1")));
        assert_eq!(parameter_in("console=ttyS0 quiet", "keyagents.channel="), None);
    }

    #[test]
    fn line_of_proc_keys_is_parsed() {
        let line = "0bb5a1c5 I--Q---     1 perm 1f3f0000     0 65534 keyring   _uid_ses.0: 1";
        let key = parse_key(line).unwrap();
        assert_eq!((key.serial, key.flags.as_str(), key.usage), (0x0bb5_a1c5, "I--Q---", 1));
        assert_eq!((key.perm, key.gid, key.kind.as_str()), (0x1f3f_0000, 65534, "keyring"));
        assert_eq!(key.summary, "_uid_ses.0: 1");
    }

    #[test]
    fn key_without_description_is_parsed() {
        assert_eq!(parse_key("00000001 I------ 2 expd 00000000 0 -1 user      ").unwrap().summary, "");
    }

    #[test]
    fn line_of_key_users_is_parsed() {
        let user = parse_user("    0:     5 4/3 2/1000000 79/25000000").unwrap();
        let expected = KeyUser { uid: 0, keys: 4, instantiated: 3, quota_keys: 2, quota_bytes: 79 };
        assert_eq!(user, expected);
    }

    #[test]
    fn own_process_is_listed_as_running() {
        let pids = pids(&File::open("/proc").unwrap(), "self").unwrap();
        assert_eq!(pids.first(), Some(&(std::process::id() as i32)));
        assert!(!blocked_in_key_syscall(std::process::id() as i32));
    }
}
