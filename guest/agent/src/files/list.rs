//! `list`: the entries below a directory.

use rustix::fs::{openat, statat, AtFlags, FileType, Mode, OFlags, CWD};
use rustix::io::Errno;

use crate::entry;
use crate::failure::{At, Outcome};
use crate::output::Output;
use crate::paths::open_directory;
use crate::walk::Walk;

pub fn list(path: &[u8], depth: usize, output: &mut Output) -> Outcome<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let top = openat(CWD, path, flags, Mode::empty()).at(path)?;
    let mut walk = Walk::new(top).at(path)?;
    while let Some(found) = walk.advance() {
        let stat = match statat(found.directory, found.name, AtFlags::SYMLINK_NOFOLLOW) {
            // It is gone.
            Err(Errno::NOENT) => continue,
            other => other.at(path)?,
        };
        match entry::line_at(found.directory, found.name, found.path, &stat) {
            Ok(line) => output.push(&line).at(path)?,
            // It was a link, and is gone or something else.
            Err(_) => continue,
        }
        if entry::type_of(&stat) == FileType::Directory && found.depth < depth {
            // What cannot be opened or read is listed without content.
            if let Ok(directory) = open_directory(found.directory, found.name.to_bytes()) {
                let _ = walk.enter(directory);
            }
        }
    }
    Ok(())
}
