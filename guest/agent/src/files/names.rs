//! The names in a directory.

use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::os::fd::AsFd;

use rustix::fs::{FileType, RawDir};
use rustix::io::Errno;

/// Holds at least 28 names of the greatest length; a typical directory is read with one call.
const BUFFER_BYTES: usize = 8_192;

/// Calls with each name, and with its type as far as the file system tells. A directory that has been removed has none.
pub fn each_name(
    directory: impl AsFd,
    mut seen: impl FnMut(&CStr, FileType) -> rustix::io::Result<()>,
) -> rustix::io::Result<()> {
    let mut buffer = [MaybeUninit::<u8>::uninit(); BUFFER_BYTES];
    let mut entries = RawDir::new(directory, &mut buffer);
    while let Some(entry) = entries.next() {
        let entry = match entry {
            Err(Errno::NOENT) => return Ok(()),
            other => other?,
        };
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            seen(entry.file_name(), entry.file_type())?;
        }
    }
    Ok(())
}

/// The names of a directory in the order of their bytes, in little memory: a directory may have a hundred thousand.
#[derive(Debug, Default)]
pub struct Names {
    bytes: Vec<u8>,
    /// Where each begins; it ends with a NUL.
    starts: Vec<usize>,
}

impl Names {
    pub fn sorted(directory: impl AsFd) -> rustix::io::Result<Self> {
        let mut names = Self::default();
        each_name(directory, |name, _| {
            names.push(name);
            Ok(())
        })?;
        let bytes = &names.bytes;
        // No two names are the same and NUL is the least of bytes, so what follows a name never decides.
        names.starts.sort_unstable_by(|left, right| bytes[*left..].cmp(&bytes[*right..]));
        Ok(names)
    }

    pub fn push(&mut self, name: &CStr) {
        self.starts.push(self.bytes.len());
        self.bytes.extend_from_slice(name.to_bytes_with_nul());
    }

    pub fn last(&self) -> Option<&CStr> {
        self.get(self.starts.len().checked_sub(1)?)
    }

    pub fn pop(&mut self) {
        if let Some(start) = self.starts.pop() {
            self.bytes.truncate(start);
        }
    }

    pub fn get(&self, index: usize) -> Option<&CStr> {
        let start = *self.starts.get(index)?;
        CStr::from_bytes_until_nul(&self.bytes[start..]).ok()
    }
}
