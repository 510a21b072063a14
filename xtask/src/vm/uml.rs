//! User-Mode Linux: the guest's kernel as a program of the host's.

use std::process::Command;
use std::time::Duration;

use super::{Backend, Boot, Kind};

/// The channel is the first serial line; the console goes to standard output; there are no further lines.
const KERNEL_COMMAND_LINE: &[&str] = &[
    "ssl0=fd:0",
    "ssl=null",
    "con=null",
    "console=tty0",
    "loglevel=5",
    // The delay loop is not calibrated, which would take a third of the boot: there is no hardware to wait for.
    "lpj=20000000",
    "panic=-1",
    "keyagents.channel=/dev/ttyS0",
];

/// User-Mode Linux. The image is the program.
#[derive(Debug, Clone, Copy)]
pub struct Uml;

impl Backend for Uml {
    fn kind(&self) -> Kind {
        Kind::Uml
    }

    fn command(&self, boot: &Boot) -> Command {
        let mut command = Command::new(&boot.image);
        command.arg(format!("mem={}M", boot.memory_mib));
        let mut initrd = std::ffi::OsString::from("initrd=");
        initrd.push(&boot.initramfs);
        let console = if boot.interactive { "con0=fd:1" } else { "con0=null,fd:1" };
        command.arg(initrd).arg(console).args(KERNEL_COMMAND_LINE).args(&boot.parameters);
        // A guest's processes run in children of this one whose memory has been replaced. Where the C library has registered
        // a restartable sequence for them, newer hosts kill them at the first system call, as what it points to is gone.
        command.env("GLIBC_TUNABLES", "glibc.pthread.rseq=0");
        command
    }

    fn boot_deadline(&self) -> Duration {
        // It is up in a fraction of a second, unless the host has no time for it.
        Duration::from_secs(60)
    }
}
