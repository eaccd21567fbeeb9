//! Standard output, in large writes.

use std::os::fd::AsFd;

use rustix::buffer::spare_capacity;
use rustix::io::{retry_on_intr, Errno};
use rustix::stdio::stdout;

/// As much as a pipe holds by default.
const BUFFER_BYTES: usize = 65_536;

/// Of the length before a chunk.
const LENGTH_BYTES: usize = 4;
/// Less room than this is not filled up but emptied.
const LEAST_CHUNK_BYTES: usize = 16_384;

/// Writes all of it.
pub fn write_all(descriptor: impl AsFd, mut bytes: &[u8]) -> rustix::io::Result<()> {
    while !bytes.is_empty() {
        match retry_on_intr(|| rustix::io::write(&descriptor, bytes))? {
            0 => return Err(Errno::IO),
            length => bytes = bytes.get(length..).unwrap_or_default(),
        }
    }
    Ok(())
}

#[derive(Debug, Default)]
pub struct Output {
    buffer: Vec<u8>,
}

impl Output {
    pub fn push(&mut self, bytes: &[u8]) -> rustix::io::Result<()> {
        if self.buffer.len() + bytes.len() > BUFFER_BYTES {
            self.flush()?;
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    /// Reads a chunk of the record stream straight into the buffer and tells its length. The chunk of length 0 is the end of a content.
    pub fn push_chunk(&mut self, file: impl AsFd) -> rustix::io::Result<usize> {
        self.buffer.reserve_exact(BUFFER_BYTES.saturating_sub(self.buffer.len()));
        if self.buffer.len() + LENGTH_BYTES + LEAST_CHUNK_BYTES > BUFFER_BYTES {
            self.flush()?;
        }
        let begin = self.buffer.len();
        self.buffer.extend_from_slice(&[0; LENGTH_BYTES]);
        let length = retry_on_intr(|| rustix::io::read(&file, spare_capacity(&mut self.buffer)))?;
        let word = u32::try_from(length).map_err(|_| Errno::OVERFLOW)?;
        if let Some(place) = self.buffer.get_mut(begin..begin + LENGTH_BYTES) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        Ok(length)
    }

    pub fn flush(&mut self) -> rustix::io::Result<()> {
        let written = write_all(stdout(), &self.buffer);
        self.buffer.clear();
        written
    }
}
