//! What the host is told about a file, directory or whatever else has a name.

use std::os::fd::AsFd;

use rustix::fs::{statat, AtFlags, FileType, Stat, CWD};
use rustix::path::Arg;

use crate::failure::{At, Outcome};
use crate::json::Json;

/// What st_blocks counts in (stat(2)).
const BLOCK_BYTES: u64 = 512;

pub fn type_of(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

pub fn type_name(kind: FileType) -> &'static str {
    match kind {
        FileType::Directory => "directory",
        FileType::Symlink => "symlink",
        FileType::Fifo => "fifo",
        FileType::Socket => "socket",
        FileType::BlockDevice => "block-device",
        FileType::CharacterDevice => "character-device",
        FileType::RegularFile | FileType::Unknown => "file",
    }
}

pub fn permissions(stat: &Stat) -> u32 {
    stat.st_mode & 0o7777
}

pub fn size(stat: &Stat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or_default()
}

pub fn allocated(stat: &Stat) -> u64 {
    u64::try_from(stat.st_blocks).unwrap_or_default() * BLOCK_BYTES
}

/// The entry's line. `target` is where a symbolic link points to.
pub fn line(path: &[u8], stat: &Stat, target: Option<&[u8]>) -> Vec<u8> {
    let mut json = Json::object();
    json.bytes("path", path)
        .text("type", type_name(type_of(stat)))
        .number("size", size(stat))
        .number("allocatedBytes", allocated(stat))
        .number("mode", permissions(stat).into())
        .number("uid", stat.st_uid.into())
        .number("gid", stat.st_gid.into())
        .milliseconds("mtimeMs", stat.st_mtime, stat.st_mtime_nsec);
    if let Some(target) = target {
        json.bytes("target", target);
    }
    json.into_line()
}

/// The line of what has this name, seen without following a link.
pub fn line_at(directory: impl AsFd, name: impl Arg + Copy, path: &[u8], stat: &Stat) -> rustix::io::Result<Vec<u8>> {
    if type_of(stat) != FileType::Symlink {
        return Ok(line(path, stat, None));
    }
    let target = rustix::fs::readlinkat(directory, name, Vec::new())?;
    Ok(line(path, stat, Some(target.as_bytes())))
}

/// `stat`: the entry of a path.
pub fn stat(path: &[u8], follow: bool) -> Outcome<Vec<u8>> {
    let flags = if follow { AtFlags::empty() } else { AtFlags::SYMLINK_NOFOLLOW };
    let stat = statat(CWD, path, flags).at(path)?;
    line_at(CWD, path, path, &stat).at(path)
}
