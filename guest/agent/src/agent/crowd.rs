//! Fork and thread bombs that a program leaves behind (requirement A14). Children in the background may live on, a
//! crowd of them may not: it would leave the next program neither processes nor CPU.

use super::ladder::SIGKILL;
use super::{Agent, Exchange};
use crate::boot::confine::PROCESSES;
use crate::console;
use crate::sys::signals::signal_everybody;

/// So many tasks are a crowd when the program that made them has ended: no service that a program would leave running
/// comes near half of the limit.
const CROWD: u64 = PROCESSES / 2;
/// With so many, nothing of the user's can start.
const FULL: u64 = PROCESSES - 24;

/// Processes and threads of the whole machine; those of the kernel are a few dozen.
fn tasks() -> u64 {
    u64::from(rustix::system::sysinfo().procs)
}

impl Agent {
    /// Whether a program that has just ended has left a crowd, so that its group must go.
    pub(super) fn leaves_a_crowd(&self) -> bool {
        self.machine.is_some() && tasks() > CROWD
    }

    /// A program is about to start. If it could not, because others fill all places and no program that the host waits
    /// for is among them, everything of the user's goes: REPLs too, whose next runs start new ones.
    pub(super) fn make_room(&mut self) {
        let waited_for = |exchange: &Exchange| match exchange {
            Exchange::Program(_) => true,
            Exchange::Run(run) => run.is_running(),
            Exchange::Start(_) | Exchange::Stop(_) | Exchange::Resume(_) => false,
        };
        if self.machine.is_none() || tasks() <= FULL || self.exchanges.values().any(waited_for) {
            return;
        }
        console::debug("no room for another process; all processes of the user are killed");
        signal_everybody(SIGKILL);
        for repl in self.contexts.values_mut().filter_map(|context| context.repl.as_mut()) {
            repl.condemned = true;
        }
    }
}
