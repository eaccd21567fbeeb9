//! The file operations of a sandbox, started by the host through `exec`: docs/file-tool.md. It runs as the user and can do nothing
//! that the user cannot. It starts once per operation, so it does little before its work.

#![cfg_attr(not(test), no_main)]
// The tests of the parts come without the entry that uses them.
#![cfg_attr(test, allow(dead_code))]

mod change;
mod content;
mod entry;
mod failure;
mod file;
mod json;
mod list;
mod names;
mod output;
mod pack;
mod paths;
mod record;
mod remove;
mod request;
mod staged;
#[cfg(not(test))]
#[path = "../sys/start.rs"]
mod start;
mod unpack;
mod walk;

use std::os::unix::ffi::OsStrExt as _;

use rustix::fs::Mode;
use rustix::stdio::{stderr, stdout};
use serde::Deserialize;

use failure::{At, Failure};
use output::{write_all, Output};

const FAILED: u8 = 1;
const MISUSED: u8 = 2;
/// Directories that a listing goes down at most.
const DEPTHS: std::ops::RangeInclusive<usize> = 1..=64;

enum Trouble {
    Failed(Failure),
    Misused(&'static str),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Does what the arguments say and gives the exit status.
fn run() -> u8 {
    // Modes are what the host says they are.
    rustix::process::umask(Mode::empty());
    let arguments: Vec<_> = std::env::args_os().collect();
    let done = match &arguments[..] {
        [_, operation, parameters] => perform(operation.as_bytes(), parameters.as_bytes()),
        _ => Err(Trouble::Misused("usage: files OPERATION JSON\n")),
    };
    let (status, said) = match done {
        Ok(()) => return 0,
        Err(Trouble::Failed(failure)) => (FAILED, failure.to_line()),
        Err(Trouble::Misused(why)) => (MISUSED, why.into()),
    };
    // Where nobody listens, the exit status has to do.
    let _ = write_all(stderr(), &said);
    status
}

fn parse<'a, T: Deserialize<'a>>(parameters: &'a [u8]) -> Result<T, Trouble> {
    serde_json::from_slice(parameters).map_err(|_| Trouble::Misused("the parameters do not fit the operation\n"))
}

fn perform(operation: &[u8], parameters: &[u8]) -> Result<(), Trouble> {
    let say = |line: Vec<u8>| write_all(stdout(), &line).at(b"").map_err(Trouble::from);
    match operation {
        b"read" => file::read(&parse::<request::OfPath>(parameters)?.path)?,
        b"write" => say(file::write(&parse(parameters)?)?)?,
        b"stat" => {
            let request: request::Stat = parse(parameters)?;
            say(entry::stat(&request.path, request.follow)?)?;
        }
        b"list" => {
            let request: request::List = parse(parameters)?;
            if !DEPTHS.contains(&request.depth) {
                return Err(Trouble::Misused("depth is not within 1 to 64\n"));
            }
            let mut output = Output::default();
            list::list(&request.path, request.depth, &mut output)?;
            output.flush().at(&request.path)?;
        }
        b"mkdir" => say(change::make_directory(&parse(parameters)?)?)?,
        b"rename" => change::rename(&parse(parameters)?)?,
        b"remove" => {
            let request: request::Remove = parse(parameters)?;
            remove::remove(&request.path, request.recursive)?;
        }
        b"chmod" => say(change::change_mode(&parse(parameters)?)?)?,
        b"pack" => {
            let request: request::OfPath = parse(parameters)?;
            let mut output = Output::default();
            pack::pack(&request.path, &mut output)?;
            output.flush().at(&request.path)?;
        }
        b"unpack" => say(unpack::unpack(&parse(parameters)?)?)?,
        _ => return Err(Trouble::Misused("there is no such operation\n")),
    }
    Ok(())
}
