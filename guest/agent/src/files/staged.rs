//! A file that has no name until it is complete. Whatever ends this program before leaves nothing: the kernel frees a file without a
//! name with its last descriptor.

use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};

use exec_sandbox_agent::sys::signals::HeldInterrupts;
use rustix::fs::{
    fchmod, fstat, futimens, linkat, openat, renameat, statat, unlinkat, AtFlags, FileType, Mode, OFlags, Stat,
    Timespec, Timestamps, CWD, UTIME_OMIT,
};
use rustix::io::Errno;
use rustix::rand::{getrandom, GetRandomFlags};

use crate::entry;
use crate::failure::{At, Outcome};
use crate::paths::replaceable;

pub struct Staged<'a> {
    directory: BorrowedFd<'a>,
    file: OwnedFd,
    mode: u32,
}

impl<'a> Staged<'a> {
    /// A file for this directory.
    pub fn new(directory: BorrowedFd<'a>, mode: u32) -> rustix::io::Result<Self> {
        let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
        let file = openat(directory, ".", flags, Mode::from_raw_mode(mode))?;
        Ok(Self { directory, file, mode })
    }

    pub fn file(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Mode and time, once the content is there: writing takes set-uid bits away, and sets the time.
    pub fn finish(&self, mtime_ms: Option<f64>) -> rustix::io::Result<Stat> {
        if let Some(mtime_ms) = mtime_ms {
            futimens(&self.file, &modified_at(mtime_ms))?;
        }
        let stat = fstat(&self.file)?;
        if entry::permissions(&stat) == self.mode {
            return Ok(stat);
        }
        fchmod(&self.file, Mode::from_raw_mode(self.mode))?;
        fstat(&self.file)
    }

    /// Gives the file its name, in place of a file or a link that has it.
    pub fn publish(self, name: &[u8], path: &[u8]) -> Outcome<()> {
        match self.link(name) {
            Err(Errno::EXIST) => {}
            other => return other.at(path),
        }
        match statat(self.directory, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if entry::type_of(&stat) == FileType::Symlink => {}
            Ok(stat) => replaceable(entry::type_of(&stat), path)?,
            Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno).at(path),
        }
        replace(self.directory, name, |temporary| self.link(temporary)).at(path)
    }

    fn link(&self, name: &[u8]) -> rustix::io::Result<()> {
        // By its descriptor alone a file can be linked since Linux 6.10; before, that needs a capability and is ENOENT without it.
        match linkat(&self.file, "", self.directory, name, AtFlags::EMPTY_PATH) {
            Err(Errno::NOENT) => {
                let path = format!("/proc/self/fd/{}", self.file.as_raw_fd());
                linkat(CWD, path, self.directory, name, AtFlags::SYMLINK_FOLLOW)
            }
            other => other,
        }
    }
}

/// Makes something under a name that nobody has, and moves it onto the name it is for. Nothing but SIGKILL comes between the two.
pub fn replace(
    directory: BorrowedFd<'_>,
    name: &[u8],
    make: impl Fn(&[u8]) -> rustix::io::Result<()>,
) -> rustix::io::Result<()> {
    let held = HeldInterrupts::hold();
    let temporary = temporary_name()?;
    make(&temporary)?;
    let renamed = renameat(directory, &*temporary, directory, name);
    if renamed.is_err() {
        // The rename's error is the one to tell.
        let _ = unlinkat(directory, &*temporary, AtFlags::empty());
    }
    drop(held);
    renamed
}

/// A hidden name of 128 random bits.
fn temporary_name() -> rustix::io::Result<Vec<u8>> {
    let mut random = [0_u8; 16];
    getrandom(&mut random, GetRandomFlags::empty())?;
    let digits = random.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|digit| b"0123456789abcdef"[digit as usize]);
    Ok(b".exec-sandbox-".iter().copied().chain(digits).collect())
}

/// The time of modification alone.
pub fn modified_at(mtime_ms: f64) -> Timestamps {
    let seconds = (mtime_ms / 1_000.0).floor();
    let nanoseconds = ((mtime_ms - seconds * 1_000.0) * 1_000_000.0).round().clamp(0.0, 999_999_999.0);
    Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        // What no time of the kernel's can hold becomes the nearest that can.
        #[allow(clippy::cast_possible_truncation)]
        last_modification: Timespec { tv_sec: seconds as i64, tv_nsec: nanoseconds as i64 },
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rustix::fs::{openat, Mode, OFlags, CWD};
    use std::os::fd::AsFd as _;

    use super::{modified_at, replace};

    /// SIGHUP, SIGINT and SIGTERM in a mask of /proc.
    const ASKING: u64 = 1 | 1 << 1 | 1 << 14;

    fn held() -> u64 {
        let status = fs::read_to_string("/proc/thread-self/status").unwrap();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigBlk:")).unwrap();
        u64::from_str_radix(mask.trim(), 16).unwrap() & ASKING
    }

    #[test]
    fn nothing_interrupts_between_the_hidden_name_and_the_right_one() {
        let path = std::env::temp_dir().join(format!("files-replace-{}", std::process::id()));
        fs::create_dir(&path).unwrap();
        fs::write(path.join("name"), "old").unwrap();
        let directory = openat(CWD, &path, OFlags::DIRECTORY, Mode::empty()).unwrap();
        replace(directory.as_fd(), b"name", |temporary| {
            assert_eq!(held(), ASKING);
            fs::write(path.join(std::str::from_utf8(temporary).unwrap()), "new").unwrap();
            Ok(())
        })
        .unwrap();
        assert_eq!(held(), 0);
        assert_eq!(fs::read_to_string(path.join("name")).unwrap(), "new");
        assert_eq!(fs::read_dir(&path).unwrap().count(), 1);
        fs::remove_dir_all(&path).unwrap();
    }

    fn seconds_and_ns(mtime_ms: f64) -> (i64, i64) {
        let time = modified_at(mtime_ms).last_modification;
        (time.tv_sec, time.tv_nsec)
    }

    #[test]
    fn milliseconds_become_a_time() {
        assert_eq!(seconds_and_ns(0.0), (0, 0));
        assert_eq!(seconds_and_ns(1_500.25), (1, 500_250_000));
        assert_eq!(seconds_and_ns(-0.5), (-1, 999_500_000));
        assert_eq!(seconds_and_ns(1_700_000_000_123.0), (1_700_000_000, 123_000_000));
        assert_eq!(seconds_and_ns(1e300).0, i64::MAX);
    }
}
