//! Content on its way between a pipe and a file.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::ftruncate;
use rustix::io::{pwrite, read, retry_on_intr, Errno, Result};
use rustix::pipe::{fcntl_setpipe_size, splice, SpliceFlags};

use crate::output::write_all;

/// As much as a pipe holds by default.
const BUFFER_BYTES: usize = 65_536;
/// The window of a stream (docs/protocol.md, "Streams and credit"): the host never has more under way.
pub const WIDE_PIPE_BYTES: usize = 262_144;
/// A first piece of this length belongs to a content for which a wider pipe pays.
const LARGE_BYTES: u64 = 16_384;
/// What a file is allocated in.
const BLOCK_BYTES: usize = 4_096;
static ZEROS: [u8; BLOCK_BYTES] = [0; BLOCK_BYTES];

/// Moves up to `most` bytes, to the end of the source, and tells how many. Inside the kernel, where the two descriptors are of kinds
/// that allow it: that saves a copy or two of everything, which is most of the work under emulation.
pub fn transfer(from: impl AsFd, to: impl AsFd, most: u64) -> Result<u64> {
    let mut moved = 0;
    while moved < most {
        let wanted = usize::try_from(most - moved).unwrap_or(WIDE_PIPE_BYTES).min(WIDE_PIPE_BYTES);
        let length = match retry_on_intr(|| splice(&from, None, &to, None, wanted, SpliceFlags::empty())) {
            Err(Errno::INVAL) if moved == 0 => return copy(from, to, most),
            length => length? as u64,
        };
        if length == 0 {
            break;
        }
        if moved == 0 && length >= LARGE_BYTES {
            widen(&from);
            widen(&to);
        }
        moved += length;
    }
    Ok(moved)
}

/// Lets a pipe hold more, so that those at its ends take turns less often.
pub fn widen(pipe: impl AsFd) {
    // It is no pipe, or the user has had all the room for pipes there is: then it works as it is.
    let _ = fcntl_setpipe_size(pipe, WIDE_PIPE_BYTES);
}

fn copy(from: impl AsFd, to: impl AsFd, most: u64) -> Result<u64> {
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
pub fn transfer_sparsely(from: impl AsFd, to: BorrowedFd<'_>) -> Result<u64> {
    widen(&from);
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

    pub fn push(&mut self, bytes: &[u8]) -> Result<()> {
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

    fn write(&mut self, bytes: &[u8], range: std::ops::Range<usize>) -> Result<()> {
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
    pub fn finish(self) -> Result<u64> {
        if self.written < self.length {
            ftruncate(self.file, self.length)?;
        }
        Ok(self.length)
    }
}
