//! Memory has run out, and the kernel has not seen it yet (requirement C12).

use super::ladder::SIGKILL;
use super::Agent;
use crate::console;
use crate::process::pressure::{is_exhausted, largest_process};
use crate::process::tree::is_alive;
use crate::sys::signals::signal_process;

impl Agent {
    /// Ends the largest process of the user's, unless one is on its way out, the agent's choice or the kernel's. Its run
    /// then ends for want of memory.
    pub(super) fn relieve_pressure(&mut self) {
        let kills = self.oom.kills();
        let kernel_acts = kills != std::mem::replace(&mut self.kills_seen, kills);
        if kernel_acts || !is_exhausted() || self.victim.is_some_and(is_alive) {
            return;
        }
        let Some(pid) = largest_process() else { return };
        console::debug(&format!("memory has run out: process {} is killed", pid.as_raw_nonzero()));
        self.oom.add_victim(pid);
        self.kills_seen = self.oom.kills();
        self.victim = signal_process(pid, SIGKILL).then_some(pid);
    }
}
