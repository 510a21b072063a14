//! Virtual machines: starting, controlling, observing and stopping guests.

pub mod console;
mod host_tsc;
pub mod machine;
pub mod output_observer;
pub mod qemu;
pub mod time_scale;
pub mod uml;
pub(crate) mod uml_memory_directory;
pub mod vng;

use std::fmt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use clap::ValueEnum;

use crate::vm::time_scale::TimeScale;

pub use machine::{Ending, Machine, MachineEvent};
pub use output_observer::{GuestOutput, OutputObserver};
pub use scenarios::kernel_report::KernelReport;

#[derive(Debug, Clone)]
pub struct BootConfig {
    pub image: PathBuf,
    pub initramfs: PathBuf,
    /// Parameters for the kernel's command line besides the back end's own.
    pub parameters: Vec<String>,
    pub memory_mib: u32,
    pub cpus: u32,
    pub clock: Clock,
    pub time_scale: TimeScale,
    pub log: PathBuf,
    /// True if the guest reads input from its console.
    pub interactive: bool,
    /// Port on which the back end waits for a debugger before the first instruction, if it supports
    /// that.
    pub debugger: Option<u16>,
    /// Maximum time to PID 1's hello message; `None` for the back end's default.
    pub boot_deadline: Option<Duration>,
    pub observer: OutputObserver,
}

#[cfg(test)]
impl BootConfig {
    /// Returns a configuration for a guest that needs no file.
    pub(crate) fn without_files() -> Self {
        Self {
            image: "/no/such/image".into(),
            initramfs: "/dev/null".into(),
            parameters: Vec::new(),
            memory_mib: 1,
            cpus: 1,
            clock: Clock::Real,
            time_scale: TimeScale::PLAIN,
            log: "/dev/null".into(),
            interactive: false,
            debugger: None,
            boot_deadline: None,
            observer: OutputObserver::default(),
        }
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Clock {
    #[default]
    Real,
    /// Executed instructions, one nanosecond each, which hides the host's other load. Only an
    /// emulated processor supports this.
    Instructions,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// QEMU with the host's processor
    Kvm,
    /// QEMU with an emulated processor: works everywhere
    Tcg,
    /// User-Mode Linux: the quickest to start; with one processor
    Uml,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg",
            Self::Uml => "uml",
        }
    }

    /// Full name, for prose.
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
        f.write_str(self.name())
    }
}

/// A back end that runs guests. It only supplies the command; [`Machine`] has the common parts.
///
/// The command's standard input and output are sockets. The first is the guest's channel, the
/// device that the kernel parameter `keyagents.channel` names. The second receives the guest's
/// console output. The command ends when the guest powers off, restarts or panics.
pub trait Backend: Send + Sync {
    fn kind(&self) -> Kind;

    fn command(&self, boot: &BootConfig) -> Command;

    /// Returns the maximum time from the start to PID 1's hello message.
    fn boot_deadline(&self) -> Duration;

    /// Returns the directory that the guest of this command leaves behind when it is killed.
    fn left_behind(&self, _: &Command) -> Option<PathBuf> {
        None
    }
}
