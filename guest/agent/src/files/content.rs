//! Content on its way between a pipe and a file.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::ftruncate;
use rustix::io::{pwrite, read, retry_on_intr, Errno};
use rustix::pipe::{splice, SpliceFlags};

use crate::output::write_all;

/// As much as a pipe holds by default.
const BUFFER_BYTES: usize = 65_536;
/// More than any pipe holds.
const SPLICE_BYTES: usize = 1 << 20;
/// What a file is allocated in.
const BLOCK_BYTES: usize = 4_096;
static ZEROS: [u8; BLOCK_BYTES] = [0; BLOCK_BYTES];

/// Moves up to `most` bytes, to the end of the source, and tells how many. Inside the kernel, where the two descriptors are of kinds
/// that allow it: that saves two copies of everything.
pub fn transfer(from: impl AsFd, to: impl AsFd, most: u64) -> rustix::io::Result<u64> {
    let mut moved = 0;
    while moved < most {
        let length = usize::try_from(most - moved).unwrap_or(SPLICE_BYTES).min(SPLICE_BYTES);
        match retry_on_intr(|| splice(&from, None, &to, None, length, SpliceFlags::MOVE)) {
            Ok(0) => break,
            Ok(length) => moved += length as u64,
            Err(Errno::INVAL) if moved == 0 => return copy(from, to, most),
            Err(errno) => return Err(errno),
        }
    }
    Ok(moved)
}

fn copy(from: impl AsFd, to: impl AsFd, most: u64) -> rustix::io::Result<u64> {
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut moved = 0;
    while moved < most {
        let wanted = usize::try_from(most - moved).unwrap_or(BUFFER_BYTES).min(BUFFER_BYTES);
        let length = retry_on_intr(|| read(&from, &mut buffer[..wanted]))?;
        if length == 0 {
            break;
        }
        write_all(&to, &buffer[..length])?;
        moved += length as u64;
    }
    Ok(moved)
}

/// Takes everything from a pipe into a new file and leaves holes where there are only zeros.
pub fn transfer_sparsely(from: impl AsFd, to: BorrowedFd<'_>) -> rustix::io::Result<u64> {
    let mut sink = SparseSink::new(to);
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        match retry_on_intr(|| read(&from, &mut buffer[..]))? {
            0 => return sink.finish(),
            length => sink.push(&buffer[..length])?,
        }
    }
}

/// Writes a new file in pieces of any length. A piece of a block that has only zeros is left out: the file reads as zeros there
/// anyway, and a block of which every piece is left out is a hole.
pub struct SparseSink<'a> {
    file: BorrowedFd<'a>,
    length: u64,
    /// How long the file is by what was written.
    written: u64,
}

impl<'a> SparseSink<'a> {
    pub fn new(file: BorrowedFd<'a>) -> Self {
        Self { file, length: 0, written: 0 }
    }

    pub fn push(&mut self, bytes: &[u8]) -> rustix::io::Result<()> {
        let mut data = 0..0;
        let mut position = 0;
        while position < bytes.len() {
            let within = usize::try_from((self.length + position as u64) % BLOCK_BYTES as u64).unwrap_or_default();
            let end = bytes.len().min(position + BLOCK_BYTES - within);
            if bytes[position..end] == ZEROS[..end - position] {
                self.write(bytes, data)?;
                data = end..end;
            } else {
                data.end = end;
            }
            position = end;
        }
        self.write(bytes, data)?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    fn write(&mut self, bytes: &[u8], range: std::ops::Range<usize>) -> rustix::io::Result<()> {
        let mut rest = &bytes[range.clone()];
        let mut offset = self.length + range.start as u64;
        while !rest.is_empty() {
            let length = retry_on_intr(|| pwrite(self.file, rest, offset))?;
            rest = &rest[length..];
            offset += length as u64;
            self.written = offset;
        }
        Ok(())
    }

    /// Gives the file its length and tells it.
    pub fn finish(self) -> rustix::io::Result<u64> {
        if self.written < self.length {
            ftruncate(self.file, self.length)?;
        }
        Ok(self.length)
    }
}
