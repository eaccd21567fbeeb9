//! Packets that the agent makes itself: answers to programs, and the request for a connection that has been held back.

use std::net::{Ipv4Addr, SocketAddrV4};

use super::packet::{
    fold, pseudo_sum, sum, write_at, Packet, Segment, ACK, FIN, ICMP, IPV4_BYTES, RST, SYN, TCP, TCP_BYTES, UDP,
    UDP_BYTES,
};
use super::GATEWAY;

/// Codes of ICMP's "destination unreachable" (RFC 792, RFC 1812), and what a program is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreachable {
    /// EHOSTUNREACH
    Host = 1,
    /// ENOPROTOOPT
    Protocol = 2,
    /// ECONNREFUSED, for datagrams
    Port = 3,
    /// EHOSTUNREACH
    Prohibited = 13,
}

/// An IPv4 header and room for what follows it.
fn packet(source: Ipv4Addr, destination: Ipv4Addr, protocol: u8, content_bytes: usize) -> Vec<u8> {
    const DO_NOT_FRAGMENT: u8 = 0x40;
    const TIME_TO_LIVE: u8 = 64;
    let mut bytes = vec![0; IPV4_BYTES + content_bytes];
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes();
    write_at(&mut bytes, 0, &[0x45, 0, length[0], length[1], 0, 0, DO_NOT_FRAGMENT, 0, TIME_TO_LIVE, protocol]);
    write_at(&mut bytes, 12, &source.octets());
    write_at(&mut bytes, 16, &destination.octets());
    seal_header(&mut bytes);
    bytes
}

/// Computes the checksum of a header without options.
fn seal_header(packet: &mut [u8]) {
    write_at(packet, 10, &[0, 0]);
    let checksum = !fold(sum(packet.get(..IPV4_BYTES).unwrap_or_default()));
    write_at(packet, 10, &checksum.to_be_bytes());
}

/// Computes the checksum of what follows the header.
fn seal_content(packet: &mut [u8], pseudo: u64, checksum_at: usize) {
    write_at(packet, IPV4_BYTES + checksum_at, &[0, 0]);
    let checksum = match !fold(pseudo + sum(packet.get(IPV4_BYTES..).unwrap_or_default())) {
        // The same number in one's complement; UDP has a meaning of its own for zero.
        0 => u16::MAX,
        other => other,
    };
    write_at(packet, IPV4_BYTES + checksum_at, &checksum.to_be_bytes());
}

/// Resets the connection of a segment (RFC 9293, 3.10.7.1); `None` for what is a reset itself.
#[must_use]
pub fn reset(of: &Packet, segment: &Segment) -> Option<Vec<u8>> {
    if segment.has(RST) {
        return None;
    }
    let mut bytes = packet(of.destination, of.source, TCP, TCP_BYTES);
    write_at(&mut bytes, IPV4_BYTES, &segment.destination_port.to_be_bytes());
    write_at(&mut bytes, IPV4_BYTES + 2, &segment.source_port.to_be_bytes());
    let flags = if segment.has(ACK) {
        write_at(&mut bytes, IPV4_BYTES + 4, &segment.acknowledgement.to_be_bytes());
        RST
    } else {
        let length = u32::try_from(segment.payload_bytes).unwrap_or(0);
        let length = length + u32::from(segment.has(SYN)) + u32::from(segment.has(FIN));
        write_at(&mut bytes, IPV4_BYTES + 8, &segment.sequence.wrapping_add(length).to_be_bytes());
        RST | ACK
    };
    // The header's length in words of four bytes.
    write_at(&mut bytes, IPV4_BYTES + 12, &[5 << 4, flags]);
    seal_content(&mut bytes, pseudo_sum(of.destination, of.source, TCP, TCP_BYTES), 16);
    Some(bytes)
}

/// Says of a packet that it reaches nobody. It carries the packet's header and the eight bytes after it, which name the
/// socket.
#[must_use]
pub fn unreachable(original: &[u8], to: Ipv4Addr, code: Unreachable) -> Vec<u8> {
    const DESTINATION_UNREACHABLE: u8 = 3;
    const ICMP_BYTES: usize = 8;
    let header_bytes = usize::from(original.first().copied().unwrap_or(0) & 15) * 4;
    let told = original.get(..original.len().min(header_bytes + 8)).unwrap_or_default();
    let mut bytes = packet(GATEWAY, to, ICMP, ICMP_BYTES + told.len());
    write_at(&mut bytes, IPV4_BYTES, &[DESTINATION_UNREACHABLE, code as u8]);
    write_at(&mut bytes, IPV4_BYTES + ICMP_BYTES, told);
    seal_content(&mut bytes, 0, 2);
    bytes
}

/// A datagram. The payload is an answer about a name: far below the limit of a packet.
#[must_use]
pub fn datagram(source: SocketAddrV4, destination: SocketAddrV4, payload: &[u8]) -> Vec<u8> {
    let length = UDP_BYTES + payload.len();
    let mut bytes = packet(*source.ip(), *destination.ip(), UDP, length);
    write_at(&mut bytes, IPV4_BYTES, &source.port().to_be_bytes());
    write_at(&mut bytes, IPV4_BYTES + 2, &destination.port().to_be_bytes());
    write_at(&mut bytes, IPV4_BYTES + 4, &u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes());
    write_at(&mut bytes, IPV4_BYTES + UDP_BYTES, payload);
    seal_content(&mut bytes, pseudo_sum(*source.ip(), *destination.ip(), UDP, length), 6);
    bytes
}

/// The headers of a request for a connection, with checksums that are whole whatever the packet's were. What it carries (TCP
/// Fast Open) is left out: the kernel sends it again once the connection stands.
#[must_use]
pub fn held_back(packet: &[u8], of: &Packet, segment: &Segment) -> Vec<u8> {
    let length = IPV4_BYTES + segment.header_bytes;
    let mut bytes = packet.get(..length).unwrap_or_default().to_vec();
    write_at(&mut bytes, 2, &u16::try_from(length).unwrap_or(0).to_be_bytes());
    seal_header(&mut bytes);
    seal_content(&mut bytes, pseudo_sum(of.source, of.destination, TCP, segment.header_bytes), 16);
    bytes
}
