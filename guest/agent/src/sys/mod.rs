//! The calls for which there is no safe wrapper. Everything `unsafe` of the agent is in this folder.
#![allow(unsafe_code)]

pub mod child;
pub mod interface;
pub mod machine;
pub mod seccomp;
pub mod shared_file;
pub mod signals;
pub mod wait;

use std::io;

/// The result of a call that gives −1 and sets `errno`.
fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}
