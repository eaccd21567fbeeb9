//! The record stream of `pack` and `unpack` (docs/file-tool.md), read from standard input.

use rustix::io::{read, retry_on_intr, Errno};
use rustix::stdio::stdin;
use serde::Deserialize;

use crate::content::widen;
use crate::request::{Bytes, Permissions};

pub const MOST_HEADER_BYTES: usize = 65_536;
pub const MOST_CHUNK_BYTES: usize = 1 << 20;
/// Of a path within the tree.
pub const MOST_PATH_BYTES: usize = 4_096;
/// Many small records at once, and little of a large one.
const READ_BYTES: usize = 16_384;

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Directory,
    File,
    Symlink,
    End,
}

/// What a record begins with. Which fields there are depends on the kind.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Header {
    #[serde(rename = "type")]
    pub kind: Kind,
    pub path: Option<Bytes>,
    pub mode: Option<Permissions>,
    pub mtime_ms: Option<f64>,
    #[serde(default)]
    pub sparse: bool,
    pub target: Option<Bytes>,
    pub entries: Option<u64>,
}

/// Why the stream cannot be read on.
#[derive(Debug)]
pub enum Broken {
    Torn,
    Malformed(&'static str),
    Call(Errno),
}

impl From<Errno> for Broken {
    fn from(errno: Errno) -> Self {
        Self::Call(errno)
    }
}

/// Standard input, read ahead a little: most of a large content goes from the pipe to its file without coming by here.
#[derive(Debug)]
pub struct Input {
    buffer: Vec<u8>,
    /// What of the buffer has been taken, and how far it is filled.
    taken: usize,
    filled: usize,
}

impl Input {
    pub fn new() -> Self {
        widen(stdin());
        Self { buffer: vec![0; MOST_HEADER_BYTES + READ_BYTES], taken: 0, filled: 0 }
    }

    /// Waits until this many bytes are there, and gives them without taking them.
    fn peek(&mut self, length: usize) -> Result<&[u8], Broken> {
        while self.filled - self.taken < length {
            self.buffer.copy_within(self.taken..self.filled, 0);
            self.filled -= self.taken;
            self.taken = 0;
            let room = &mut self.buffer[self.filled..][..READ_BYTES];
            match retry_on_intr(|| read(stdin(), &mut *room))? {
                0 => return Err(Broken::Torn),
                length => self.filled += length,
            }
        }
        Ok(&self.buffer[self.taken..self.taken + length])
    }

    fn word(&mut self) -> Result<usize, Broken> {
        let bytes = self.peek(4)?;
        let word = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        self.taken += 4;
        usize::try_from(word).map_err(|_| Broken::Malformed("a length is out of range"))
    }

    pub fn header(&mut self) -> Result<Header, Broken> {
        let length = self.word()?;
        if length > MOST_HEADER_BYTES {
            return Err(Broken::Malformed("a header is too long"));
        }
        let header = serde_json::from_slice(self.peek(length)?).map_err(|_| Broken::Malformed("a header is malformed"));
        self.taken += length;
        header
    }

    /// The length of the next chunk; 0 at the end of the content.
    pub fn chunk(&mut self) -> Result<usize, Broken> {
        match self.word()? {
            length if length > MOST_CHUNK_BYTES => Err(Broken::Malformed("a chunk is too long")),
            length => Ok(length),
        }
    }

    /// What has been read of a chunk already, at most its length.
    pub fn take_read(&mut self, most: usize) -> &[u8] {
        let length = most.min(self.filled - self.taken);
        let begin = self.taken;
        self.taken += length;
        &self.buffer[begin..begin + length]
    }

    /// At least one byte of a chunk, at most the rest of it.
    pub fn take(&mut self, most: usize) -> Result<&[u8], Broken> {
        self.peek(1)?;
        Ok(self.take_read(most))
    }
}
