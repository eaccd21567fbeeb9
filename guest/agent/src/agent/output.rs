//! One output stream of a program on its way to the host: no more than the host has credit for, no more than the
//! limit, and at the end exactly what was in the pipe.

use std::os::fd::AsFd;
use std::time::Duration;

use rustix::io::{ioctl_fionread, Errno};

use super::port::{Port, CHUNK_BYTES};
use super::room::PipeRoom;
use crate::clock;
use crate::wire::{Frame, FrameType};

/// A program that writes line by line wakes the agent for each line, which costs twenty times as much as the line itself
/// under emulation. After two small pieces in quick succession the pipe is left alone for a moment and collects.
const SMALL_BYTES: usize = 4_096;
/// Far below what a person or a protocol over pipes would notice; 32 MB/s still fit through a pipe of 64 KiB.
const MOMENT: Duration = Duration::from_millis(2);

#[derive(Debug)]
pub struct Output {
    id: u32,
    stream: u8,
    /// Bytes that may still be passed on; what comes after is read and dropped.
    left: u64,
    truncated: bool,
    /// Set when the program has ended: bytes that are still to be read.
    remaining: Option<u64>,
    /// The pipe has no writer left, or broke.
    ended: bool,
    /// When the last small piece was read.
    last_small: Option<Duration>,
    /// Until then the pipe collects.
    collects_until: Option<Duration>,
    room: PipeRoom,
    /// The host has given the exchange up: what it has no credit for is dropped instead of waited for.
    given_up: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pass {
    /// Read so many bytes at most and send them.
    Send(usize),
    /// Read so many bytes at most and drop them.
    Drop(usize),
    /// Nothing may be read now.
    Wait,
}

impl Output {
    /// A limit of `None` passes everything on.
    #[must_use]
    pub fn new(id: u32, stream: u8, limit: Option<u64>) -> Self {
        let left = limit.unwrap_or(u64::MAX);
        Self {
            id,
            stream,
            left,
            truncated: false,
            remaining: None,
            ended: false,
            last_small: None,
            collects_until: None,
            room: PipeRoom::default(),
            given_up: false,
        }
    }

    #[must_use]
    pub fn truncated(&self) -> bool {
        self.truncated
    }

    /// The program has ended: what is in the pipe at this moment belongs to it, and nothing after.
    pub fn finish(&mut self, pipe: impl AsFd) {
        if self.remaining.is_none() {
            self.remaining = Some(ioctl_fionread(pipe).unwrap_or(0));
        }
    }

    /// What comes now comes from another pipe.
    pub fn starts_over(&mut self) {
        self.ended = false;
        self.collects_until = None;
        self.room = PipeRoom::default();
    }

    /// The host will not take more.
    pub fn give_up(&mut self) {
        self.given_up = true;
    }

    #[must_use]
    pub fn is_done(&self) -> bool {
        self.remaining == Some(0) || (self.ended && self.remaining.is_some())
    }

    /// Sends words of the agent's own as if the program had written them.
    pub fn say(&mut self, text: &str, port: &mut Port) {
        let left = usize::try_from(self.left).unwrap_or(usize::MAX);
        let credit = port.conversation.credit(self.id, self.stream) as usize;
        let length = text.len().min(left).min(credit).min(CHUNK_BYTES);
        self.truncated |= length < text.len();
        let Some(bytes) = text.as_bytes().get(..length).filter(|bytes| !bytes.is_empty()) else {
            return;
        };
        port.conversation.spend(self.id, self.stream, length);
        port.outbox.push_data(Frame::encode(FrameType::Data, self.stream, self.id, bytes));
    }

    /// Whether the pipe should be waited for now. While it collects, `due` tells when to ask again.
    pub fn wants(&mut self, port: &Port) -> bool {
        self.collects_until = self.collects_until.filter(|until| clock::now() < *until);
        !self.ended && self.due().is_none() && self.pass(port) != Pass::Wait
    }

    /// When a pipe that collects is to be waited for again.
    #[must_use]
    pub fn due(&self) -> Option<Duration> {
        self.collects_until.filter(|_| !self.ended && self.remaining.is_none())
    }

    /// Notes a piece that was read, and decides whether the pipe collects for a moment.
    fn paced(&mut self, length: usize, now: Duration) {
        let small = length < SMALL_BYTES;
        let in_succession = self.last_small.is_some_and(|last| now.saturating_sub(last) < 2 * MOMENT);
        self.collects_until = (small && in_succession).then(|| now + MOMENT);
        self.last_small = small.then_some(now);
    }

    fn pass(&self, port: &Port) -> Pass {
        let most = usize::try_from(self.remaining.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
        if most == 0 {
            return Pass::Wait;
        }
        if self.left == 0 {
            return Pass::Drop(most.min(CHUNK_BYTES));
        }
        let credit = port.conversation.credit(self.id, self.stream) as usize;
        if credit == 0 {
            return if self.given_up { Pass::Drop(most.min(CHUNK_BYTES)) } else { Pass::Wait };
        }
        if !port.outbox.has_data_room() {
            return Pass::Wait;
        }
        let left = usize::try_from(self.left).unwrap_or(usize::MAX);
        Pass::Send(most.min(left).min(credit).min(CHUNK_BYTES))
    }

    /// Reads once. True when bytes were moved, so that reading again may move more.
    pub fn pump(&mut self, pipe: impl AsFd, port: &mut Port) -> bool {
        if self.ended {
            return false;
        }
        let (send, most) = match self.pass(port) {
            Pass::Send(most) => (true, most),
            Pass::Drop(most) => (false, most),
            Pass::Wait => return false,
        };
        let read = rustix::io::read(&pipe, port.content(most));
        let length = match read {
            Ok(0) => {
                self.ended = true;
                return false;
            }
            Ok(length) => length,
            Err(Errno::AGAIN | Errno::INTR) => return false,
            Err(_) => {
                self.ended = true;
                return false;
            }
        };
        if length == CHUNK_BYTES {
            self.room.widen(&pipe);
        }
        self.account(length, send);
        self.paced(length, clock::now());
        if send {
            port.send_data(self.id, self.stream, length);
            port.conversation.spend(self.id, self.stream, length);
        }
        true
    }

    fn account(&mut self, length: usize, sent: bool) {
        let bytes = length as u64;
        if let Some(remaining) = &mut self.remaining {
            *remaining = remaining.saturating_sub(bytes);
        }
        if sent {
            self.left = self.left.saturating_sub(bytes);
        } else {
            self.truncated = true;
        }
    }
}
