//! User-Mode Linux: the guest's kernel runs as a process of the host.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::{Backend, BootConfig, Kind, uml_memory_directory};
use crate::host::process::pin_to_cpu;

/// The channel is the first serial line; there are no further lines.
const KERNEL_COMMAND_LINE: &[&str] = &[
    "ssl=null",
    "con=null",
    "console=tty0",
    "loglevel=5",
    // The delay loop is not calibrated, which would take a third of the boot. There is no hardware
    // to wait for.
    "lpj=20000000",
    "panic=-1",
    "keyagents.channel=/dev/ttyS0",
];

/// Channel on descriptor 0, for input and output.
const CHANNEL: &str = "ssl0=fd:0";

/// Console on standard output, without input.
pub(crate) const CONSOLE: &str = "con0=null,fd:1";

/// Parameters of kernels that can have several processors. They get one, on which the suite takes
/// half the time: with two, processes fork more slowly. Without ptrace(2), where the host allows
/// that, system calls are quicker.
const OF_SMP: [&str; 2] = ["ncpus=1", "seccomp=auto"];

/// Back end of User-Mode Linux. The kernel image is the program.
#[derive(Debug, Clone, Copy, Default)]
pub struct Uml {
    /// True if the kernel can have several processors.
    is_smp: bool,
}

impl Uml {
    /// Returns the back end for a kernel with this configuration.
    pub fn of(config: &Path) -> io::Result<Self> {
        let config = fs::read_to_string(config)?;
        Ok(Self { is_smp: config.lines().any(|line| line == "CONFIG_SMP=y") })
    }

    /// Returns the command that boots a guest without a session: PID 1's messages go to descriptor
    /// 3, the console to descriptor 1.
    pub fn standalone_command(self, boot: &BootConfig) -> Command {
        self.command_with(boot, &boot.log.with_extension("pid"), ["ssl0=null,fd:3", CONSOLE])
    }

    /// Returns the command that starts a kernel with `memory_mib` of memory and no root. It writes
    /// its pid to a directory that it creates, which remains if it is killed.
    pub(crate) fn kernel(image: &Path, memory_mib: u32, instance: &Path) -> Command {
        let mut command = Command::new(image);
        command.arg(format!("mem={memory_mib}M")).args(KERNEL_COMMAND_LINE).args(pid_file(instance));
        // If no directory serves, the kernel reports that itself; the probe does, too, and more
        // clearly.
        if let Ok(directory) = uml_memory_directory::of(memory_mib) {
            command.env("TMPDIR", directory);
        }
        // The guest's processes run in children of this process, whose memory is replaced. A
        // restartable sequence registered by the C library would then point to unmapped memory.
        // Newer hosts kill such a process at its first system call.
        command.env("GLIBC_TUNABLES", "glibc.pthread.rseq=0");
        command
    }

    /// Returns the command with these ends of the channel and the console.
    fn command_with(self, boot: &BootConfig, instance: &Path, ends: [&str; 2]) -> Command {
        let mut command = Self::kernel(&boot.image, boot.memory_mib, instance);
        let mut initrd = OsString::from("initrd=");
        initrd.push(&boot.initramfs);
        command.arg(initrd).args(ends);
        if self.is_smp {
            command.args(OF_SMP);
        }
        // Kernel and process alternate, several times a page fault. Waking the other on an idle
        // processor takes longer than all the rest.
        pin_to_cpu(&mut command);
        command.args(&boot.parameters);
        command
    }
}

impl Backend for Uml {
    fn kind(&self) -> Kind {
        Kind::Uml
    }

    fn command(&self, boot: &BootConfig) -> Command {
        self.command_with(
            boot,
            &instance(&boot.log),
            [CHANNEL, if boot.interactive { "con0=fd:1" } else { CONSOLE }],
        )
    }

    fn boot_deadline(&self) -> Duration {
        // It boots in a fraction of a second, unless the host is busy.
        Duration::from_secs(60)
    }

    fn left_behind(&self, command: &Command) -> Option<PathBuf> {
        let parameter =
            |name: &str| command.get_args().find_map(|argument| argument.to_str()?.strip_prefix(name));
        Some(Path::new(parameter(DIRECTORY)?).join(parameter(NAME)?))
    }
}

/// Suffix of the directories' names, after the pid of the process that started the guest.
const INSTANCE: &str = "uml";

/// Parameters for the directory's parent and its name.
const DIRECTORY: &str = "uml_dir=";
const NAME: &str = "umid=";

/// Returns a directory for a guest with this log, under a name that no other guest uses. Where a
/// process seems to use the name, even a zombie, User-Mode Linux takes a random one, which no
/// cleanup would find.
fn instance(log: &Path) -> PathBuf {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    log.with_extension(format!("{count}.{}.{INSTANCE}", std::process::id()))
}

/// Removes the directories of guests that were killed together with the process that had started them.
pub fn remove_left_behind(place: &Path) -> io::Result<()> {
    for entry in fs::read_dir(place)?.flatten() {
        if starter(&entry.file_name()).is_some_and(is_gone) {
            // Another command may have removed it first.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    Ok(())
}

/// Returns the pid in the name of an instance's directory.
fn starter(name: &OsStr) -> Option<u32> {
    let (rest, end) = name.to_str()?.rsplit_once('.')?;
    let (_, pid) = rest.rsplit_once('.')?;
    (end == INSTANCE).then(|| pid.parse().ok()).flatten()
}

/// Checks that a process has no program any more. A zombie has none, either.
fn is_gone(pid: u32) -> bool {
    fs::read_link(format!("/proc/{pid}/exe")).is_err_and(|error| error.kind() == ErrorKind::NotFound)
}

/// Parameters for the directory of the pid file. The default is `~/.uml`; without HOME the kernel
/// crashes.
fn pid_file(instance: &Path) -> [OsString; 2] {
    let place = instance.parent().filter(|place| !place.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = instance.file_name().unwrap_or_default();
    let parameter = |name: &str, value: &OsStr| {
        let mut parameter = OsString::from(name);
        parameter.push(value);
        parameter
    };
    [parameter(DIRECTORY, place.as_os_str()), parameter(NAME, name)]
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use nix::sys::wait::{Id, WaitPidFlag, waitid};
    use nix::unistd::Pid;

    use super::*;

    #[test]
    fn kernel_that_can_have_several_processors_gets_one() {
        let place = tempfile::tempdir().unwrap();
        let parameters = |config: &str| {
            let file = place.path().join("config");
            fs::write(&file, config).unwrap();
            let boot = BootConfig { cpus: 2, ..BootConfig::without_files() };
            let command = Uml::of(&file).unwrap().command(&boot);
            let is_meant = |word: &&str| word.starts_with("ncpus=") || word.starts_with("seccomp=");
            let words = command.get_args().filter_map(OsStr::to_str).filter(is_meant);
            words.map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(parameters("CONFIG_UML=y\nCONFIG_SMP=y\n"), OF_SMP);
        assert_eq!(parameters("CONFIG_UML=y\n# CONFIG_SMP is not set\n"), Vec::<String>::new());
    }

    #[test]
    fn directories_of_killed_guests_are_removed_after_their_parent_exits() {
        let place = tempfile::tempdir().unwrap();
        let mut zombie = Command::new("sleep").arg("100").stdin(Stdio::null()).spawn().unwrap();
        let named = |pid: u32| place.path().join(format!("run-uml-0.console.{pid}.uml"));
        let kept = [
            named(std::process::id()),
            place.path().join("run-uml-0.console.log"),
            place.path().join("x.uml"),
        ];
        for directory in kept.iter().chain([&named(zombie.id())]) {
            fs::create_dir(directory).unwrap();
        }
        remove_left_behind(place.path()).unwrap();
        assert!(named(zombie.id()).exists());
        zombie.kill().unwrap();
        // Waits for the exit without reaping, so that the process stays a zombie.
        let pid = Pid::from_raw(zombie.id().cast_signed());
        waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT).unwrap();
        remove_left_behind(place.path()).unwrap();
        assert!(!named(zombie.id()).exists());
        assert!(kept.iter().all(|directory| directory.exists()));
        zombie.wait().unwrap();
    }
}
