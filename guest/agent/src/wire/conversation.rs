//! What may come next: the opening, the exchanges that are open, and the credit of each of their streams.

use std::collections::BTreeMap;

use super::answer::{self, Answer};
use super::frame::{is_guests, Frame, FrameType, WireError};
use super::message::parse_welcome;
use super::request::Request;

/// Bytes that the receiver of every stream has granted when an exchange opens.
pub const INITIAL_CREDIT: u32 = 262_144;
/// The most credit that a sender may hold.
pub const HIGHEST_CREDIT: u32 = 0x7fff_ffff;

/// Exchanges that the guest may have open at the same time.
pub const MOST_EVEN_EXCHANGES: usize = 1_024;

/// The directions of the streams of a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Streams {
    pub from_host: &'static [u8],
    pub from_guest: &'static [u8],
}

impl Streams {
    #[must_use]
    pub fn of_method(method: &str) -> Self {
        match method {
            "exec" => Self { from_host: &[0], from_guest: &[1, 2] },
            "run" => Self { from_host: &[], from_guest: &[1, 2] },
            "dial" => Self { from_host: &[0], from_guest: &[1] },
            "connect" => Self { from_host: &[1], from_guest: &[0] },
            _ => Self { from_host: &[], from_guest: &[] },
        }
    }
}

/// Stream counters of one open exchange. Streams are few, so small vectors beat maps.
#[derive(Debug)]
struct OpenExchange {
    /// Per stream from the host: bytes it may still send, `None` after END.
    windows: Vec<(u8, Option<u32>)>,
    /// Per stream to the host: bytes that may still be sent.
    credits: Vec<(u8, u32)>,
}

/// A frame of the host that passed all checks.
#[derive(Debug, PartialEq)]
pub enum Incoming {
    Welcome,
    Request {
        id: u32,
        request: Request,
    },
    Cancel {
        id: u32,
    },
    Data {
        id: u32,
        stream: u8,
        bytes: Vec<u8>,
    },
    End {
        id: u32,
        stream: u8,
    },
    /// The sender's credit has been raised.
    Credit {
        id: u32,
        stream: u8,
    },
    /// What an exchange of the guest asked for has come about.
    Connected {
        id: u32,
    },
    /// The end of an exchange of the guest.
    Response {
        id: u32,
        answer: Answer,
    },
    /// The frame crossed the RESPONSE of its exchange.
    Stale,
}

#[derive(Debug, Default)]
pub struct Conversation {
    welcomed: bool,
    open: BTreeMap<u32, OpenExchange>,
    /// The highest id that the guest has used.
    highest_begun: u32,
    /// Exchanges of the guest among the open ones.
    begun: usize,
}

impl Conversation {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    #[must_use]
    pub fn open_exchanges(&self) -> usize {
        self.open.len()
    }

    #[must_use]
    pub fn is_open(&self, id: u32) -> bool {
        self.open.contains_key(&id)
    }

    /// Judges a frame of the host and keeps the books.
    pub fn accept(&mut self, frame: Frame) -> Result<Incoming, WireError> {
        let Frame { kind, stream, id, payload } = frame;
        if self.welcomed == (kind == FrameType::Welcome) {
            return Err(WireError::Opening(kind));
        }
        match kind {
            FrameType::Welcome => {
                parse_welcome(&payload)?;
                self.welcomed = true;
                Ok(Incoming::Welcome)
            }
            FrameType::Request => {
                let request = Request::parse(&payload)?;
                self.open(id, Streams::of_method(&request.method))?;
                Ok(Incoming::Request { id, request })
            }
            FrameType::Cancel if self.open.contains_key(&id) => Ok(Incoming::Cancel { id }),
            _ if is_guests(id) && !self.open.contains_key(&id) => Err(WireError::NotOpen(id)),
            FrameType::Event => {
                answer::parse_event(&payload)?;
                Ok(Incoming::Connected { id })
            }
            FrameType::Response => {
                let answer = Answer::parse(&payload)?;
                self.close(id);
                Ok(Incoming::Response { id, answer })
            }
            FrameType::Data => self.accept_data(id, stream, payload),
            FrameType::Credit => self.accept_credit(id, stream, &payload),
            FrameType::End => {
                let Some(window) = self.window(id, stream)? else {
                    return Ok(Incoming::Stale);
                };
                if window.take().is_none() {
                    return Err(WireError::Ended(id, stream));
                }
                Ok(Incoming::End { id, stream })
            }
            _ => Ok(Incoming::Stale),
        }
    }

    /// Opens an exchange.
    pub fn open(&mut self, id: u32, streams: Streams) -> Result<(), WireError> {
        let windows = streams.from_host.iter().map(|&stream| (stream, Some(INITIAL_CREDIT))).collect();
        let credits = streams.from_guest.iter().map(|&stream| (stream, INITIAL_CREDIT)).collect();
        match self.open.insert(id, OpenExchange { windows, credits }) {
            None => {
                self.begun += usize::from(is_guests(id));
                Ok(())
            }
            Some(_) => Err(WireError::Reused(id)),
        }
    }

    /// Opens an exchange of the guest, whose REQUEST the caller sends. `None` when the host has too many open, or all ids are
    /// used up.
    pub fn begin(&mut self, method: &str) -> Option<u32> {
        if self.begun >= MOST_EVEN_EXCHANGES {
            return None;
        }
        let id = self.highest_begun.checked_add(2)?;
        self.open(id, Streams::of_method(method)).ok()?;
        self.highest_begun = id;
        Some(id)
    }

    /// Notes that the RESPONSE has been queued, or has come.
    pub fn close(&mut self, id: u32) {
        if self.open.remove(&id).is_some() && is_guests(id) {
            self.begun -= 1;
        }
    }

    /// Bytes that may be sent on a stream now.
    #[must_use]
    pub fn credit(&self, id: u32, stream: u8) -> u32 {
        let credits = self.open.get(&id).map(|exchange| exchange.credits.as_slice()).unwrap_or_default();
        credits.iter().find(|(number, _)| *number == stream).map_or(0, |(_, credit)| *credit)
    }

    /// Notes that bytes are on their way.
    pub fn spend(&mut self, id: u32, stream: u8, bytes: usize) {
        if let Some(credit) = self.credit_mut(id, stream) {
            *credit = credit.saturating_sub(u32::try_from(bytes).unwrap_or(u32::MAX));
        }
    }

    /// Grants the host `bytes` more on a stream; false when it has ended, so that there is nothing to tell.
    pub fn grant(&mut self, id: u32, stream: u8, bytes: u32) -> bool {
        match self.window(id, stream) {
            Ok(Some(Some(window))) => {
                *window = window.saturating_add(bytes);
                true
            }
            _ => false,
        }
    }

    fn accept_data(&mut self, id: u32, stream: u8, bytes: Vec<u8>) -> Result<Incoming, WireError> {
        let Some(window) = self.window(id, stream)? else {
            return Ok(Incoming::Stale);
        };
        let left = window.ok_or(WireError::Ended(id, stream))?;
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        *window = Some(left.checked_sub(length).ok_or(WireError::Credit(u64::from(length)))?);
        Ok(Incoming::Data { id, stream, bytes })
    }

    fn accept_credit(&mut self, id: u32, stream: u8, payload: &[u8]) -> Result<Incoming, WireError> {
        let bytes = payload.try_into().map_err(|_| WireError::Credit(0))?;
        let grant = u32::from_le_bytes(bytes);
        if grant == 0 || grant > HIGHEST_CREDIT {
            return Err(WireError::Credit(u64::from(grant)));
        }
        if !self.open.contains_key(&id) {
            return Ok(Incoming::Stale);
        }
        let credit = self.credit_mut(id, stream).ok_or(WireError::NoStream(id, stream))?;
        let total = u64::from(*credit) + u64::from(grant);
        if total > u64::from(HIGHEST_CREDIT) {
            return Err(WireError::Credit(total));
        }
        *credit += grant;
        Ok(Incoming::Credit { id, stream })
    }

    /// The window of a stream from the host; `None` when the exchange is not open.
    fn window(&mut self, id: u32, stream: u8) -> Result<Option<&mut Option<u32>>, WireError> {
        let Some(exchange) = self.open.get_mut(&id) else {
            return Ok(None);
        };
        let found = exchange.windows.iter_mut().find(|(number, _)| *number == stream);
        found.map(|(_, window)| Some(window)).ok_or(WireError::NoStream(id, stream))
    }

    fn credit_mut(&mut self, id: u32, stream: u8) -> Option<&mut u32> {
        let credits = &mut self.open.get_mut(&id)?.credits;
        credits.iter_mut().find(|(number, _)| *number == stream).map(|(_, credit)| credit)
    }
}
