//! A network interface: made through the TUN device, and set up by ioctl.

use std::ffi::CStr;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::net::{socket_with, AddressFamily, SocketFlags, SocketType};

use super::check;

// linux/if_tun.h
const TUNSETIFF: libc::c_ulong = 0x4004_54ca;
const TUNSETOFFLOAD: libc::c_ulong = 0x4004_54d0;
const IFF_TUN: libc::c_short = 0x0001;
/// Nothing but the header of offloads stands before a packet.
const IFF_NO_PI: libc::c_short = 0x1000;
const IFF_VNET_HDR: libc::c_short = 0x4000;
const TUN_F_CSUM: libc::c_ulong = 1;

fn request(name: &CStr) -> libc::ifreq {
    // SAFETY: ifreq is plain data for which zeroes are valid.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (place, byte) in request.ifr_name.iter_mut().zip(name.to_bytes()).take(libc::IFNAMSIZ - 1) {
        *place = libc::c_char::from_ne_bytes([*byte]);
    }
    request
}

fn address(of: Ipv4Addr) -> libc::sockaddr {
    let [a, b, c, d] = of.octets().map(|byte| libc::c_char::from_ne_bytes([byte]));
    // `struct sockaddr_in`: two bytes of port, then the address.
    let mut data = [0; 14];
    data[2..6].copy_from_slice(&[a, b, c, d]);
    libc::sockaddr { sa_family: AddressFamily::INET.as_raw(), sa_data: data }
}

fn control_socket() -> io::Result<OwnedFd> {
    Ok(socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?)
}

/// Makes the interface, which lives as long as `device` is open.
pub fn attach(device: impl AsFd, name: &CStr) -> io::Result<()> {
    let mut request = request(name);
    request.ifr_ifru.ifru_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR;
    // SAFETY: the request reads and writes the structure, which outlives the call.
    check(unsafe { libc::ioctl(device.as_fd().as_raw_fd(), TUNSETIFF, &raw mut request) }).map(drop)
}

/// Has the kernel leave checksums to the reader of the device, who may leave them to the kernel again.
pub fn leave_checksums(device: impl AsFd) -> io::Result<()> {
    // SAFETY: the argument is a number.
    check(unsafe { libc::ioctl(device.as_fd().as_raw_fd(), TUNSETOFFLOAD, TUN_F_CSUM) }).map(drop)
}

/// Gives the interface its address, and brings it up.
pub fn set_up(name: &CStr, of: Ipv4Addr, netmask: Ipv4Addr, mtu: i32) -> io::Result<()> {
    let socket = control_socket()?;
    let set = |what: libc::c_ulong, fill: &dyn Fn(&mut libc::__c_anonymous_ifr_ifru)| {
        let mut request = request(name);
        fill(&mut request.ifr_ifru);
        // SAFETY: the request reads the structure, which outlives the call, and in it the field that `fill` has set.
        check(unsafe { libc::ioctl(socket.as_raw_fd(), what, &raw const request) }).map(drop)
    };
    set(libc::SIOCSIFMTU, &|field| field.ifru_mtu = mtu)?;
    set(libc::SIOCSIFADDR, &|field| field.ifru_addr = address(of))?;
    set(libc::SIOCSIFNETMASK, &|field| field.ifru_netmask = address(netmask))?;
    let up = libc::c_short::try_from(libc::IFF_UP | libc::IFF_RUNNING).unwrap_or(libc::c_short::MAX);
    set(libc::SIOCSIFFLAGS, &|field| field.ifru_flags = up)
}

/// Sends everything that has no nearer way through the interface.
pub fn route_everything(name: &CStr, gateway: Ipv4Addr) -> io::Result<()> {
    change_route(name, gateway, libc::SIOCADDRT)
}

/// Takes that back: what is sent from now on has no way, and is told so at once.
pub fn route_nothing(name: &CStr, gateway: Ipv4Addr) -> io::Result<()> {
    change_route(name, gateway, libc::SIOCDELRT)
}

fn change_route(name: &CStr, gateway: Ipv4Addr, what: libc::c_ulong) -> io::Result<()> {
    let socket = control_socket()?;
    // SAFETY: rtentry is plain data for which zeroes are valid. The request reads it, and the name through its pointer; both
    // outlive the call.
    unsafe {
        let mut route: libc::rtentry = std::mem::zeroed();
        route.rt_dst = address(Ipv4Addr::UNSPECIFIED);
        route.rt_genmask = address(Ipv4Addr::UNSPECIFIED);
        route.rt_gateway = address(gateway);
        route.rt_flags = libc::RTF_UP | libc::RTF_GATEWAY;
        route.rt_dev = name.as_ptr().cast_mut();
        check(libc::ioctl(socket.as_raw_fd(), what, &raw const route)).map(drop)
    }
}
