//! Which connection of a program's is which connection of the agent's listener. Each flow has a number, which is the port
//! that its other end has as the listener sees it.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddrV4;

/// Closed flows that are remembered, because their last segments are still on the way.
const CLOSED: usize = 2_048;
/// Below are the numbers of services, which a defect should not look like.
const LOWEST_NUMBER: u16 = 1_024;

/// A connection as the program has it: its own port, and the server it asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ends {
    pub program_port: u16,
    pub server: SocketAddrV4,
}

#[derive(Debug)]
struct Entry {
    ends: Ends,
    open: bool,
}

#[derive(Debug)]
pub struct Nat {
    entries: BTreeMap<u16, Entry>,
    numbers: BTreeMap<Ends, u16>,
    /// Closed entries, the oldest first.
    closed: VecDeque<u16>,
    next: u16,
}

impl Default for Nat {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), numbers: BTreeMap::new(), closed: VecDeque::new(), next: LOWEST_NUMBER }
    }
}

impl Nat {
    /// Gives a new flow its number. A flow between the same ends, which must be over, is forgotten. `None` when there are more
    /// flows than numbers, which the caller's own limit is far below.
    pub fn open(&mut self, ends: Ends) -> Option<u16> {
        if let Some(old) = self.numbers.get(&ends).copied() {
            self.forget(old);
        }
        if self.entries.len() > usize::from(u16::MAX - LOWEST_NUMBER) {
            return None;
        }
        let mut number = self.advance();
        while self.entries.contains_key(&number) {
            number = self.advance();
        }
        self.entries.insert(number, Entry { ends, open: true });
        self.numbers.insert(ends, number);
        Some(number)
    }

    /// Numbers go round, so one is not used again while the kernel may remember its last use.
    fn advance(&mut self) -> u16 {
        let number = self.next;
        self.next = number.checked_add(1).unwrap_or(LOWEST_NUMBER);
        number
    }

    /// Notes that a flow is over. Its segments are passed on until many others have ended after it.
    pub fn close(&mut self, number: u16) {
        let Some(entry) = self.entries.get_mut(&number).filter(|entry| entry.open) else { return };
        entry.open = false;
        self.closed.push_back(number);
        if self.closed.len() > CLOSED {
            if let Some(oldest) = self.closed.front().copied() {
                self.forget(oldest);
            }
        }
    }

    pub fn forget(&mut self, number: u16) {
        let Some(entry) = self.entries.remove(&number) else { return };
        if self.numbers.get(&entry.ends) == Some(&number) {
            self.numbers.remove(&entry.ends);
        }
        if !entry.open {
            self.closed.retain(|closed| *closed != number);
        }
    }

    #[must_use]
    pub fn number(&self, ends: Ends) -> Option<u16> {
        self.numbers.get(&ends).copied()
    }

    #[must_use]
    pub fn ends(&self, number: u16) -> Option<Ends> {
        self.entries.get(&number).map(|entry| entry.ends)
    }

    #[must_use]
    pub fn is_open(&self, number: u16) -> bool {
        self.entries.get(&number).is_some_and(|entry| entry.open)
    }
}
