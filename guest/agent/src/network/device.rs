//! The device `net0`: made, given its address and route, and gone with its descriptor.

use std::io;
use std::net::SocketAddrV4;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{bind, getsockname, listen, socket_with, AddressFamily, SocketFlags, SocketType};

use super::packet::Checksum;
use super::{GATEWAY, GUEST, MTU, NETMASK};
use crate::error::{Step, StepError};
use crate::sys::interface;

pub const NAME: &std::ffi::CStr = c"net0";
/// `struct virtio_net_hdr` of linux/virtio_net.h, which stands before each packet.
pub const OFFLOAD_BYTES: usize = 10;
/// Set in its first byte when the checksum is left to the device.
const NEEDS_CHECKSUM: u8 = 1;
/// Connections that may wait to be accepted: more than there are flows.
const BACKLOG: i32 = 1_024;

/// Makes the device through the node at `node`. It lives as long as the descriptor.
pub fn create(node: &Path) -> Result<OwnedFd, StepError> {
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let device = rustix::fs::open(node, flags, Mode::empty()).step("opening the TUN device")?;
    interface::attach(&device, NAME).step("making net0")?;
    interface::leave_checksums(&device).step("leaving checksums out")?;
    interface::set_up(NAME, GUEST, NETMASK, i32::from(MTU)).step("setting net0 up")?;
    interface::route_everything(NAME, GATEWAY).step("setting the route")?;
    Ok(device)
}

/// Has programs told at once that there is no way to the outside. What is under way inside the guest goes on.
pub fn close_way() -> Result<(), StepError> {
    interface::route_nothing(NAME, GATEWAY).step("removing the route")
}

/// A listener at the guest's own address, at a port that nobody uses. Processes in the guest can connect to it, under an address
/// that is not the gateway's: that one they cannot have.
pub fn listener() -> Result<(OwnedFd, u16), StepError> {
    const STEP: &str = "listening on net0";
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let listener = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None).step(STEP)?;
    bind(&listener, &SocketAddrV4::new(GUEST, 0)).step(STEP)?;
    listen(&listener, BACKLOG).step(STEP)?;
    let address = getsockname(&listener).step(STEP)?;
    let port = SocketAddrV4::try_from(address).step(STEP)?.port();
    Ok((listener, port))
}

/// One packet with what stands before it, in memory that is used again for the next.
pub struct Frame {
    bytes: Vec<u8>,
    length: usize,
}

impl Default for Frame {
    fn default() -> Self {
        Self { bytes: vec![0; OFFLOAD_BYTES + usize::from(MTU)], length: 0 }
    }
}

impl Frame {
    /// Reads the next packet; false when there is none.
    pub fn read(&mut self, device: BorrowedFd<'_>) -> bool {
        self.length = rustix::io::read(device, &mut self.bytes).unwrap_or_default();
        self.length > OFFLOAD_BYTES
    }

    /// Gives it back to the kernel. What the kernel does not take is lost, as on any network.
    pub fn write(&self, device: BorrowedFd<'_>) {
        let _ = rustix::io::write(device, self.bytes.get(..self.length).unwrap_or_default());
    }

    #[must_use]
    pub fn packet(&self) -> &[u8] {
        self.bytes.get(OFFLOAD_BYTES..self.length).unwrap_or_default()
    }

    pub fn packet_mut(&mut self) -> &mut [u8] {
        self.bytes.get_mut(OFFLOAD_BYTES..self.length).unwrap_or_default()
    }

    #[must_use]
    pub fn checksum(&self) -> Checksum {
        if self.bytes.first().is_some_and(|flags| flags & NEEDS_CHECKSUM != 0) {
            Checksum::PseudoHeader
        } else {
            Checksum::Whole
        }
    }
}

/// Writes a packet of the agent's own.
pub fn write_packet(device: impl AsFd, packet: &[u8]) {
    let offload = [0_u8; OFFLOAD_BYTES];
    let parts = [io::IoSlice::new(&offload), io::IoSlice::new(packet)];
    // What the kernel does not take is lost, as on any network.
    let _: Result<usize, Errno> = rustix::io::writev(device, &parts);
}
