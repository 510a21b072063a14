//! Virtual machines: start a guest, talk to it, watch it, end it.

pub mod console;
mod host_tsc;
pub mod machine;
pub mod qemu;
pub mod tap;
pub mod time_scale;
pub mod uml;
pub(crate) mod uml_memory;
pub mod vng;

use std::fmt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use clap::ValueEnum;

use crate::vm::time_scale::TimeScale;

pub use machine::{Ending, Machine, MachineEvent};
pub use scenarios::kernel_report::{KernelReport, KernelReportKind};
pub use tap::{Heard, Tap};

/// What a guest is started from.
#[derive(Debug, Clone)]
pub struct BootConfig {
    /// The kernel image.
    pub image: PathBuf,
    /// The initial root file system.
    pub initramfs: PathBuf,
    /// Parameters for the kernel's command line besides the back end's own.
    pub parameters: Vec<String>,
    /// The guest's memory in MiB.
    pub memory_mib: u32,
    /// The guest's processors.
    pub cpus: u32,
    /// What the guest's clock counts.
    pub clock: Clock,
    /// How patient one has to be with its kernel.
    pub pace: TimeScale,
    /// Where the console is written to.
    pub log: PathBuf,
    /// Whether the guest hears what is typed at its console.
    pub interactive: bool,
    /// The port at which a debugger is waited for before the first instruction, where the back end has such a thing.
    pub debugger: Option<u16>,
    /// How long the guest may take for its first word, if not as long as usual.
    pub patience: Option<Duration>,
    /// Who hears what it says, as it says it.
    pub listener: Tap,
}

/// What a guest's clock counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Clock {
    /// Time.
    #[default]
    Real,
    /// Instructions, a nanosecond for each: what else the host does no longer shows. Only an emulated processor can.
    Instructions,
}

/// The kinds of virtual machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// QEMU with the host's processor
    Kvm,
    /// QEMU with an emulated processor: works everywhere
    Tcg,
    /// User-Mode Linux: the quickest to start, with one processor
    Uml,
}

impl Kind {
    /// As people call it.
    pub fn full_name(self) -> &'static str {
        match self {
            Self::Kvm => "KVM",
            Self::Tcg => "QEMU",
            Self::Uml => "User-Mode Linux",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg",
            Self::Uml => "uml",
        })
    }
}

/// A way to run a guest. A back end only knows its command line; [`Machine`] does what is common.
///
/// The command's standard input and output are sockets: it makes the first one the guest's channel, the
/// device that it names to the guest as `keyagents.channel`, and writes the guest's console to the second.
/// It ends when the guest powers off, restarts or panics.
pub trait Backend: Send + Sync {
    /// Which kind this is.
    fn kind(&self) -> Kind;

    /// The command that boots the guest.
    fn command(&self, boot: &BootConfig) -> Command;

    /// How long a guest may take from the start to PID 1's first word.
    fn boot_deadline(&self) -> Duration;

    /// The directory that the guest of that command leaves behind when it is killed.
    fn left_behind(&self, _: &Command) -> Option<PathBuf> {
        None
    }
}
