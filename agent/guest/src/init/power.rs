//! Powers the guest off.

use nix::sys::reboot::{RebootMode, reboot};

use crate::sys::procfs;

/// Ends the virtual machine by power-off, or by a reset, which ends QEMU under `-no-reboot`.
///
/// A kernel without a way to power off halts and never returns, so power-off is only tried where it works.
pub(super) fn off() -> ! {
    nix::unistd::sync();
    if can_power_off() {
        let _ = reboot(RebootMode::RB_POWER_OFF);
    }
    let _ = reboot(RebootMode::RB_AUTOBOOT);
    // An exit of PID 1 would panic the kernel.
    loop {
        nix::unistd::pause();
    }
}

/// User-Mode Linux exits its process; a PC needs ACPI.
fn can_power_off() -> bool {
    procfs::is_user_mode_linux() || std::path::Path::new("/sys/firmware/acpi").exists()
}
