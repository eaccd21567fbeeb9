//! `mkdir`, `rename`, `chmod`: one call of the kernel's each, and what belongs to it.

use rustix::fs::{chmodat, mkdirat, renameat_with, stat, statat, AtFlags, FileType, Mode, RenameFlags, CWD};
use rustix::io::Errno;

use crate::entry;
use crate::failure::{At, Failure, Outcome};
use crate::paths::{self, hold_directory, make_directories, split};
use crate::request::{ChangeMode, MakeDirectory, Rename};

pub fn make_directory(request: &MakeDirectory) -> Outcome<Vec<u8>> {
    let path: &[u8] = &request.path;
    let mode = Mode::from_raw_mode(request.mode.0);
    let made = match mkdirat(CWD, path, mode) {
        Err(Errno::NOENT) if request.parents => {
            let parent = split(path).0;
            make_directories(parent).at(parent)?;
            mkdirat(CWD, path, mode)
        }
        other => other,
    };
    match made {
        Ok(()) => settle_mode(path, request.mode.0).at(path)?,
        Err(Errno::EXIST) if request.parents => {
            let is_directory = stat(path).is_ok_and(|stat| entry::type_of(&stat) == FileType::Directory);
            if !is_directory {
                return Err(Failure::new(Errno::EXIST, path));
            }
        }
        Err(errno) => return Err(Failure::new(errno, path)),
    }
    entry::stat(path, true)
}

/// mkdir(2) ignores some bits of a mode, and directories inherit one.
fn settle_mode(path: &[u8], mode: u32) -> rustix::io::Result<()> {
    let stat = statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW)?;
    if entry::permissions(&stat) == mode {
        return Ok(());
    }
    paths::change_mode(&hold_directory(CWD, path)?, mode)
}

pub fn rename(request: &Rename) -> Outcome<()> {
    let (from, to): (&[u8], &[u8]) = (&request.from, &request.to);
    let flags = if request.replace { RenameFlags::empty() } else { RenameFlags::NOREPLACE };
    let move_it = || renameat_with(CWD, from, CWD, to, flags);
    let moved = match move_it() {
        Err(Errno::NOENT) => {
            statat(CWD, from, AtFlags::SYMLINK_NOFOLLOW).at(from)?;
            let parent = split(to).0;
            make_directories(parent).at(parent)?;
            move_it()
        }
        other => other,
    };
    moved.map_err(|errno| {
        let of_target = matches!(errno, Errno::EXIST | Errno::NOTEMPTY | Errno::ISDIR | Errno::NOTDIR | Errno::NOSPC);
        Failure::new(errno, if of_target { to } else { from })
    })
}

pub fn change_mode(request: &ChangeMode) -> Outcome<Vec<u8>> {
    let path: &[u8] = &request.path;
    chmodat(CWD, path, Mode::from_raw_mode(request.mode.0), AtFlags::empty()).at(path)?;
    entry::stat(path, true)
}
