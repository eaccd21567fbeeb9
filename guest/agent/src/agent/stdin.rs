//! What the host sends to a program's standard input. The credit window bounds what waits here; a program that does not
//! read stops the host and nobody else.

use std::collections::VecDeque;

use rustix::io::Errno;

use super::poller::{Interest, Watched};
use super::port::Port;

const STREAM: u8 = 0;
/// Credit is given back in portions, not for each write.
const GRANT_BYTES: usize = 65_536;

pub struct StdinPipe {
    /// Gone when all has been written after END, or when the program has closed its end.
    pipe: Option<Watched>,
    waiting: VecDeque<u8>,
    ended: bool,
    /// Taken from the host and not yet granted again.
    consumed: usize,
}

impl StdinPipe {
    #[must_use]
    pub fn new(pipe: Watched) -> Self {
        Self { pipe: Some(pipe), waiting: VecDeque::new(), ended: false, consumed: 0 }
    }

    pub fn accept(&mut self, bytes: &[u8]) {
        self.waiting.extend(bytes);
    }

    pub fn end(&mut self) {
        self.ended = true;
    }

    /// Writes what the pipe takes, gives credit back, and closes the pipe when there will be nothing more.
    pub fn pump(&mut self, id: u32, port: &mut Port) {
        while let Some(pipe) = &self.pipe {
            let (front, _) = self.waiting.as_slices();
            if front.is_empty() {
                break;
            }
            match rustix::io::write(pipe, front) {
                Ok(length) => {
                    self.waiting.drain(..length);
                    self.consumed += length;
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                // The program does not want more: what comes is taken and dropped, so that the host can finish.
                Err(_) => self.pipe = None,
            }
        }
        if self.pipe.is_none() {
            self.consumed += self.waiting.len();
            self.waiting.clear();
        }
        if self.waiting.is_empty() && self.ended {
            self.pipe = None;
        }
        if !self.ended && (self.consumed >= GRANT_BYTES || (self.waiting.is_empty() && self.consumed > 0)) {
            port.grant(id, STREAM, std::mem::take(&mut self.consumed));
        }
    }

    pub fn update_interest(&mut self) -> std::io::Result<()> {
        let interest = if self.waiting.is_empty() { Interest::default() } else { Interest::WRITE };
        self.pipe.as_mut().map_or(Ok(()), |pipe| pipe.want(interest))
    }
}
