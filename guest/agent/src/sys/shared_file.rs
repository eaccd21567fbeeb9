//! A small file of a tmpfs that the agent rewrites through memory. On a clone's way to its first result every distinct
//! system call has to be translated by an emulating host: creating and renaming four files took a quarter of it.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::ptr::{self, NonNull};

use rustix::fs::{ftruncate, Mode, OFlags};
use rustix::mm::{mmap, MapFlags, ProtFlags};

/// One page: what such a file holds is a few lines.
const CAPACITY: usize = 4_096;

/// Mapped for as long as the agent lives, which is as long as the machine does.
#[derive(Debug)]
pub struct SharedFile {
    file: OwnedFd,
    bytes: NonNull<u8>,
    length: usize,
}

impl SharedFile {
    /// Makes a file that everybody may read.
    pub fn create(path: &Path) -> io::Result<Self> {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::CLOEXEC;
        let file = rustix::fs::open(path, flags, Mode::from_raw_mode(0o644))?;
        rustix::fs::fchmod(&file, Mode::from_raw_mode(0o644))?;
        // SAFETY: a new mapping at an address of the kernel's choice. The file is the agent's: nobody else may write to
        // it or make it shorter than what is stored through the mapping.
        let bytes =
            unsafe { mmap(ptr::null_mut(), CAPACITY, ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED, &file, 0)? };
        let bytes = NonNull::new(bytes.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { file, bytes, length: 0 })
    }

    /// Replaces the content. A reader in this very moment may see parts of both: readers of files that change while they
    /// run must expect that, and at a resume from a template nobody runs.
    pub fn write(&mut self, content: &[u8]) -> io::Result<()> {
        if content.len() > CAPACITY {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        // Beyond the end of a file its pages must not be touched, and within the last page bytes beyond it are not kept.
        if content.len() > self.length {
            ftruncate(&self.file, content.len() as u64)?;
        }
        // SAFETY: the mapping has room for CAPACITY bytes, which the content was compared with, and `content` is not part
        // of it; the file covers the page as soon as it has one byte.
        unsafe { ptr::copy_nonoverlapping(content.as_ptr(), self.bytes.as_ptr(), content.len()) };
        if content.len() < self.length {
            ftruncate(&self.file, content.len() as u64)?;
        }
        self.length = content.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::SharedFile;

    #[test]
    fn readers_see_what_was_written_last_and_nothing_beyond_its_end() {
        let path = std::env::temp_dir().join(format!("exec-sandbox-shared-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let mut file = SharedFile::create(&path).unwrap();
        for content in ["", "first", "the second is longer", "2nd", "", "x"] {
            file.write(content.as_bytes()).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
        }
        assert!(file.write(&[0; 4_097]).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "x");
        std::fs::remove_file(&path).unwrap();
    }
}
