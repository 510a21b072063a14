//! User-Mode Linux: the guest's kernel as a program of the host's.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::process::keep_to_one_processor;
use super::{Backend, Boot, Kind};

/// The channel is the first serial line; there are no further lines.
const KERNEL_COMMAND_LINE: &[&str] = &[
    "ssl=null",
    "con=null",
    "console=tty0",
    "loglevel=5",
    // The delay loop is not calibrated, which would take a third of the boot: there is no hardware to wait for.
    "lpj=20000000",
    "panic=-1",
    "keyagents.channel=/dev/ttyS0",
];

/// Descriptor 0, to and fro.
const CHANNEL: &str = "ssl0=fd:0";

/// What is printed goes to standard output, and nothing is typed.
pub(super) const CONSOLE: &str = "con0=null,fd:1";

/// User-Mode Linux. The image is the program.
#[derive(Debug, Clone, Copy)]
pub struct Uml;

impl Uml {
    /// The command that boots a guest which nobody talks to: what PID 1 has to say goes to descriptor 3, the console to
    /// descriptor 1.
    pub fn lone_command(self, boot: &Boot) -> Command {
        wired(boot, ["ssl0=null,fd:3", CONSOLE])
    }

    /// The command that starts a kernel with so much memory, in MiB, and no root. It notes its pid beside the log.
    pub(super) fn kernel(image: &Path, memory_mib: u32, log: &Path) -> Command {
        let mut command = Command::new(image);
        command.arg(format!("mem={memory_mib}M")).args(KERNEL_COMMAND_LINE).args(pid_file(log));
        // A guest's processes run in children of this one whose memory has been replaced. Where the C library has registered
        // a restartable sequence for them, newer hosts kill them at the first system call, as what it points to is gone.
        command.env("GLIBC_TUNABLES", "glibc.pthread.rseq=0");
        // Kernel and process take turns, several times a fault. To wake the other one on a processor that has gone to sleep
        // meanwhile takes longer than all the rest.
        keep_to_one_processor(&mut command);
        command
    }
}

impl Backend for Uml {
    fn kind(&self) -> Kind {
        Kind::Uml
    }

    fn command(&self, boot: &Boot) -> Command {
        wired(boot, [CHANNEL, if boot.interactive { "con0=fd:1" } else { CONSOLE }])
    }

    fn boot_deadline(&self) -> Duration {
        // It is up in a fraction of a second, unless the host has no time for it.
        Duration::from_secs(60)
    }
}

/// Where it makes a directory for its pid: in ~/.uml, unless it is told, where those of guests that were killed remain. Without
/// HOME it crashes.
fn pid_file(log: &Path) -> [OsString; 2] {
    let place = log.parent().filter(|place| !place.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = log.with_extension("pid");
    let parameter = |name: &str, value: &OsStr| {
        let mut parameter = OsString::from(name);
        parameter.push(value);
        parameter
    };
    [parameter("uml_dir=", place.as_os_str()), parameter("umid=", name.file_name().unwrap_or_default())]
}

/// The command with these ends of the channel and the console.
fn wired(boot: &Boot, ends: [&str; 2]) -> Command {
    let mut command = Uml::kernel(&boot.image, boot.memory_mib, &boot.log);
    let mut initrd = OsString::from("initrd=");
    initrd.push(&boot.initramfs);
    command.arg(initrd).args(ends).args(&boot.parameters);
    command
}
