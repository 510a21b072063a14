//! The end of the guest.

use nix::sys::reboot::{RebootMode, reboot};

/// Ends the virtual machine: by power-off where the kernel can, else by a reset, which ends QEMU under `-no-reboot`.
///
/// A kernel without a way to power off halts instead and never returns, so it is asked only where one is sure to be there.
pub(super) fn off() -> ! {
    nix::unistd::sync();
    if can_power_off() {
        let _ = reboot(RebootMode::RB_POWER_OFF);
    }
    let _ = reboot(RebootMode::RB_AUTOBOOT);
    // PID 1 must not end, which would be a panic that the host blames on the kernel.
    loop {
        nix::unistd::pause();
    }
}

/// User-Mode Linux ends its process. On a PC it takes ACPI.
fn can_power_off() -> bool {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    cpu.contains("User Mode Linux") || std::path::Path::new("/sys/firmware/acpi").exists()
}
