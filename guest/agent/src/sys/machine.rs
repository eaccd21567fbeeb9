//! What only the owner of a machine does: entropy, swap, the loopback interface, its own groups and limits.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd};

use rustix::net::{socket, AddressFamily, SocketType};

use super::check;

/// `struct rand_pool_info` of linux/random.h with room for the 64 bytes that `resume` brings.
#[repr(C)]
struct RandPoolInfo {
    entropy_count: libc::c_int,
    buf_size: libc::c_int,
    buf: [u8; 64],
}

/// `_IOW('R', 0x03, int[2])`
const RNDADDENTROPY: libc::c_ulong = 0x4008_5203;
/// `_IO('R', 0x07)`
const RNDRESEEDCRNG: libc::c_ulong = 0x5207;

/// Mixes bytes into the kernel's generator, credited in full, and has it reseed from them at once. `device` is any of
/// the generator's nodes.
pub fn add_entropy(device: impl AsFd, bytes: &[u8; 64]) -> io::Result<()> {
    let device = device.as_fd();
    let info = RandPoolInfo { entropy_count: 512, buf_size: 64, buf: *bytes };
    // SAFETY: the structure is laid out as the request wants it and outlives the call.
    unsafe {
        check(libc::ioctl(device.as_raw_fd(), RNDADDENTROPY, &raw const info))?;
        check(libc::ioctl(device.as_raw_fd(), RNDRESEEDCRNG))?;
    }
    Ok(())
}

/// Turns a device with a swap header into swap space.
pub fn swap_on(device: &CStr) -> io::Result<()> {
    // SAFETY: the path is a NUL-terminated string.
    check(unsafe { libc::swapon(device.as_ptr(), 0) }).map(drop)
}

/// Brings the loopback interface up; the kernel gives it 127.0.0.1 and ::1 by itself.
pub fn loopback_up() -> io::Result<()> {
    let inet = socket(AddressFamily::INET, SocketType::DGRAM, None)?;
    // SAFETY: ifreq is plain data for which zeroes are valid; the name is two letters and NUL; the request reads the
    // flags that are set here.
    unsafe {
        let mut request: libc::ifreq = std::mem::zeroed();
        request.ifr_name[0] = 108; // l
        request.ifr_name[1] = 111; // o
        check(libc::ioctl(inet.as_fd().as_raw_fd(), libc::SIOCGIFFLAGS, &raw mut request))?;
        request.ifr_ifru.ifru_flags |= 1; // IFF_UP
        check(libc::ioctl(inet.as_fd().as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request))?;
    }
    Ok(())
}

/// Gives up all supplementary groups.
pub fn clear_groups() -> io::Result<()> {
    // SAFETY: a count of 0 makes the kernel ignore the pointer.
    check(unsafe { libc::setgroups(0, std::ptr::null()) }).map(drop)
}

/// Empties the capability bounding set: no program that is started from now on can gain a capability by any means. The
/// calling process keeps what it has, as it never executes anything itself.
pub fn drop_bounding_set() -> io::Result<()> {
    for capability in 0..libc::c_ulong::from(u8::MAX) {
        // SAFETY: a plain system call on numbers.
        let result = check(unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) });
        match result {
            Ok(_) => {}
            // One beyond the kernel's last capability.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) && capability > 0 => return Ok(()),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
