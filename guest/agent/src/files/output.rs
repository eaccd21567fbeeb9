//! Standard output, in large writes.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::buffer::spare_capacity;
use rustix::io::{retry_on_intr, Errno, Result};
use rustix::pipe::{pipe_with, splice, PipeFlags, SpliceFlags};
use rustix::stdio::stdout;

use crate::content::{transfer, widen, WIDE_PIPE_BYTES};

/// As much as a pipe holds by default.
const BUFFER_BYTES: usize = 65_536;

/// Of the length before a chunk.
const LENGTH_BYTES: usize = 4;
/// Less room than this is not filled up but emptied.
const LEAST_CHUNK_BYTES: usize = 16_384;

/// Smaller files are packed with fewer calls by way of the buffer.
const LARGE_BYTES: u64 = 65_536;

/// Writes all of it.
pub fn write_all(descriptor: impl AsFd, mut bytes: &[u8]) -> Result<()> {
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
    pub fn push(&mut self, bytes: &[u8]) -> Result<()> {
        if self.buffer.len() + bytes.len() > BUFFER_BYTES {
            self.flush()?;
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    /// Writes a file's content in chunks of the record stream, up to the chunk of length 0.
    pub fn push_chunks(&mut self, file: BorrowedFd<'_>, size: u64) -> Result<()> {
        if size >= LARGE_BYTES {
            self.splice_chunks(file)?;
        }
        while self.push_chunk(file)? > 0 {}
        Ok(())
    }

    /// Reads a chunk straight into the buffer and tells its length.
    fn push_chunk(&mut self, file: BorrowedFd<'_>) -> Result<usize> {
        self.buffer.reserve_exact(BUFFER_BYTES.saturating_sub(self.buffer.len()));
        if self.buffer.len() + LENGTH_BYTES + LEAST_CHUNK_BYTES > BUFFER_BYTES {
            self.flush()?;
        }
        let begin = self.buffer.len();
        self.buffer.extend_from_slice(&[0; LENGTH_BYTES]);
        let length = retry_on_intr(|| rustix::io::read(file, spare_capacity(&mut self.buffer)))?;
        if let Some(place) = self.buffer.get_mut(begin..begin + LENGTH_BYTES) {
            place.copy_from_slice(&word(length)?);
        }
        Ok(length)
    }

    /// Moves chunks inside the kernel, to the end of the file or as far as that works. How long a chunk is has to be said before it,
    /// and nobody knows how much can be read until it has been: so it waits in a pipe.
    fn splice_chunks(&mut self, file: BorrowedFd<'_>) -> Result<()> {
        let (waiting, entrance) = pipe_with(PipeFlags::CLOEXEC)?;
        widen(&entrance);
        loop {
            let length =
                match retry_on_intr(|| splice(file, None, &entrance, None, WIDE_PIPE_BYTES, SpliceFlags::empty())) {
                    Ok(0) | Err(Errno::INVAL) => return Ok(()),
                    length => length?,
                };
            self.push(&word(length)?)?;
            self.flush()?;
            transfer(&waiting, stdout(), length as u64)?;
        }
    }

    pub fn flush(&mut self) -> Result<()> {
        let written = write_all(stdout(), &self.buffer);
        self.buffer.clear();
        written
    }
}

/// A length as the record stream has it.
fn word(length: usize) -> Result<[u8; LENGTH_BYTES]> {
    u32::try_from(length).map(u32::to_le_bytes).map_err(|_| Errno::OVERFLOW)
}
