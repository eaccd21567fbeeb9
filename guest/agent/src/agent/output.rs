//! One output stream of a program on its way to the host: no more than the host has credit for, no more than the
//! limit, and at the end exactly what was in the pipe.

use std::os::fd::AsFd;

use rustix::io::{ioctl_fionread, Errno};

use super::outbox::WRITE_BYTES;
use super::port::Port;
use crate::wire::frame::HEADER_BYTES;
use crate::wire::{Frame, FrameType};

/// A frame that fills one write to the port.
const CHUNK: usize = WRITE_BYTES - HEADER_BYTES;

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
        Self { id, stream, left, truncated: false, remaining: None, ended: false, given_up: false }
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
        let length = text.len().min(left).min(credit).min(CHUNK);
        self.truncated |= length < text.len();
        let Some(bytes) = text.as_bytes().get(..length).filter(|bytes| !bytes.is_empty()) else {
            return;
        };
        port.conversation.spend(self.id, self.stream, length);
        port.outbox.push_data(Frame::encode(FrameType::Data, self.stream, self.id, bytes));
    }

    /// Whether the pipe should be waited for.
    #[must_use]
    pub fn wants(&self, port: &Port) -> bool {
        !self.ended && self.pass(port) != Pass::Wait
    }

    fn pass(&self, port: &Port) -> Pass {
        let most = usize::try_from(self.remaining.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
        if most == 0 {
            return Pass::Wait;
        }
        if self.left == 0 {
            return Pass::Drop(most.min(CHUNK));
        }
        let credit = port.conversation.credit(self.id, self.stream) as usize;
        if credit == 0 {
            return if self.given_up { Pass::Drop(most.min(CHUNK)) } else { Pass::Wait };
        }
        if !port.outbox.has_data_room() {
            return Pass::Wait;
        }
        let left = usize::try_from(self.left).unwrap_or(usize::MAX);
        Pass::Send(most.min(left).min(credit).min(CHUNK))
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
        // A buffer that stays, and a frame of the size it needs: many small frames must not hold much memory.
        let read = rustix::io::read(pipe, port.scratch.get_mut(..most).unwrap_or_default());
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
        self.account(length, send);
        if send {
            let bytes = port.scratch.get(..length).unwrap_or_default();
            port.outbox.push_data(Frame::encode(FrameType::Data, self.stream, self.id, bytes));
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
