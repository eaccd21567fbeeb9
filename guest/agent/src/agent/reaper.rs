//! Children that have ended, ours and orphans of the user's; and what is due by the clock.

use std::time::Duration;

use super::ladder::SIGKILL;
use super::poller::Owner;
use super::{Agent, Exchange};
use crate::sys::signals::signal_group;
use crate::sys::wait::{ended_child, reap};

/// Children looked at between two looks at everything else: a storm of orphans must not hold the agent.
const AT_A_TIME: usize = 128;

impl Agent {
    pub(super) fn reap(&mut self) {
        // What the descriptor says is only that there is something; `ended_child` says what.
        let _ = rustix::io::read(&self.signals, self.port.scratch.get_mut(..4_096).unwrap_or_default());
        let mut orphans = false;
        for _ in 0..AT_A_TIME {
            let Some(pid) = ended_child() else {
                self.children_left = false;
                break;
            };
            let owner = self.children.remove(&pid.as_raw_nonzero().get());
            let was_victim = owner.is_some() && self.oom.was_victim(pid);
            // Until it is reaped, its pid names its group and nothing else.
            match owner {
                Some(Owner::Exchange(id)) => {
                    if let Some(Exchange::Program(program)) = self.exchanges.get(&id) {
                        if program.takes_group_along(was_victim) || self.leaves_a_crowd(pid) {
                            let _ = signal_group(pid, SIGKILL);
                        }
                    }
                }
                Some(Owner::Repl(serial)) => self.repl_ending(serial, was_victim),
                _ => {}
            }
            let Ok(exit) = reap(pid) else { continue };
            self.victim = self.victim.filter(|victim| *victim != pid);
            match owner {
                Some(Owner::Exchange(id)) => {
                    let kills = self.oom.kills();
                    if let Some(Exchange::Program(program)) = self.exchanges.get_mut(&id) {
                        program.ended(exit, was_victim, kills);
                    }
                }
                Some(Owner::Repl(serial)) => self.repl_ended(serial, exit, was_victim),
                _ => orphans = true,
            }
        }
        if orphans {
            self.disperse_strays();
        }
    }

    /// Sends the signals of all ladders that are due, and ends REPLs that have not answered in time.
    pub(super) fn watch_the_time(&mut self, now: Duration) {
        for exchange in self.exchanges.values_mut() {
            match exchange {
                Exchange::Program(program) => program.climb(now),
                Exchange::Run(run) => {
                    let Some(signal) = run.climb(now) else {
                        continue;
                    };
                    let repl = self.contexts.get(&run.key).and_then(|context| context.repl.as_ref());
                    if let Some(repl) = repl {
                        // Nobody there to hear it is seen as the end of the process.
                        let _ = run.signal(repl.pid, signal);
                    }
                }
                _ => {}
            }
        }
        if let Some(network) = &mut self.network {
            network.watch_the_time(now, &mut self.port);
        }
        let late = self.contexts.iter().filter(|(_, context)| {
            context.repl.as_ref().and_then(super::live_repl::LiveRepl::due).is_some_and(|due| now >= due)
        });
        let late: Vec<_> = late.map(|(key, _)| key.clone()).collect();
        for key in late {
            self.condemn(&key, "the REPL did not answer in time");
        }
    }
}
