//! `read` and `write`: the content of one file.

use std::os::fd::{AsFd as _, OwnedFd};

use rustix::fs::{fstat, openat, Mode, OFlags, Stat, CWD};
use rustix::io::Errno;
use rustix::stdio::{stdin, stdout};

use crate::content::{transfer, transfer_sparsely};
use crate::entry;
use crate::failure::{At, Failure, Outcome};
use crate::paths::{destination, not_regular, replaceable};
use crate::request::Write;
use crate::staged::Staged;

/// Opens for reading without waiting for anybody and without taking a terminal: what it is, is seen afterwards.
pub const INSPECT: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// Opens what a path means, links followed.
pub fn open(path: &[u8]) -> Outcome<(OwnedFd, Stat)> {
    let opened = match openat(CWD, path, INSPECT, Mode::empty()) {
        // A socket has a name and cannot be opened by it.
        Err(Errno::NXIO) => return Err(not_regular(path)),
        other => other.at(path)?,
    };
    let stat = fstat(&opened).at(path)?;
    Ok((opened, stat))
}

/// Writes the content to standard output.
pub fn read(path: &[u8]) -> Outcome<()> {
    let (file, stat) = open(path)?;
    replaceable(entry::type_of(&stat), path)?;
    transfer(&file, stdout(), u64::MAX).at(path).map(drop)
}

/// Takes the content from standard input to its end, and gives the new file's entry.
pub fn write(request: &Write) -> Outcome<Vec<u8>> {
    let path: &[u8] = &request.path;
    let place = destination(path)?;
    let staged = Staged::new(place.directory.as_fd(), request.mode.0).at(path)?;
    let received = if request.sparse {
        transfer_sparsely(stdin(), staged.file())
    } else {
        transfer(stdin(), staged.file(), u64::MAX)
    };
    let received = received.at(path)?;
    if request.size.is_some_and(|size| size != received) {
        return Err(Failure::explained(Errno::IO, "the content is not as long as announced", path));
    }
    let stat = staged.finish(request.mtime_ms).at(path)?;
    staged.publish(&place.name, path)?;
    Ok(entry::line(path, &stat, None))
}
