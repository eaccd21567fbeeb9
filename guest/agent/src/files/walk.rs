//! A tree, depth first, in the order of the names' bytes. Every directory on the way is held open: what others rename or replace
//! meanwhile cannot lead the walk elsewhere.

use std::ffi::CStr;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::process::{getrlimit, setrlimit, Resource, Rlimit};

use crate::names::Names;

/// Directories on the way that a path of 4 096 bytes can have, and what else is open.
const DESCRIPTORS: u64 = 2_200;

/// Allows one descriptor for each directory on the longest way.
pub fn allow_depth() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.map_or(DESCRIPTORS, |maximum| maximum.min(DESCRIPTORS));
    if current.is_some_and(|current| current < wanted) {
        // Where it fails, the depth that needs it will say so.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum });
    }
}

struct Level {
    directory: OwnedFd,
    names: Names,
    next: usize,
    /// Of the path, up to and with the slash that follows the directory.
    path_length: usize,
}

pub struct Walk {
    levels: Vec<Level>,
    /// Of the entry that the walk stands at, relative to the top.
    path: Vec<u8>,
}

/// Where the walk stands.
pub struct Found<'a> {
    pub directory: BorrowedFd<'a>,
    pub name: &'a CStr,
    pub path: &'a [u8],
    /// 1 for what is directly in the top.
    pub depth: usize,
}

impl Walk {
    pub fn new(top: OwnedFd) -> rustix::io::Result<Self> {
        let mut walk = Self { levels: Vec::new(), path: Vec::new() };
        walk.enter(top)?;
        Ok(walk)
    }

    /// Goes on in the directory that the walk stands at.
    pub fn enter(&mut self, directory: OwnedFd) -> rustix::io::Result<()> {
        let names = Names::sorted(&directory)?;
        if !self.levels.is_empty() {
            self.path.push(b'/');
        }
        self.levels.push(Level { directory, names, next: 0, path_length: self.path.len() });
        Ok(())
    }

    pub fn advance(&mut self) -> Option<Found<'_>> {
        while self.levels.last().is_some_and(|level| level.names.get(level.next).is_none()) {
            self.levels.pop();
        }
        let depth = self.levels.len();
        let level = self.levels.last_mut()?;
        let name = level.names.get(level.next)?;
        level.next += 1;
        self.path.truncate(level.path_length);
        self.path.extend_from_slice(name.to_bytes());
        Some(Found { directory: level.directory.as_fd(), name, path: &self.path, depth })
    }
}
