//! The guest's network without a network device: packets of a TUN device, which addresses they carry, and what is said to
//! programs about names. Pure, except for the device and the files.

pub mod device;
pub mod dns;
pub mod nat;
pub mod openings;
pub mod packet;
pub mod reply;
pub mod trust;

use std::net::Ipv4Addr;

/// The only address of the guest besides the loopback ones. Out of the range for carriers (RFC 6598), which is no address of
/// anything that a program would look for.
pub const GUEST: Ipv4Addr = Ipv4Addr::new(100, 64, 0, 2);
/// The other end of the device: the name server, and whom connections come from as the guest's kernel sees them.
pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(100, 64, 0, 1);
/// The network of the two.
pub const NETMASK: Ipv4Addr = Ipv4Addr::new(255, 255, 255, 252);
/// The most that IPv4 allows: the fewer packets, the fewer turns of the agent.
pub const MTU: u16 = 65_535;
