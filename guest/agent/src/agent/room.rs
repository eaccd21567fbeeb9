//! How much the pipe of a stream holds.

use std::os::fd::AsFd;

use rustix::pipe::fcntl_setpipe_size;

/// With the usual 64 KiB the agent and the program take turns four times as often, and each turn costs an emulated processor
/// its translations of addresses.
const BUSY_BYTES: usize = 262_144;

/// The room of one pipe: as the kernel gives it, until the stream turns out to be busy.
#[derive(Debug, Default)]
pub struct PipeRoom {
    asked: bool,
}

impl PipeRoom {
    /// Asks for more room, once. True when the pipe has got it.
    pub fn widen(&mut self, pipe: impl AsFd) -> bool {
        !std::mem::replace(&mut self.asked, true) && fcntl_setpipe_size(pipe, BUSY_BYTES).is_ok()
    }
}
