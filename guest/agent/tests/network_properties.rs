//! The pure parts of the network against any bytes at all, and against straightforward computations of the same.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddrV4};

use exec_sandbox_agent::network::dns::{self, Query};
use exec_sandbox_agent::network::nat::{Ends, Nat};
use exec_sandbox_agent::network::packet::{readdress, Checksum, Content, Packet, ACK, IPV4_BYTES, RST, SYN, TCP, UDP};
use exec_sandbox_agent::network::reply::{self, Unreachable};
use exec_sandbox_agent::wire::answer::{NameStatus, Resolved};
use proptest::prelude::*;

/// The checksum of RFC 1071, word by word.
fn checksum(parts: &[&[u8]]) -> u16 {
    let bytes = parts.concat();
    let mut sum = 0_u16;
    for pair in bytes.chunks(2) {
        let word = u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]);
        let (next, carry) = sum.overflowing_add(word);
        sum = next + u16::from(carry);
    }
    !sum
}

fn pseudo_header(packet: &[u8]) -> Vec<u8> {
    let length = u16::try_from(packet.len() - IPV4_BYTES).unwrap().to_be_bytes();
    [&packet[12..20], &[0, packet[9]], &length].concat()
}

/// A checksum over what includes it is zero.
fn assert_sealed(packet: &[u8]) {
    assert_eq!(checksum(&[&packet[..IPV4_BYTES]]), 0, "IPv4 header");
    let content = &packet[IPV4_BYTES..];
    match packet[9] {
        TCP | UDP => assert_eq!(checksum(&[&pseudo_header(packet), content]), 0, "content"),
        _ => assert_eq!(checksum(&[content]), 0, "ICMP"),
    }
    assert_eq!(usize::from(u16::from_be_bytes([packet[2], packet[3]])), packet.len());
}

fn address() -> impl Strategy<Value = SocketAddrV4> {
    (any::<u32>(), any::<u16>()).prop_map(|(ip, port)| SocketAddrV4::new(Ipv4Addr::from(ip), port))
}

/// A TCP packet as a kernel makes it, with a right checksum.
fn segment() -> impl Strategy<Value = Vec<u8>> {
    let numbers = (any::<u32>(), any::<u32>(), any::<u8>());
    let parts = (address(), address(), numbers, 0_usize..=10, proptest::collection::vec(any::<u8>(), 0..200));
    parts.prop_map(|(source, destination, (sequence, acknowledgement, flags), option_words, payload)| {
        let header_bytes = 20 + option_words * 4;
        let length = u16::try_from(IPV4_BYTES + header_bytes + payload.len()).unwrap().to_be_bytes();
        let mut packet = vec![0x45, 0, length[0], length[1], 1, 2, 0x40, 0, 64, TCP, 0, 0];
        packet.extend([source.ip().octets(), destination.ip().octets()].concat());
        packet.extend([source.port().to_be_bytes(), destination.port().to_be_bytes()].concat());
        packet.extend([sequence.to_be_bytes(), acknowledgement.to_be_bytes()].concat());
        packet.extend([u8::try_from(header_bytes / 4).unwrap() << 4, flags, 0x20, 0, 0, 0, 0, 0]);
        packet.extend(vec![1; option_words * 4]);
        packet.extend(payload);
        let header = checksum(&[&packet[..IPV4_BYTES]]).to_be_bytes();
        packet[10..12].copy_from_slice(&header);
        let content = checksum(&[&pseudo_header(&packet), &packet[IPV4_BYTES..]]).to_be_bytes();
        packet[36..38].copy_from_slice(&content);
        packet
    })
}

/// A question as a resolver asks it.
fn question(name: &str, kind: u16) -> Vec<u8> {
    let mut message = vec![0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        message.push(u8::try_from(label.len()).unwrap());
        message.extend(label.as_bytes());
    }
    message.push(0);
    message.extend(kind.to_be_bytes());
    message.extend(1_u16.to_be_bytes());
    message
}

/// What could be read of an answer: id, code, and the addresses with their lives.
fn read_answer(message: &[u8], question: &[u8]) -> (u8, Vec<(u32, Ipv4Addr)>) {
    assert_eq!(&message[..2], &question[..2]);
    assert_eq!(message[2] & 0x80, 0x80);
    let word = |at: usize| u16::from_be_bytes([message[at], message[at + 1]]);
    assert_eq!(&message[12..question.len()], &question[12..]);
    let records = message[question.len()..].chunks_exact(16);
    let addresses = records.take(usize::from(word(6))).map(|record| {
        assert_eq!(record[..6], [0xc0, 12, 0, 1, 0, 1]);
        assert_eq!(record[10..12], [0, 4]);
        let ttl = u32::from_be_bytes(record[6..10].try_into().unwrap());
        (ttl, Ipv4Addr::from(u32::from_be_bytes(record[12..].try_into().unwrap())))
    });
    (message[3] & 15, addresses.collect())
}

proptest! {
    #[test]
    fn any_bytes_are_read_and_answered_without_harm(mut bytes in proptest::collection::vec(any::<u8>(), 0..120), whole in any::<bool>()) {
        if whole && bytes.len() >= 24 {
            // Near enough to a packet to get past the first look.
            let length = u16::try_from(bytes.len()).unwrap().to_be_bytes();
            bytes[0] = 0x45;
            bytes[2..4].copy_from_slice(&length);
            bytes[6..8].copy_from_slice(&[0, 0]);
            bytes[9] = [TCP, UDP, 1, 47][usize::from(bytes[9] % 4)];
        }
        let parsed = Packet::parse(&bytes);
        if let Some(packet) = parsed {
            prop_assert!(packet.length <= bytes.len());
            assert_sealed(&reply::unreachable(&bytes, packet.source, Unreachable::Host));
            if let Content::Tcp(segment) = packet.content {
                prop_assert!(IPV4_BYTES + segment.header_bytes + segment.payload_bytes == packet.length);
                if let Some(reset) = reply::reset(&packet, &segment) {
                    assert_sealed(&reset);
                }
                assert_sealed(&reply::held_back(&bytes, &packet, &segment));
            }
        }
        let (any, other) = (SocketAddrV4::new(Ipv4Addr::LOCALHOST, 1), SocketAddrV4::new(Ipv4Addr::BROADCAST, 2));
        readdress(&mut bytes, any, other, Checksum::Whole);
        readdress(&mut bytes, any, other, Checksum::PseudoHeader);
        let _ = dns::parse(&bytes);
    }

    #[test]
    fn a_packet_with_other_addresses_has_right_checksums(mut packet in segment(), source in address(), destination in address()) {
        let before = Packet::parse(&packet).unwrap();
        readdress(&mut packet, source, destination, Checksum::Whole);
        assert_sealed(&packet);
        let after = Packet::parse(&packet).unwrap();
        prop_assert_eq!((after.source, after.destination), (*source.ip(), *destination.ip()));
        let (Content::Tcp(old), Content::Tcp(new)) = (before.content, after.content) else { panic!("not TCP") };
        prop_assert_eq!((new.source_port, new.destination_port), (source.port(), destination.port()));
        prop_assert_eq!((new.sequence, new.flags, new.payload_bytes), (old.sequence, old.flags, old.payload_bytes));
    }

    #[test]
    fn there_and_back_is_as_before(packet in segment(), source in address(), destination in address()) {
        let before = Packet::parse(&packet).unwrap();
        let Content::Tcp(segment) = before.content else { panic!("not TCP") };
        let mut there = packet.clone();
        readdress(&mut there, source, destination, Checksum::Whole);
        let home = |address, port| SocketAddrV4::new(address, port);
        readdress(
            &mut there,
            home(before.source, segment.source_port),
            home(before.destination, segment.destination_port),
            Checksum::Whole,
        );
        // In one's complement zero has two forms, which mean the same.
        for at in [10, 36] {
            let value = |bytes: &[u8]| u16::from_be_bytes([bytes[at], bytes[at + 1]]) % 0xffff;
            prop_assert_eq!(value(&there), value(&packet));
        }
        there[10..12].copy_from_slice(&packet[10..12]);
        there[36..38].copy_from_slice(&packet[36..38]);
        prop_assert_eq!(there, packet);
    }

    #[test]
    fn a_checksum_that_the_kernel_has_left_out_follows_as_well(mut packet in segment(), source in address(), destination in address()) {
        let partial = |packet: &[u8]| !checksum(&[&pseudo_header(packet)]);
        let sum = partial(&packet).to_be_bytes();
        packet[36..38].copy_from_slice(&sum);
        readdress(&mut packet, source, destination, Checksum::PseudoHeader);
        prop_assert_eq!(u16::from_be_bytes([packet[36], packet[37]]) % 0xffff, partial(&packet) % 0xffff);
        // What a device makes of it is right.
        let sealed = checksum(&[&packet[IPV4_BYTES..]]).to_be_bytes();
        packet[36..38].copy_from_slice(&sealed);
        assert_sealed(&packet);
    }

    #[test]
    fn a_reset_is_one_that_the_sender_believes(packet in segment()) {
        let parsed = Packet::parse(&packet).unwrap();
        let Content::Tcp(segment) = parsed.content else { panic!("not TCP") };
        match reply::reset(&parsed, &segment) {
            None => prop_assert!(segment.has(RST)),
            Some(reset) => {
                assert_sealed(&reset);
                let answer = Packet::parse(&reset).unwrap();
                let Content::Tcp(answered) = answer.content else { panic!("not TCP") };
                prop_assert_eq!((answer.source, answer.destination), (parsed.destination, parsed.source));
                if segment.has(ACK) {
                    prop_assert_eq!((answered.flags, answered.sequence), (RST, segment.acknowledgement));
                } else {
                    let taken = u32::try_from(segment.payload_bytes).unwrap() + u32::from(segment.has(SYN)) + u32::from(segment.flags & 1);
                    let expected = segment.sequence.wrapping_add(taken);
                    prop_assert_eq!((answered.flags, answered.acknowledgement), (RST | ACK, expected));
                }
            }
        }
    }

    #[test]
    fn what_is_held_back_is_the_same_request_without_content(packet in segment()) {
        let parsed = Packet::parse(&packet).unwrap();
        let Content::Tcp(segment) = parsed.content else { panic!("not TCP") };
        let held = reply::held_back(&packet, &parsed, &segment);
        assert_sealed(&held);
        let Content::Tcp(kept) = Packet::parse(&held).unwrap().content else { panic!("not TCP") };
        prop_assert_eq!(kept.payload_bytes, 0);
        prop_assert_eq!((kept.sequence, kept.flags, kept.header_bytes), (segment.sequence, segment.flags, segment.header_bytes));
    }

    #[test]
    fn a_datagram_arrives_whole(source in address(), destination in address(), payload in proptest::collection::vec(any::<u8>(), 0..600)) {
        let packet = reply::datagram(source, destination, &payload);
        assert_sealed(&packet);
        let parsed = Packet::parse(&packet).unwrap();
        prop_assert_eq!(parsed.content, Content::Udp { source_port: source.port(), destination_port: destination.port() });
        prop_assert_eq!(&packet[IPV4_BYTES + 8..], &payload[..]);
    }

    #[test]
    fn a_plain_name_is_asked_as_it_is_and_answered(
        name in "[A-Za-z0-9_-]{1,63}(\\.[A-Za-z0-9_-]{1,20}){0,8}",
        addresses in proptest::collection::vec(any::<u32>().prop_map(Ipv4Addr::from), 0..20),
        ttl_s in any::<u32>(),
    ) {
        let message = question(&name, 1);
        let Query::Ask(asked, text) = dns::parse(&message) else { panic!("{name} is not asked") };
        prop_assert_eq!(text, name);
        let word = Resolved { status: NameStatus::Ok, addresses: addresses.clone(), ttl_s };
        let answer = dns::resolved(&asked, &word);
        prop_assert!(answer.len() <= 512);
        let (code, told) = read_answer(&answer, &message);
        let expected: Vec<_> = addresses.into_iter().take(12).map(|address| (ttl_s, address)).collect();
        prop_assert_eq!((code, told), (0, expected));
    }

    #[test]
    fn other_questions_are_answered_without_the_host(name in "[a-z]{1,9}", kind in 2_u16.., odd in "[ -~]{0,5}[ !/:@~][ -~]{0,5}") {
        let message = question(&name, kind);
        let Query::Answer(answer) = dns::parse(&message) else { panic!("type {kind} is asked") };
        prop_assert_eq!(read_answer(&answer, &message), (0, vec![]));
        let odd = odd.replace('.', "-");
        let message = question(&odd, 1);
        let Query::Answer(answer) = dns::parse(&message) else { panic!("{odd} is asked") };
        prop_assert_eq!(read_answer(&answer, &message), (3, vec![]));
    }

    #[test]
    fn the_table_tells_flows_apart_whatever_comes_and_goes(steps in proptest::collection::vec((0_u16..40, 0_u8..4, any::<bool>()), 0..150)) {
        let mut nat = Nat::default();
        let mut open = BTreeMap::new();
        for (program_port, server, opens) in steps {
            let ends = Ends { program_port, server: SocketAddrV4::new(Ipv4Addr::new(1, 1, 1, server), 80) };
            if opens {
                let number = nat.open(ends).unwrap();
                open.insert(ends, number);
            } else if let Some(number) = open.remove(&ends) {
                nat.close(number);
                // Its last segments still find their way.
                prop_assert_eq!((nat.number(ends), nat.ends(number)), (Some(number), Some(ends)));
                prop_assert!(!nat.is_open(number));
            }
            for (ends, number) in &open {
                prop_assert_eq!((nat.number(*ends), nat.ends(*number)), (Some(*number), Some(*ends)));
                prop_assert!(nat.is_open(*number));
            }
            prop_assert_eq!(open.values().collect::<BTreeSet<_>>().len(), open.len());
        }
    }
}

#[test]
fn a_name_beyond_the_limits_is_a_broken_question() {
    let name = |labels: usize, last: usize| [vec!["a".repeat(63); labels], vec!["b".repeat(last)]].concat().join(".");
    let longest = question(&name(3, 61), 1);
    assert!(matches!(dns::parse(&longest), Query::Ask(_, name) if name.len() == 253));
    for message in [question(&name(3, 62), 1), question(&"a".repeat(64), 1), longest[..100].to_vec(), vec![0; 12]] {
        let Query::Answer(answer) = dns::parse(&message) else { panic!("not answered") };
        assert_eq!(answer[3] & 15, 1);
    }
    // An answer is no question, and what is no message is nothing.
    let mut response = question("a", 1);
    response[2] |= 0x80;
    assert_eq!((dns::parse(&response), dns::parse(&[0; 11])), (Query::Nothing, Query::Nothing));
}

#[test]
fn who_speaks_edns_is_answered_so() {
    let mut message = question("a.example", 1);
    message[11] = 1;
    message.extend([0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
    let Query::Ask(asked, _) = dns::parse(&message) else { panic!("not asked") };
    let answer = dns::resolved(&asked, &Resolved::failed());
    assert_eq!((answer[3] & 15, answer[11]), (2, 1));
    assert_eq!(answer[answer.len() - 11..], [0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn closed_flows_are_forgotten_oldest_first_and_open_ones_never() {
    let mut nat = Nat::default();
    let ends = |port: u16| Ends { program_port: port, server: SocketAddrV4::new(Ipv4Addr::new(9, 9, 9, 9), 1) };
    let open = nat.open(ends(1)).unwrap();
    let numbers: Vec<u16> =
        (2..=60_001).map(|port| nat.open(ends(port)).inspect(|number| nat.close(*number)).unwrap()).collect();
    assert!(nat.is_open(open));
    let kept = (2..=60_001).filter(|port| nat.number(ends(*port)).is_some()).collect::<Vec<_>>();
    assert_eq!(kept, (60_001 - 2_047..=60_001).collect::<Vec<_>>());
    assert_eq!(nat.ends(*numbers.last().unwrap()), Some(ends(60_001)));
    // Numbers go round without meeting one that is in use.
    let more: Vec<u16> = (0..20_000).map(|_| nat.open(ends(7)).inspect(|number| nat.close(*number)).unwrap()).collect();
    assert!(!more.contains(&open));
}
