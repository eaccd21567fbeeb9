//! Programs that still wait for a connection, as the kernel tells (/proc/net/tcp, proc_pid_net(5)). A program that gives up
//! before there is one sends nothing that would tell of it.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddrV4};

use super::nat::Ends;
use super::GUEST;

/// Sockets of programs with IPv4, and with IPv6 that speaks to an IPv4 address.
const TABLES: [&str; 2] = ["/proc/net/tcp", "/proc/net/tcp6"];
/// `TCP_SYN_SENT` of linux/tcp_states.h.
const WAITING: &str = "02";

/// The ends of all connections that are waited for; `None` when the kernel does not tell.
#[must_use]
pub fn read() -> Option<BTreeSet<Ends>> {
    let tables = TABLES.map(std::fs::read_to_string);
    let [first, second] = tables;
    let (first, second) = (first.ok()?, second.unwrap_or_default());
    Some(first.lines().chain(second.lines()).filter_map(parse).collect())
}

/// A line of such a table, if it is about a program that waits.
fn parse(line: &str) -> Option<Ends> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let (local, remote, state) = (fields.next()?, fields.next()?, fields.next()?);
    let (local, server) = (end(local)?, end(remote)?);
    let waits = state == WAITING && *local.ip() == GUEST;
    waits.then_some(Ends { program_port: local.port(), server })
}

/// Address and port. An address is printed as words in the order of the processor's bytes; that of IPv4 is the last word.
fn end(text: &str) -> Option<SocketAddrV4> {
    let (address, port) = text.split_once(':')?;
    let word = address.get(address.len().checked_sub(8)?..)?;
    let address = u32::from_str_radix(word, 16).ok()?;
    Some(SocketAddrV4::new(Ipv4Addr::from(address.to_ne_bytes()), u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddrV4;

    use super::parse;

    #[test]
    fn lines_of_waiting_programs_name_their_ends() {
        let line = "   1: 02004064:E3C2 22D8B85D:01BB 02 00000001:00000000 01:00000065 00000001  1000        0 7 2 0 2";
        let ends = parse(line).unwrap();
        assert_eq!((ends.program_port, ends.server), (58_306, "93.184.216.34:443".parse::<SocketAddrV4>().unwrap()));
        let mapped = "0: 0000000000000000FFFF000002004064:E3C2 0000000000000000FFFF000022D8B85D:01BB 02 0:0";
        assert_eq!(parse(mapped), Some(ends));
        for other in [
            "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode",
            "   0: 02004064:E3C2 22D8B85D:01BB 01 00000000:00000000",
            "   0: 0100007F:E3C2 22D8B85D:01BB 02 00000000:00000000",
            "   0: 64:1 é:2 02",
            "",
        ] {
            assert_eq!(parse(other), None, "{other}");
        }
    }
}
