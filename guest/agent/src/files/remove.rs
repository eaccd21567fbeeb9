//! `remove`: a file, a link, a directory or a whole tree.
//!
//! A tree may be deeper than there are descriptors or stack, and others may change it meanwhile. So one directory is open at a time;
//! the way up is `..`, believed only when it leads to the directory that the way down came through. When it does not, or when a
//! directory gets new content, the tree is gone through again, a bounded number of times.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::fs::{fchmod, fstat, unlinkat, AtFlags, FileType, Mode, CWD};
use rustix::io::{Errno, Result};

use crate::entry;
use crate::failure::{At, Failure, Outcome};
use crate::names::{each_name, Names};
use crate::paths::{is_name, open_accessible, open_directory, split, FULL_ACCESS};

/// How often a directory that does not stay empty is emptied.
const TRIES: usize = 16;

pub fn remove(path: &[u8], recursive: bool) -> Outcome<()> {
    if !is_name(split(path).1) {
        return Err(Failure::explained(Errno::INVAL, "not the name of something that can be removed", path));
    }
    match unlinkat(CWD, path, AtFlags::empty()) {
        Err(Errno::ISDIR) => {}
        other => return other.at(path),
    }
    // First of all, so that a mount point or a directory in a place that may not be changed keeps its content.
    let mut removed = unlinkat(CWD, path, AtFlags::REMOVEDIR);
    for _ in 0..TRIES {
        if !recursive || !matches!(removed, Err(Errno::NOTEMPTY | Errno::EXIST)) {
            break;
        }
        empty(path)?;
        removed = match unlinkat(CWD, path, AtFlags::REMOVEDIR) {
            Err(Errno::NOENT) => Ok(()),
            other => other,
        };
    }
    removed.at(path)
}

/// A directory on the way down.
struct Level {
    identity: (u64, u64),
    /// What is still to be removed from it: the last one is in work.
    directories: Names,
    tries: usize,
}

/// Takes out of a directory whatever is in it at this moment.
fn empty(path: &[u8]) -> Outcome<()> {
    let mut here = match open_accessible(CWD, path) {
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(()),
        other => other.at(path)?,
    };
    let mut levels = vec![Level::of(&here).at(path)?];
    loop {
        match step(&mut here, &mut levels) {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            Err(errno) => return Err(Failure::new(errno, &path_of(path, &levels))),
        }
    }
}

/// Removes one directory, or goes down into it, or up. False at the end of the way.
fn step(here: &mut OwnedFd, levels: &mut Vec<Level>) -> Result<bool> {
    let Some(level) = levels.last_mut() else {
        return Ok(false);
    };
    let Some(name) = level.directories.last() else {
        levels.pop();
        let Some(above) = levels.last() else {
            return Ok(false);
        };
        *here = open_directory(&*here, b"..")?;
        return Ok(identity(here.as_fd())? == above.identity);
    };
    match with_access(here.as_fd(), || unlinkat(&*here, name, AtFlags::REMOVEDIR)) {
        Err(Errno::NOTEMPTY | Errno::EXIST) => {
            level.tries += 1;
            if level.tries > TRIES {
                return Err(Errno::NOTEMPTY);
            }
            match open_accessible(&*here, name.to_bytes()) {
                // It was replaced; the next step sees by what.
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(true),
                other => *here = other?,
            }
            levels.push(Level::of(here)?);
            return Ok(true);
        }
        Err(Errno::NOTDIR) => match unlinkat(&*here, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno),
        },
        Ok(()) | Err(Errno::NOENT) => {}
        Err(errno) => return Err(errno),
    }
    level.directories.pop();
    level.tries = 0;
    Ok(true)
}

impl Level {
    /// Removes all but the directories in a directory, and notes those.
    fn of(directory: &OwnedFd) -> Result<Self> {
        let mut directories = Names::default();
        each_name(directory, |name, kind| {
            if kind == FileType::Directory {
                directories.push(name);
                return Ok(());
            }
            match with_access(directory.as_fd(), || unlinkat(directory, name, AtFlags::empty())) {
                Err(Errno::ISDIR) => directories.push(name),
                Ok(()) | Err(Errno::NOENT) => {}
                Err(errno) => return Err(errno),
            }
            Ok(())
        })?;
        Ok(Self { identity: identity(directory.as_fd())?, directories, tries: 0 })
    }
}

fn identity(directory: BorrowedFd<'_>) -> Result<(u64, u64)> {
    let stat = fstat(directory)?;
    Ok((stat.st_dev, stat.st_ino))
}

/// Does something in a directory, and once more with all rights on it if they were what was missing.
fn with_access(directory: BorrowedFd<'_>, work: impl Fn() -> Result<()>) -> Result<()> {
    match work() {
        Err(Errno::ACCESS) => {
            let mode = entry::permissions(&fstat(directory)?) | FULL_ACCESS;
            // Of another owner's directory: the lack of rights is what there is to tell.
            fchmod(directory, Mode::from_raw_mode(mode)).map_err(|_| Errno::ACCESS)?;
            work()
        }
        other => other,
    }
}

/// The path of what is in work.
fn path_of(top: &[u8], levels: &[Level]) -> Vec<u8> {
    let mut path = top.to_vec();
    for name in levels.iter().filter_map(|level| level.directories.last()) {
        path.push(b'/');
        path.extend_from_slice(name.to_bytes());
    }
    path
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::ffi::OsStrExt as _;

    use super::{open_directory, step, Level, CWD};

    #[test]
    fn the_way_up_ends_where_it_is_not_the_way_down() {
        let path = std::env::temp_dir().join(format!("files-remove-{}", std::process::id()));
        for directory in ["top/inner/innermost", "elsewhere/kept"] {
            fs::create_dir_all(path.join(directory)).unwrap();
        }
        let mut here = open_directory(CWD, path.join("top").as_os_str().as_bytes()).unwrap();
        let mut levels = vec![Level::of(&here).unwrap()];
        assert!(step(&mut here, &mut levels).unwrap(), "into inner");
        fs::rename(path.join("top/inner"), path.join("elsewhere/inner")).unwrap();
        assert!(step(&mut here, &mut levels).unwrap(), "innermost is removed");
        assert!(!step(&mut here, &mut levels).unwrap(), "up is elsewhere");
        assert!(path.join("elsewhere/kept").exists());
        fs::remove_dir_all(&path).unwrap();
    }
}
