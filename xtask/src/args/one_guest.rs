//! Options of commands that start one guest.

use anyhow::Result;
use clap::Args;

use crate::artifacts::image::KernelOptions;
use crate::host::packages::{self, Purpose};
use crate::host::terminal::Terminal;
use crate::vm::Kind;

/// Kernel and virtual machine of one guest.
#[derive(Debug, Clone, Default, Args)]
pub struct GuestOptions {
    #[command(flatten)]
    pub(crate) kernel: KernelOptions,

    /// The virtual machine [default: KVM where it works, else UML, else TCG]
    #[arg(long, value_enum)]
    pub(crate) vm: Option<Kind>,

    /// Install missing packages, with sudo if necessary
    #[arg(long)]
    pub(crate) install: bool,
}

impl GuestOptions {
    /// Returns these options with only the first `count` patches.
    pub fn up_to(&self, count: usize) -> Self {
        let kernel = KernelOptions { first: Some(count), ..self.kernel.clone() };
        Self { kernel, ..self.clone() }
    }

    /// Ensures the host packages for building and booting.
    pub fn ensure_host(&self, terminal: &Terminal) -> Result<()> {
        let purpose = if self.vm == Some(Kind::Uml) { Purpose::BootUml } else { Purpose::BootQemu };
        packages::ensure(purpose, self.install, terminal)
    }

    /// Ensures the host packages for a guest's shell as well.
    pub fn ensure_shell(&self, terminal: &Terminal) -> Result<()> {
        self.ensure_host(terminal)?;
        packages::ensure(Purpose::Shell, self.install, terminal)
    }
}
