//! Fork and thread bombs (requirement A14). Children in the background may live on, a crowd of them may not: it would leave
//! the next program neither processes nor CPU.

use std::time::Duration;

use super::ladder::SIGKILL;
use super::live_repl::Phase;
use super::{Agent, Exchange};
use crate::boot::confine::PROCESSES;
use crate::clock;
use crate::console;
use crate::process::tree::Tree;
use crate::sys::signals::{signal_everybody, signal_process};
use rustix::process::Pid;

/// So many tasks are a crowd when no program that made them is waited for: no service that a program would leave running
/// comes near half of the limit.
const CROWD: u64 = PROCESSES / 2;
/// Looking at everybody takes milliseconds, and more under emulation: not at every child that ends.
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);
/// Rounds of stopping, in each of which those are found that were forked meanwhile.
const ROUNDS: usize = 3;
const SIGSTOP: i32 = 19;

/// Processes and threads of the whole machine; those of the kernel are a few dozen.
fn tasks() -> u64 {
    u64::from(rustix::system::sysinfo().procs)
}

impl Agent {
    /// Whether a program that has just ended has left a crowd, so that its group must go.
    pub(super) fn leaves_a_crowd(&self) -> bool {
        self.machine.is_some() && tasks() > CROWD
    }

    /// A program is about to start. If a crowd is there and no program that the host waits for is in it, everything of the
    /// user's goes: REPLs too, whose next runs start new ones.
    pub(super) fn make_room(&mut self) {
        let waited_for = |exchange: &Exchange| match exchange {
            Exchange::Program(_) => true,
            Exchange::Run(run) => run.is_running(),
            Exchange::Start(_) | Exchange::Stop(_) | Exchange::Resume(_) => false,
        };
        if !self.leaves_a_crowd() || self.exchanges.values().any(waited_for) {
            return;
        }
        console::debug("a crowd is in the way; all processes of the user are killed");
        signal_everybody(SIGKILL);
        for repl in self.contexts.values_mut().filter_map(|context| context.repl.as_mut()) {
            repl.condemned = true;
            // What has not begun has nothing to lose: a run that waits for it gets another.
            repl.loss_told |= matches!(repl.phase, Phase::Starting { .. });
        }
    }

    /// Orphans have ended, as the processes of a bomb do all the time. If a crowd is there that descends from nothing that
    /// the host has started, it goes, whatever runs beside it.
    pub(super) fn disperse_strays(&mut self) {
        let now = clock::now();
        if now < self.next_look || !self.leaves_a_crowd() {
            return;
        }
        self.next_look = now + BETWEEN_LOOKS;
        let strays = || Tree::read().strays(|pid| self.children.contains_key(&pid));
        let mut found = strays();
        if u64::try_from(found.len()).unwrap_or(u64::MAX) < CROWD / 2 {
            return;
        }
        console::debug(&format!("{} strays are killed", found.len()));
        for _ in 0..ROUNDS {
            // One that is killed alone is replaced by its siblings; those that stand still fork no more.
            signal_all(&found, SIGSTOP);
            found = strays();
        }
        signal_all(&found, SIGKILL);
    }
}

fn signal_all(pids: &[i32], signal: i32) {
    for pid in pids.iter().filter_map(|pid| Pid::from_raw(*pid)) {
        // One that has ended meanwhile is what is wanted.
        let _ = signal_process(pid, signal);
    }
}
