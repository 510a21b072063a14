//! QEMU, with the host's processor or an emulated one.

use std::process::Command;
use std::time::Duration;

use super::{Backend, BootConfig, Clock, Kind, host_tsc};

const PROGRAM: &str = "qemu-system-x86_64";

/// Kernel parameters for either processor.
///
/// `panic=-1 reboot=t` turns a panic into a triple fault, which `-no-reboot` turns into the end of QEMU.
/// Level 5 prints warnings, WARN() and lockdep among them, and nothing of the usual boot.
const KERNEL_COMMAND_LINE: &str =
    "console=ttyS0 loglevel=5 panic=-1 reboot=t keyagents.channel=/dev/vport0p1";

/// The emulated processor. Kernels prefer `rep movsb` and `rep stosb` if the processor reports them
/// as fast, but the emulator executes them byte by byte. Without `la57` page tables have four levels;
/// with five, KASAN reports an interrupt that comes while the kernel identifies the processor.
const TCG_CPU: &str = "max,-erms,-fsrm,-la57";

/// Parameter for an emulated processor whose counter has an unknown frequency: calibration on a
/// busy host fails, and the clock drifts.
const UNSTABLE_TSC: &str = "tsc=unstable";

#[derive(Debug, Clone, Copy)]
pub struct Qemu {
    has_kvm: bool,
}

impl Qemu {
    /// Returns a back end on the host's processor. `session::probe` checks that it works.
    pub fn kvm() -> Self {
        Self { has_kvm: true }
    }

    /// Returns a back end on an emulated processor, which works everywhere.
    pub fn tcg() -> Self {
        Self { has_kvm: false }
    }

    /// Returns the command that boots a guest without a session, on any host. PID 1's messages go
    /// to a file `report` in the current directory, the console to a file `console`.
    pub fn standalone_command(&self, boot: &BootConfig) -> Command {
        self.command_with(boot, ["file,id=channel,path=report", "file,id=console,path=console"], UNSTABLE_TSC)
    }

    /// Returns the command with these ends of the channel and the console, and this parameter for
    /// an emulated processor's clock.
    fn command_with(&self, boot: &BootConfig, ends: [&str; 2], clock: &str) -> Command {
        let mut command = Command::new(PROGRAM);
        match (self.has_kvm, boot.clock) {
            (true, _) => command.args(["-accel", "kvm", "-cpu", "host"]),
            (false, Clock::Real) => command.args(["-accel", "tcg,thread=multi", "-cpu", TCG_CPU]),
            (false, Clock::Instructions) => {
                command.args(["-accel", "tcg,thread=single", "-cpu", "max", "-icount", "shift=0,sleep=off"])
            }
        };
        command.args(["-machine", "q35", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]);
        command.args(["-m", &boot.memory_mib.to_string(), "-smp", &boot.cpus.to_string()]);
        command.args(ends.iter().flat_map(|end| ["-chardev", end]));
        command.args(["-serial", "chardev:console"]);
        command.args(["-device", "virtio-serial-pci", "-device", "virtserialport,chardev=channel,nr=1"]);
        command.arg("-kernel").arg(&boot.image).arg("-initrd").arg(&boot.initramfs);
        let clock = if self.has_kvm { "" } else { clock };
        let own = [KERNEL_COMMAND_LINE, clock].into_iter();
        let parameters: Vec<&str> = own.chain(boot.parameters.iter().map(String::as_str)).collect();
        command.arg("-append").arg(parameters.join(" "));
        if let Some(port) = boot.debugger {
            command.args(["-S", "-gdb", &format!("tcp:127.0.0.1:{port}")]);
        }
        command
    }
}

impl Backend for Qemu {
    fn kind(&self) -> Kind {
        if self.has_kvm { Kind::Kvm } else { Kind::Tcg }
    }

    fn command(&self, boot: &BootConfig) -> Command {
        // Descriptors 0 and 1 are sockets: see `Backend`.
        self.command_with(boot, ["socket,id=channel,fd=0", "socket,id=console,fd=1"], &clock(boot.clock))
    }

    fn boot_deadline(&self) -> Duration {
        Duration::from_secs(if self.has_kvm { 20 } else { 90 })
    }
}

/// Returns the clock's parameter for a guest on this host. An emulated processor's counter is the
/// host's; reading it takes no QEMU lock, unlike any other clock.
fn clock(clock: Clock) -> String {
    let frequency = (clock == Clock::Real).then(host_tsc::frequency).flatten();
    frequency.map_or_else(|| UNSTABLE_TSC.to_owned(), |khz| format!("tsc=reliable tsc_early_khz={khz}"))
}
