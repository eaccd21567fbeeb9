//! `unpack`: a record stream from standard input becomes a tree.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::fs::{
    fchmod, fstat, futimens, mkdirat, openat, statat, symlinkat, utimensat, AtFlags, FileType, Mode, OFlags, CWD,
};
use rustix::io::Errno;
use rustix::stdio::stdin;

use crate::content::{transfer, SparseSink};
use crate::entry;
use crate::failure::{At, Failure, Outcome};
use crate::json::Json;
use crate::output::write_all;
use crate::paths::{destination, make_directories, open_accessible, open_directory, split, FULL_ACCESS};
use crate::record::{Broken, Header, Input, Kind, MOST_PATH_BYTES};
use crate::request::Unpack;
use crate::staged::{modified_at, replace, Staged};
use crate::walk::allow_depth;

/// A name has at most so many bytes, and a link's target (limits.h).
const MOST_NAME_BYTES: usize = 255;
const MOST_TARGET_BYTES: usize = 4_095;

pub fn unpack(request: &Unpack) -> Outcome<Vec<u8>> {
    allow_depth();
    let top: &[u8] = &request.path;
    let tree = Tree { top, root: None, open: Vec::new() };
    let mut unpacking = Unpacking { tree, input: Input::new(), mtimes: request.mtimes, later: Vec::new(), bytes: 0 };
    let mut entries = 0;
    loop {
        let header = unpacking.input.header().map_err(|broken| broken.about(top))?;
        if header.kind == Kind::End {
            if header.entries != Some(entries) {
                return Err(Broken::Malformed("the stream has another number of records than it tells").about(top));
            }
            break;
        }
        unpacking.record(header)?;
        entries += 1;
    }
    unpacking.finish_directories()?;
    let mut result = Json::object();
    result.number("entries", entries).number("bytes", unpacking.bytes);
    Ok(result.into_line())
}

impl Broken {
    fn about(self, path: &[u8]) -> Failure {
        match self {
            Self::Torn => Failure::explained(Errno::IO, "the stream ends before its last record", path),
            Self::Malformed(what) => Failure::explained(Errno::IO, what, path),
            Self::Call(errno) => Failure::new(errno, path),
        }
    }
}

/// The directories of the tree that are open: those on the way to the latest record.
struct Tree<'a> {
    top: &'a [u8],
    root: Option<OwnedFd>,
    open: Vec<(Vec<u8>, OwnedFd)>,
}

impl Tree<'_> {
    fn full(&self, path: &[u8]) -> Vec<u8> {
        if path.is_empty() {
            self.top.to_vec()
        } else {
            [self.top, b"/", path].concat()
        }
    }

    /// The directory of this path within the tree, never through a link. The root is made if it is missing.
    fn directory(&mut self, path: &[u8]) -> Outcome<BorrowedFd<'_>> {
        if self.root.is_none() {
            make_directories(self.top).at(self.top)?;
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            self.root = Some(openat(CWD, self.top, flags, Mode::empty()).at(self.top)?);
        }
        let names = || path.split(|byte| *byte == b'/').filter(|name| !name.is_empty());
        let common = self.open.iter().zip(names()).take_while(|((open, _), name)| open == name).count();
        self.open.truncate(common);
        for name in names().skip(common) {
            let opened = open_directory(self.innermost()?, name).at(&self.full(path))?;
            self.open.push((name.to_vec(), opened));
        }
        self.innermost()
    }

    fn innermost(&self) -> Outcome<BorrowedFd<'_>> {
        let innermost = self.open.last().map(|(_, directory)| directory).or(self.root.as_ref());
        innermost.map(|directory| directory.as_fd()).ok_or_else(|| Failure::new(Errno::BADF, self.top))
    }
}

/// What a directory gets once it is filled.
struct Later {
    path: Vec<u8>,
    mode: u32,
    mtime_ms: Option<f64>,
}

struct Unpacking<'a> {
    tree: Tree<'a>,
    input: Input,
    mtimes: bool,
    later: Vec<Later>,
    bytes: u64,
}

impl Unpacking<'_> {
    fn record(&mut self, header: Header) -> Outcome<()> {
        let path = header.path.map(|path| path.0).unwrap_or_default();
        let full = self.tree.full(&path);
        check_path(&path).map_err(|broken| broken.about(&full))?;
        let mtime_ms = header.mtime_ms.filter(|_| self.mtimes);
        let mode = header.mode.map(|mode| mode.0);
        match (header.kind, mode, header.target) {
            (Kind::Directory, Some(mode), _) => self.directory(path, mode, mtime_ms),
            (Kind::File, Some(mode), _) => self.file(&path, mode, mtime_ms, header.sparse),
            (Kind::Symlink, _, Some(target)) if !path.is_empty() => self.symlink(&path, &target.0, mtime_ms),
            _ => Err(Broken::Malformed("a header lacks a field").about(&full)),
        }
    }

    fn directory(&mut self, path: Vec<u8>, mode: u32, mtime_ms: Option<f64>) -> Outcome<()> {
        let full = self.tree.full(&path);
        let made = if path.is_empty() { self.make_root(mode)? } else { self.make_directory(&path, mode)? };
        // The root that was there before is somebody's own; what it contains is merged into it and no more.
        if path.is_empty() && !made {
            return Ok(());
        }
        let directory = self.tree.directory(&path)?;
        let stat = fstat(directory).at(&full)?;
        let present = entry::permissions(&stat);
        if present & FULL_ACCESS != FULL_ACCESS {
            fchmod(directory, Mode::from_raw_mode(present | FULL_ACCESS)).at(&full)?;
        }
        if present != mode || mode & FULL_ACCESS != FULL_ACCESS || mtime_ms.is_some() {
            self.later.push(Later { path, mode, mtime_ms });
        }
        Ok(())
    }

    /// True if it was not there.
    fn make_root(&self, mode: u32) -> Outcome<bool> {
        let top = self.tree.top;
        make_directories(split(top).0).at(top)?;
        made(mkdirat(CWD, top, Mode::from_raw_mode(mode | FULL_ACCESS))).at(top)
    }

    fn make_directory(&mut self, path: &[u8], mode: u32) -> Outcome<bool> {
        let full = self.tree.full(path);
        let (parent, name) = split_inside(path);
        let parent = self.tree.directory(parent)?;
        let new = made(mkdirat(parent, name, Mode::from_raw_mode(mode | FULL_ACCESS))).at(&full)?;
        if !new {
            open_accessible(parent, name).at(&full)?;
        }
        Ok(new)
    }

    fn file(&mut self, path: &[u8], mode: u32, mtime_ms: Option<f64>, sparse: bool) -> Outcome<()> {
        let full = self.tree.full(path);
        if path.is_empty() {
            let place = destination(&full)?;
            let staged = Staged::new(place.directory.as_fd(), mode).at(&full)?;
            self.bytes += receive(&mut self.input, &staged, sparse).map_err(|broken| broken.about(&full))?;
            staged.finish(mtime_ms).at(&full)?;
            return staged.publish(&place.name, &full);
        }
        let (parent, name) = split_inside(path);
        let parent = self.tree.directory(parent)?;
        let staged = Staged::new(parent, mode).at(&full)?;
        self.bytes += receive(&mut self.input, &staged, sparse).map_err(|broken| broken.about(&full))?;
        staged.finish(mtime_ms).at(&full)?;
        staged.publish(name, &full)
    }

    fn symlink(&mut self, path: &[u8], target: &[u8], mtime_ms: Option<f64>) -> Outcome<()> {
        let full = self.tree.full(path);
        if target.is_empty() || target.len() > MOST_TARGET_BYTES || target.contains(&0) {
            return Err(Broken::Malformed("a link has an impossible target").about(&full));
        }
        let (parent, name) = split_inside(path);
        let parent = self.tree.directory(parent)?;
        match symlinkat(target, parent, name) {
            Err(Errno::EXIST) => {
                let stat = statat(parent, name, AtFlags::SYMLINK_NOFOLLOW).at(&full)?;
                if entry::type_of(&stat) == FileType::Directory {
                    return Err(Failure::new(Errno::ISDIR, &full));
                }
                replace(parent, name, |temporary| symlinkat(target, parent, temporary)).at(&full)?;
            }
            other => other.at(&full)?,
        }
        if let Some(mtime_ms) = mtime_ms {
            utimensat(parent, name, &modified_at(mtime_ms), AtFlags::SYMLINK_NOFOLLOW).at(&full)?;
        }
        Ok(())
    }

    /// Modes and times of directories, the innermost first: a mode may forbid the way in, and content changes the time.
    fn finish_directories(&mut self) -> Outcome<()> {
        while let Some(Later { path, mode, mtime_ms }) = self.later.pop() {
            let full = self.tree.full(&path);
            let directory = self.tree.directory(&path)?;
            if let Some(mtime_ms) = mtime_ms {
                futimens(directory, &modified_at(mtime_ms)).at(&full)?;
            }
            fchmod(directory, Mode::from_raw_mode(mode)).at(&full)?;
        }
        Ok(())
    }
}

/// Whether something was made, or was there.
fn made(result: rustix::io::Result<()>) -> rustix::io::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(Errno::EXIST) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Takes a file's chunks and tells their length.
fn receive(input: &mut Input, staged: &Staged<'_>, sparse: bool) -> Result<u64, Broken> {
    let mut sink = SparseSink::new(staged.file());
    let mut length = 0;
    loop {
        let mut rest = match input.chunk()? {
            0 => break,
            rest => rest,
        };
        length += rest as u64;
        while sparse && rest > 0 {
            let piece = input.take(rest)?;
            sink.push(piece)?;
            rest -= piece.len();
        }
        if !sparse {
            let piece = input.take_read(rest);
            write_all(staged.file(), piece)?;
            rest -= piece.len();
            if transfer(stdin(), staged.file(), rest as u64)? < rest as u64 {
                return Err(Broken::Torn);
            }
        }
    }
    if sparse {
        sink.finish()?;
    }
    Ok(length)
}

/// Like `split`, for a path within the tree: what is directly in the root has no parent's name.
fn split_inside(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        None => (b"", path),
        Some(slash) => (&path[..slash], &path[slash + 1..]),
    }
}

/// A path that stays below the root whatever it is joined to. Empty is the root itself.
fn check_path(path: &[u8]) -> Result<(), Broken> {
    let valid =
        |name: &[u8]| !matches!(name, b"" | b"." | b"..") && name.len() <= MOST_NAME_BYTES && !name.contains(&0);
    if path.is_empty() || (path.len() <= MOST_PATH_BYTES && path.split(|byte| *byte == b'/').all(valid)) {
        Ok(())
    } else {
        Err(Broken::Malformed("a record has an impossible path"))
    }
}
