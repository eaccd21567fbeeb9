//! Bytes of a stream that the host sends, on their way into a descriptor: a program's standard input, or a socket. The credit
//! window bounds what waits here.

use std::collections::VecDeque;

use super::port::Port;

/// Credit is given back in portions, not for each write.
const GRANT_BYTES: usize = 65_536;

#[derive(Debug, Default)]
pub struct Inflow {
    waiting: VecDeque<u8>,
    ended: bool,
    /// Taken from the host and not yet granted again.
    consumed: usize,
}

impl Inflow {
    /// Takes what the host sent: straight through `write`, which gives how much it took, if nothing waits before it.
    pub fn accept(&mut self, bytes: &[u8], write: impl FnOnce(&[u8]) -> usize) {
        let written = if self.waiting.is_empty() { write(bytes) } else { 0 };
        self.consumed += written;
        self.waiting.extend(bytes.get(written..).unwrap_or_default());
    }

    /// Writes what waits, until `write` takes nothing any more.
    pub fn push(&mut self, mut write: impl FnMut(&[u8]) -> usize) {
        while !self.waiting.is_empty() {
            let written = write(self.waiting.as_slices().0);
            if written == 0 {
                break;
            }
            self.waiting.drain(..written);
            self.consumed += written;
        }
    }

    /// Nobody wants it any more: what waits is taken and dropped, so that the host can finish.
    pub fn discard(&mut self) {
        self.consumed += self.waiting.len();
        self.waiting.clear();
    }

    /// The host sends no more.
    pub fn end(&mut self) {
        self.ended = true;
    }

    #[must_use]
    pub fn waiting_bytes(&self) -> usize {
        self.waiting.len()
    }

    /// Everything has been written, and nothing more will come.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.ended && self.waiting.is_empty()
    }

    /// Gives credit back for what has been taken.
    pub fn grant(&mut self, id: u32, stream: u8, port: &mut Port) {
        let due = self.consumed >= GRANT_BYTES || (self.waiting.is_empty() && self.consumed > 0);
        if !self.ended && due {
            port.grant(id, stream, std::mem::take(&mut self.consumed));
        }
    }
}
