//! From a path to an open directory and a name in it.

use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};

use rustix::fs::{chmod, fstat, mkdirat, openat, readlinkat, statat, AtFlags, FileType, Mode, OFlags, CWD};
use rustix::io::Errno;

use crate::entry;
use crate::failure::{At, Failure, Outcome};

/// Links that are followed before they count as a loop (path_resolution(7)).
const MOST_LINKS: usize = 40;
/// The mode of directories that are made because something is to be in them.
const PARENT_MODE: u32 = 0o755;
/// What the owner of a directory needs to read and change what is in it.
pub const FULL_ACCESS: u32 = 0o700;
/// A directory to resolve names in, whatever may be done with it beyond that.
const LOOKUP: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Where something gets its name.
#[derive(Debug)]
pub struct Place {
    pub directory: OwnedFd,
    pub name: Vec<u8>,
}

/// The path of the directory, and the name in it; the name is empty behind a final slash.
pub fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        None => (b".", path),
        Some(slash) => (&path[..slash.max(1)], &path[slash + 1..]),
    }
}

/// Whether this can be the name of something new.
pub fn is_name(name: &[u8]) -> bool {
    !matches!(name, b"" | b"." | b"..")
}

/// Makes a directory and those that it lies in, as far as they are missing.
pub fn make_directories(path: &[u8]) -> rustix::io::Result<()> {
    let make = |end: usize| match mkdirat(CWD, &path[..end], Mode::from_raw_mode(PARENT_MODE)) {
        Err(Errno::EXIST) => Ok(()),
        other => other,
    };
    let mut missing = Vec::new();
    let mut end = path.len();
    loop {
        match make(end) {
            Err(Errno::NOENT) if end > 1 => {
                missing.push(end);
                end = split(&path[..end]).0.len();
            }
            other => break other?,
        }
    }
    missing.into_iter().rev().try_for_each(make)
}

/// Opens the directory that a path's last name is in, and makes it if it is missing.
pub fn parent(path: &[u8]) -> Outcome<Place> {
    let (parent, name) = split(path);
    let opened = match openat(CWD, parent, LOOKUP, Mode::empty()) {
        Err(Errno::NOENT) => {
            make_directories(parent).at(parent)?;
            openat(CWD, parent, LOOKUP, Mode::empty())
        }
        other => other,
    };
    Ok(Place { directory: opened.at(parent)?, name: name.to_vec() })
}

/// Where a file's content belongs: like `parent`, but a symbolic link in the place of the file is followed, to what is
/// there or to where it would be.
pub fn destination(path: &[u8]) -> Outcome<Place> {
    let mut place = parent(path)?;
    for _ in 0..=MOST_LINKS {
        if !is_name(&place.name) {
            return Err(Failure::new(Errno::ISDIR, path));
        }
        let stat = match statat(&place.directory, &*place.name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(place),
            other => other.at(path)?,
        };
        if entry::type_of(&stat) != FileType::Symlink {
            return replaceable(entry::type_of(&stat), path).map(|()| place);
        }
        let target = readlinkat(&place.directory, &*place.name, Vec::new()).at(path)?;
        let (parent, name) = split(target.as_bytes());
        let directory = openat(&place.directory, parent, LOOKUP, Mode::empty()).at(path)?;
        place = Place { directory, name: name.to_vec() };
    }
    Err(Failure::new(Errno::LOOP, path))
}

/// A file takes the place of files only.
pub fn replaceable(kind: FileType, path: &[u8]) -> Outcome<()> {
    match kind {
        FileType::RegularFile => Ok(()),
        FileType::Directory => Err(Failure::new(Errno::ISDIR, path)),
        _ => Err(not_regular(path)),
    }
}

pub fn not_regular(path: &[u8]) -> Failure {
    Failure::explained(Errno::INVAL, "not a regular file", path)
}

/// Opens a directory of a tree whose names others may change: never through a link.
pub fn open_directory(parent: impl AsFd, name: &[u8]) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(parent, name, flags, Mode::empty())
}

/// Opens a directory, with the rights to read it if they were missing.
pub fn open_accessible(parent: impl AsFd, name: &[u8]) -> rustix::io::Result<OwnedFd> {
    match open_directory(&parent, name) {
        Err(Errno::ACCESS) => {}
        other => return other,
    }
    let handle = hold_directory(parent, name)?;
    change_mode(&handle, entry::permissions(&fstat(&handle)?) | FULL_ACCESS).map_err(|_| Errno::ACCESS)?;
    open_directory(handle, b".")
}

/// A directory as such, without any right on what is in it: never through a link.
pub fn hold_directory(parent: impl AsFd, name: &[u8]) -> rustix::io::Result<OwnedFd> {
    openat(parent, name, LOOKUP | OFlags::NOFOLLOW, Mode::empty())
}

/// Changes the mode of what is held: fchmod(2) refuses such a descriptor, and by its name it could be a link by now.
pub fn change_mode(held: &OwnedFd, mode: u32) -> rustix::io::Result<()> {
    chmod(format!("/proc/self/fd/{}", held.as_raw_fd()), Mode::from_raw_mode(mode))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::fs::symlink;

    use super::{hold_directory, open_accessible, open_directory, split, Errno, CWD};

    #[test]
    fn directories_are_never_opened_through_a_link() {
        let path = std::env::temp_dir().join(format!("files-open-{}", std::process::id()));
        fs::create_dir_all(path.join("directory")).unwrap();
        symlink("directory", path.join("link")).unwrap();
        let link = path.join("link");
        assert_eq!(open_directory(CWD, link.as_os_str().as_bytes()).unwrap_err(), Errno::NOTDIR);
        assert_eq!(open_accessible(CWD, link.as_os_str().as_bytes()).unwrap_err(), Errno::NOTDIR);
        assert_eq!(hold_directory(CWD, link.as_os_str().as_bytes()).unwrap_err(), Errno::NOTDIR);
        fs::remove_dir_all(&path).unwrap();
    }

    #[test]
    fn a_path_is_split_at_its_last_slash() {
        assert_eq!(split(b"/a/b"), (&b"/a"[..], &b"b"[..]));
        assert_eq!(split(b"/a"), (&b"/"[..], &b"a"[..]));
        assert_eq!(split(b"/"), (&b"/"[..], &b""[..]));
        assert_eq!(split(b"/a/"), (&b"/a"[..], &b""[..]));
        assert_eq!(split(b"a"), (&b"."[..], &b"a"[..]));
        assert_eq!(split(b"a/b"), (&b"a"[..], &b"b"[..]));
    }
}
