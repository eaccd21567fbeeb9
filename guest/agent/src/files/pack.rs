//! `pack`: a tree as a record stream on standard output.

use std::os::fd::{AsFd as _, OwnedFd};

use rustix::fs::{fstat, openat, readlinkat, statat, AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use rustix::stdio::stdout;

use crate::content::widen;
use crate::entry;
use crate::failure::{At, Failure, Outcome};
use crate::file::{open, INSPECT};
use crate::json::Json;
use crate::output::Output;
use crate::paths::open_directory;
use crate::record::MOST_PATH_BYTES;
use crate::walk::{allow_depth, Found, Walk};

/// What was left out and is told by its path.
const MOST_SKIPPED: usize = 100;
/// So that the last header stays below its limit whatever paths are in it.
const MOST_SKIPPED_BYTES: usize = 49_152;

pub fn pack(path: &[u8], output: &mut Output) -> Outcome<()> {
    let (top, stat) = open(path)?;
    widen(stdout());
    let mut packing =
        Packing { top: path, output, entries: 0, skipped: Vec::new(), skipped_bytes: 0, skipped_count: 0 };
    match entry::type_of(&stat) {
        FileType::RegularFile => packing.file(b"", &top, &stat)?,
        FileType::Directory => packing.tree(top, &stat)?,
        _ => return Err(Failure::explained(Errno::INVAL, "neither a file nor a directory", path)),
    }
    packing.end()
}

struct Packing<'a> {
    top: &'a [u8],
    output: &'a mut Output,
    entries: u64,
    skipped: Vec<Json>,
    skipped_bytes: usize,
    skipped_count: u64,
}

/// What an entry turned out to be.
enum Inside {
    /// Packed, skipped or gone.
    Done,
    /// Its content is next.
    Directory(OwnedFd),
}

impl Packing<'_> {
    fn tree(&mut self, top: OwnedFd, stat: &Stat) -> Outcome<()> {
        allow_depth();
        self.record(b"", stat, |_| ())?;
        let mut walk = Walk::new(top).at(self.top)?;
        while let Some(found) = walk.advance() {
            match self.entry(&found)? {
                Inside::Done => {}
                Inside::Directory(directory) => walk.enter(directory).at(self.top)?,
            }
        }
        Ok(())
    }

    fn entry(&mut self, found: &Found<'_>) -> Outcome<Inside> {
        let full = || [self.top, b"/", found.path].concat();
        let Some(stat) = unless_gone(statat(found.directory, found.name, AtFlags::SYMLINK_NOFOLLOW)).at_path(full)?
        else {
            return Ok(Inside::Done);
        };
        let kind = entry::type_of(&stat);
        if found.path.len() > MOST_PATH_BYTES {
            self.skip(found.path, kind);
            return Ok(Inside::Done);
        }
        match kind {
            FileType::Directory => {
                let opened = unless_gone(open_directory(found.directory, found.name.to_bytes())).at_path(full)?;
                let Some(directory) = opened else {
                    return Ok(Inside::Done);
                };
                self.record(found.path, &stat, |_| ())?;
                return Ok(Inside::Directory(directory));
            }
            FileType::RegularFile => {
                let flags = INSPECT | OFlags::NOFOLLOW;
                let Some(file) =
                    unless_gone(openat(found.directory, found.name, flags, Mode::empty())).at_path(full)?
                else {
                    return Ok(Inside::Done);
                };
                let stat = fstat(&file).at_path(full)?;
                match entry::type_of(&stat) {
                    FileType::RegularFile => self.file(found.path, &file, &stat)?,
                    other => self.skip(found.path, other),
                }
            }
            FileType::Symlink => {
                if let Ok(target) = readlinkat(found.directory, found.name, Vec::new()) {
                    self.record(found.path, &stat, |header| {
                        header.bytes("target", target.as_bytes());
                    })?;
                }
            }
            other => self.skip(found.path, other),
        }
        Ok(Inside::Done)
    }

    fn file(&mut self, path: &[u8], file: &OwnedFd, stat: &Stat) -> Outcome<()> {
        self.record(path, stat, |header| {
            header.truth("sparse", entry::allocated(stat) < entry::size(stat));
        })?;
        self.output.push_chunks(file.as_fd(), entry::size(stat)).at(self.top)
    }

    fn record(&mut self, path: &[u8], stat: &Stat, more: impl FnOnce(&mut Json)) -> Outcome<()> {
        let mut header = Json::object();
        header
            .bytes("path", path)
            .text("type", entry::type_name(entry::type_of(stat)))
            .number("mode", entry::permissions(stat).into())
            .milliseconds("mtimeMs", stat.st_mtime, stat.st_mtime_nsec);
        more(&mut header);
        self.entries += 1;
        self.header(header)
    }

    fn header(&mut self, header: Json) -> Outcome<()> {
        let bytes = header.into_bytes();
        let length = u32::try_from(bytes.len()).unwrap_or_default().to_le_bytes();
        self.output.push(&length).at(self.top)?;
        self.output.push(&bytes).at(self.top)
    }

    fn skip(&mut self, path: &[u8], kind: FileType) {
        self.skipped_count += 1;
        let mut told = Json::object();
        told.bytes("path", path).text("type", entry::type_name(kind));
        if self.skipped.len() < MOST_SKIPPED && self.skipped_bytes + told.len() < MOST_SKIPPED_BYTES {
            self.skipped_bytes += told.len() + 2;
            self.skipped.push(told);
        }
    }

    fn end(mut self) -> Outcome<()> {
        let mut header = Json::object();
        header
            .text("type", "end")
            .number("entries", self.entries)
            .array("skipped", &self.skipped)
            .number("skippedCount", self.skipped_count);
        self.header(header)
    }
}

/// What was removed or replaced since its name was read is not part of the tree.
fn unless_gone<T>(result: rustix::io::Result<T>) -> rustix::io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NXIO) => Ok(None),
        Err(errno) => Err(errno),
    }
}
