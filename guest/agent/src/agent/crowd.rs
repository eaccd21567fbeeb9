//! Fork and thread bombs (requirement A14). Children in the background may live on, a crowd of them may not: it would leave
//! the next program neither processes nor CPU.

use std::time::Duration;

use super::ladder::SIGKILL;
use super::live_repl::Phase;
use super::Agent;
use crate::boot::confine::PROCESSES;
use crate::clock;
use crate::console;
use crate::process::tree::Tree;
use crate::sys::signals::signal_process;
use rustix::process::Pid;

/// With so many tasks in the machine a crowd is looked for: no service that a program would leave running comes near half of
/// the limit.
const MANY: u64 = PROCESSES / 2;
/// So many of them that belong together are the crowd.
const CROWD: u64 = MANY / 2;
/// Looking at everybody takes milliseconds, and more under emulation: not at every child that ends.
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);
/// Rounds of stopping, in each of which those are found that were forked meanwhile.
const ROUNDS: usize = 3;
const SIGSTOP: i32 = 19;

/// Whether there are so many processes and threads, of the whole machine, that looking at them is worth its time. Those of
/// the kernel are a few dozen.
fn are_many() -> bool {
    u64::from(rustix::system::sysinfo().procs) > MANY
}

impl Agent {
    /// Whether a program that has just ended, or the REPL it ran in, has left a crowd, so that its group must go.
    pub(super) fn leaves_a_crowd(&self, root: Pid) -> bool {
        self.machine.is_some() && are_many() && Tree::read().tasks_of(root) > CROWD
    }

    /// A program is about to start. Crowds that no program makes which the host waits for are no use to anybody, and in its way.
    pub(super) fn make_room(&mut self) {
        if self.machine.is_none() || !are_many() {
            return;
        }
        self.next_look = Duration::ZERO;
        self.disperse_strays();
        let tree = Tree::read();
        let idle = self.contexts.iter().filter_map(|(key, context)| {
            let repl = context.repl.as_ref().filter(|repl| repl.phase == Phase::Idle)?;
            (tree.tasks_of(repl.pid) > CROWD).then(|| (key.clone(), repl.pid))
        });
        for (key, pid) in idle.collect::<Vec<_>>() {
            end_all(|| Tree::read().members_of(pid));
            self.condemn(&key, "a crowd is in the way");
        }
    }

    /// Orphans have ended, as the processes of a bomb do all the time. If a crowd is there that descends from nothing that
    /// the host has started, it goes, whatever runs beside it.
    pub(super) fn disperse_strays(&mut self) {
        let now = clock::now();
        if self.machine.is_none() || now < self.next_look || !are_many() {
            return;
        }
        self.next_look = now + BETWEEN_LOOKS;
        let is_ours = |pid| self.children.contains_key(&pid);
        if Tree::read().stray_tasks(is_ours) > CROWD {
            console::debug("a crowd of strays is killed");
            end_all(|| Tree::read().strays(is_ours));
        }
    }
}

/// Kills all that `find` finds. One that is killed alone is replaced by its siblings; those that stand still fork no more.
fn end_all(find: impl Fn() -> Vec<i32>) {
    let mut found = find();
    for _ in 0..ROUNDS {
        signal_all(&found, SIGSTOP);
        found = find();
    }
    signal_all(&found, SIGKILL);
}

fn signal_all(pids: &[i32], signal: i32) {
    for pid in pids.iter().filter_map(|pid| Pid::from_raw(*pid)) {
        // One that has ended meanwhile is what is wanted.
        let _ = signal_process(pid, signal);
    }
}
