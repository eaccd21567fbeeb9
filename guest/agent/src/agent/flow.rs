//! A connection of a program to the outside, from its first packet to its end.

use std::time::Duration;

use super::splice::{Splice, StreamNumbers};
use crate::network::packet::{Content, Packet};
use crate::network::reply::{self, Unreachable};
use crate::wire::answer::Refusal;

const STREAMS: StreamNumbers = StreamNumbers { to_host: 0, from_host: 1 };
/// The program's own kernel answers at once; what takes longer is a program that has gone without a word.
const HANDSHAKE: Duration = Duration::from_secs(30);

pub enum Stage {
    /// The host connects. Until it has, the program's packet is held back.
    Asking { opening: Vec<u8> },
    /// The packet is on its way to the listener.
    Opening { until: Duration },
    /// The socket is the splice's.
    Joined,
}

pub struct Flow {
    /// As the table of addresses knows it.
    pub number: u16,
    pub stage: Stage,
    pub splice: Splice,
    /// The host has said that the exchange is over: what is left is the program's to take.
    pub answered: bool,
    /// Since when it is known that no program holds its connection.
    pub left: Option<Duration>,
}

impl Flow {
    #[must_use]
    pub fn new(id: u32, number: u16, opening: Vec<u8>) -> Self {
        let stage = Stage::Asking { opening };
        Self { number, stage, splice: Splice::new(id, STREAMS), answered: false, left: None }
    }

    /// The host has the connection: the packet that opens it, to be sent on.
    pub fn open(&mut self, now: Duration) -> Option<Vec<u8>> {
        match std::mem::replace(&mut self.stage, Stage::Opening { until: now + HANDSHAKE }) {
            Stage::Asking { opening } => Some(opening),
            other => {
                self.stage = other;
                None
            }
        }
    }

    #[must_use]
    pub fn is_opening(&self) -> bool {
        matches!(self.stage, Stage::Opening { .. })
    }

    /// When the handshake will have taken too long.
    #[must_use]
    pub fn due(&self) -> Option<Duration> {
        match self.stage {
            Stage::Opening { until } => Some(until),
            _ => None,
        }
    }

    /// Nothing is left to be done for it.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.splice.is_broken() || (self.answered && self.splice.is_delivered())
    }
}

/// The packet that tells a program why it has no connection.
#[must_use]
pub fn refusal(opening: &[u8], why: Refusal) -> Option<Vec<u8>> {
    let packet = Packet::parse(opening)?;
    let Content::Tcp(segment) = packet.content else { return None };
    match why {
        Refusal::Unreachable | Refusal::TimedOut => Some(reply::unreachable(opening, packet.source, Unreachable::Host)),
        Refusal::Refused | Refusal::ConnectionRefused | Refusal::Reset | Refusal::Busy => {
            reply::reset(&packet, &segment)
        }
    }
}
