//! The loopback interface of a new network namespace.

use std::os::fd::AsRawFd;

use nix::Result;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

nix::ioctl_read_bad!(get_flags, libc::SIOCGIFFLAGS, libc::ifreq);
nix::ioctl_write_ptr_bad!(set_flags, libc::SIOCSIFFLAGS, libc::ifreq);

/// Brings `lo` up in the caller's network namespace.
pub(super) fn bring_up() -> Result<()> {
    let socket = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    // SAFETY: an ifreq is plain data, for which zeros are valid.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_name[0] = b'l' as libc::c_char;
    request.ifr_name[1] = b'o' as libc::c_char;
    // SAFETY: the socket is open and the request is borrowed over both calls.
    unsafe {
        get_flags(socket.as_raw_fd(), &mut request)?;
        request.ifr_ifru.ifru_flags |= libc::IFF_UP as libc::c_short;
        set_flags(socket.as_raw_fd(), &request)?;
    }
    Ok(())
}
