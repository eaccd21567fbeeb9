//! IPv4 packets as programs send them: what they say, and how they get other addresses. Every byte is the user's: lengths are
//! checked before anything is believed, and nothing here can panic.

use std::net::{Ipv4Addr, SocketAddrV4};

pub const ICMP: u8 = 1;
pub const TCP: u8 = 6;
pub const UDP: u8 = 17;

/// Bytes of an IPv4 header without options, which is the only one that is served.
pub const IPV4_BYTES: usize = 20;
pub const TCP_BYTES: usize = 20;
pub const UDP_BYTES: usize = 8;

pub const FIN: u8 = 1;
pub const SYN: u8 = 2;
pub const RST: u8 = 4;
pub const ACK: u8 = 16;

/// Where the checksums stand.
const IPV4_CHECKSUM: usize = 10;
const TCP_CHECKSUM: usize = IPV4_BYTES + 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    pub source: Ipv4Addr,
    pub destination: Ipv4Addr,
    /// Bytes of the whole packet.
    pub length: usize,
    pub content: Content,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    Tcp(Segment),
    /// The payload follows the header and ends with the packet.
    Udp {
        source_port: u16,
        destination_port: u16,
    },
    /// Messages about other packets: never answered.
    Icmp,
    /// Another protocol, an option of IPv4, or a part of a packet.
    Unserved,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    pub source_port: u16,
    pub destination_port: u16,
    pub sequence: u32,
    pub acknowledgement: u32,
    pub flags: u8,
    /// Bytes of the header with its options.
    pub header_bytes: usize,
    pub payload_bytes: usize,
}

impl Segment {
    #[must_use]
    pub fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Whether it asks for a connection.
    #[must_use]
    pub fn is_opening(&self) -> bool {
        self.flags & (SYN | ACK | RST) == SYN
    }
}

impl Packet {
    /// Reads a packet; `None` for what is not a whole IPv4 packet.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let first = *bytes.first()?;
        let header_bytes = usize::from(first & 15) * 4;
        let length = usize::from(u16_at(bytes, 2)?);
        if first >> 4 != 4 || header_bytes < IPV4_BYTES || length < header_bytes || length > bytes.len() {
            return None;
        }
        let source = address_at(bytes, 12)?;
        let destination = address_at(bytes, 16)?;
        let protocol = *bytes.get(9)?;
        // The flag "more fragments" and the offset.
        let is_part = u16_at(bytes, 6)? & 0x3fff != 0;
        let content = match protocol {
            ICMP => Content::Icmp,
            _ if is_part || header_bytes != IPV4_BYTES => Content::Unserved,
            TCP => Content::Tcp(parse_segment(bytes.get(IPV4_BYTES..length)?)?),
            UDP => {
                let datagram = bytes.get(IPV4_BYTES..length)?;
                if usize::from(u16_at(datagram, 4)?) != datagram.len() || datagram.len() < UDP_BYTES {
                    return None;
                }
                Content::Udp { source_port: u16_at(datagram, 0)?, destination_port: u16_at(datagram, 2)? }
            }
            _ => Content::Unserved,
        };
        Some(Self { source, destination, length, content })
    }
}

fn parse_segment(bytes: &[u8]) -> Option<Segment> {
    let header_bytes = usize::from(*bytes.get(12)? >> 4) * 4;
    if header_bytes < TCP_BYTES || header_bytes > bytes.len() {
        return None;
    }
    Some(Segment {
        source_port: u16_at(bytes, 0)?,
        destination_port: u16_at(bytes, 2)?,
        sequence: u32_at(bytes, 4)?,
        acknowledgement: u32_at(bytes, 8)?,
        flags: *bytes.get(13)?,
        header_bytes,
        payload_bytes: bytes.len() - header_bytes,
    })
}

/// What the checksum field of a TCP segment holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksum {
    /// The checksum.
    Whole,
    /// The sum of the pseudo header, as the kernel leaves it for a device that would do the rest.
    PseudoHeader,
}

/// Gives a TCP packet without IPv4 options other addresses and ports. Checksums are not computed anew but follow the change
/// (RFC 1624), so the length of the packet does not matter; one that was wrong stays wrong.
pub fn readdress(packet: &mut [u8], source: SocketAddrV4, destination: SocketAddrV4, checksum: Checksum) {
    let mut addresses = Change::default();
    addresses.write(packet, 12, &source.ip().octets());
    addresses.write(packet, 16, &destination.ip().octets());
    let mut ports = addresses;
    ports.write(packet, IPV4_BYTES, &source.port().to_be_bytes());
    ports.write(packet, IPV4_BYTES + 2, &destination.port().to_be_bytes());
    if let Some(old) = u16_at(packet, IPV4_CHECKSUM) {
        write_at(packet, IPV4_CHECKSUM, &(!addresses.apply(!old)).to_be_bytes());
    }
    if let Some(old) = u16_at(packet, TCP_CHECKSUM) {
        let new = match checksum {
            Checksum::Whole => !ports.apply(!old),
            // Ports are not part of the pseudo header, and the field is the sum itself.
            Checksum::PseudoHeader => addresses.apply(old),
        };
        write_at(packet, TCP_CHECKSUM, &new.to_be_bytes());
    }
}

/// The difference that a change of bytes makes to a sum in one's complement.
#[derive(Clone, Copy, Default)]
struct Change(u32);

impl Change {
    fn write(&mut self, packet: &mut [u8], at: usize, new: &[u8]) {
        let Some(place) = packet.get_mut(at..at + new.len()) else { return };
        for (old, new) in place.chunks_exact(2).zip(new.chunks_exact(2)) {
            let word = |pair: &[u8]| u32::from(u16_at(pair, 0).unwrap_or(0));
            self.0 += (word(old) ^ 0xffff) + word(new);
        }
        place.copy_from_slice(new);
    }

    fn apply(self, sum: u16) -> u16 {
        fold(u64::from(sum) + u64::from(self.0))
    }
}

/// The sum in one's complement of bytes that begin at an even place.
#[must_use]
pub fn sum(bytes: &[u8]) -> u64 {
    let pairs = bytes.chunks_exact(2);
    let odd = pairs.remainder().first().map_or(0, |byte| u64::from(*byte) << 8);
    pairs.map(|pair| u64::from(u16_at(pair, 0).unwrap_or(0))).sum::<u64>() + odd
}

#[must_use]
pub fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u16::try_from(sum).unwrap_or(u16::MAX)
}

/// The sum of the pseudo header of TCP and UDP.
#[must_use]
pub fn pseudo_sum(source: Ipv4Addr, destination: Ipv4Addr, protocol: u8, bytes: usize) -> u64 {
    sum(&source.octets()) + sum(&destination.octets()) + u64::from(protocol) + bytes as u64
}

#[must_use]
pub fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn address_at(bytes: &[u8], at: usize) -> Option<Ipv4Addr> {
    u32_at(bytes, at).map(Ipv4Addr::from)
}

/// Writes bytes at a place that the caller has made sure of.
pub fn write_at(bytes: &mut [u8], at: usize, new: &[u8]) {
    if let Some(place) = bytes.get_mut(at..at + new.len()) {
        place.copy_from_slice(new);
    }
}
