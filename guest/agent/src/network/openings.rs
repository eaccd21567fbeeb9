//! What the kernel tells of the connections of programs (/proc/net/tcp, proc_pid_net(5)): who still waits for one, and which are
//! held. A program that gives up before there is one, or that ends with data under way to somebody who does not read, sends
//! nothing that would tell of it.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddrV4};

use super::nat::Ends;
use super::GUEST;

/// Sockets of programs with IPv4, and with IPv6 that speaks to an IPv4 address.
const TABLES: [&str; 2] = ["/proc/net/tcp", "/proc/net/tcp6"];
/// `TCP_SYN_SENT` of linux/tcp_states.h.
const WAITING: &str = "02";
/// What stands in place of a socket's inode once no process has a descriptor of it.
const NO_INODE: &str = "0";

/// The ends of connections of programs.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Openings {
    /// Waited for.
    pub waiting: BTreeSet<Ends>,
    /// Held by a process, waited for or not. Without one the kernel goes on alone with what it still has to deliver.
    pub held: BTreeSet<Ends>,
}

/// All of them; `None` when the kernel does not tell.
#[must_use]
pub fn read() -> Option<Openings> {
    let tables = TABLES.map(std::fs::read_to_string);
    let [first, second] = tables;
    let (first, second) = (first.ok()?, second.unwrap_or_default());
    let mut openings = Openings::default();
    for Line { ends, waits, held } in first.lines().chain(second.lines()).filter_map(parse) {
        if waits {
            openings.waiting.insert(ends);
        }
        if held {
            openings.held.insert(ends);
        }
    }
    Some(openings)
}

#[derive(Debug, PartialEq, Eq)]
struct Line {
    ends: Ends,
    waits: bool,
    held: bool,
}

/// A line of such a table, if it is about a connection to the outside.
fn parse(line: &str) -> Option<Line> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let (local, remote, state) = (fields.next()?, fields.next()?, fields.next()?);
    let (local, server) = (end(local)?, end(remote)?);
    let ends = (*local.ip() == GUEST).then_some(Ends { program_port: local.port(), server })?;
    // Behind the queues, the timer, the repetitions, the user and the time-out.
    let held = fields.nth(5).is_some_and(|inode| inode != NO_INODE);
    Some(Line { ends, waits: state == WAITING, held })
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
    fn lines_of_programs_name_their_ends_who_waits_and_who_holds() {
        let line = "   1: 02004064:E3C2 22D8B85D:01BB 02 00000001:00000000 01:00000065 00000001  1000        0 7 2 0 2";
        let told = parse(line).unwrap();
        let server: SocketAddrV4 = "93.184.216.34:443".parse().unwrap();
        assert_eq!((told.ends.program_port, told.ends.server), (58_306, server));
        assert!(told.waits && told.held);
        let mapped =
            "0: 0000000000000000FFFF000002004064:E3C2 0000000000000000FFFF000022D8B85D:01BB 02 0:0 0:0 0 1 0 7";
        assert_eq!(parse(mapped), Some(told));
        let open = parse("0: 02004064:E3C2 22D8B85D:01BB 01 0:0 00:0 0 1000 0 77 1").unwrap();
        assert!(!open.waits && open.held);
        let left = parse("0: 02004064:E3C2 22D8B85D:01BB 04 0:0 00:0 0 0 0 0 1").unwrap();
        assert!(!left.waits && !left.held);
        for other in [
            "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode",
            "   0: 0100007F:E3C2 22D8B85D:01BB 02 00000000:00000000",
            "   0: 64:1 é:2 02",
            "",
        ] {
            assert_eq!(parse(other), None, "{other}");
        }
    }
}
