//! The life of the REPLs: started, given their turns, listened to, ended.

use std::io;

use super::context::{Context, ContextKey};
use super::ladder::SIGKILL;
use super::live_repl::{LiveRepl, Phase, Reading};
use super::poller::{Event, Owner, Part};
use super::requests::Started;
use super::{Agent, Exchange};
use crate::clock;
use crate::console;
use crate::process::shebang;
use crate::process::{Launch, Stdin};
use crate::repl::{table, Message, ProtocolBreak, Report};
use crate::sys::signals::{signal_group, signal_process};
use crate::sys::wait::{Exit, Status};
use crate::wire::message::{milliseconds, ErrorCode, RequestError};
use crate::wire::request::Language;

/// Reads of a REPL's socket after its process has ended: what it said last is there at once, and children that it left
/// the socket to cannot hold the agent.
const LAST_READS: usize = 64;

impl Agent {
    pub(super) fn spawn_repl(&mut self, key: &ContextKey) -> Result<(), RequestError> {
        let argv = (self.config.repl_argv)(key.language, &self.config.repl_directory);
        let environment = self.environment_with(&table::environment(key.language));
        let launch = Launch {
            argv: &argv,
            environment: &environment,
            cwd: &self.config.home,
            stdin: Stdin::Null,
            with_socket: true,
            identity: self.config.identity,
        };
        let failed =
            |error: &dyn std::fmt::Display| RequestError::new(ErrorCode::Spawn, format!("{}: {error}", argv[0]));
        let launched = launch.start().map_err(|error| failed(&error))?;
        let (serial, pid) = (self.next_serial, launched.pid);
        self.next_serial += 1;
        self.children.insert(pid.as_raw_nonzero().get(), Owner::Repl(serial));
        let repl =
            LiveRepl::new(serial, argv[0].clone(), launched, &self.poller).ok_or_else(|| failed(&"no socket"))?;
        self.contexts.entry(key.clone()).or_default().repl = Some(repl);
        Ok(())
    }

    /// Gives each context's next run its turn, and waiting runs to REPLs that are idle. True when something began.
    pub(super) fn begin_turns(&mut self) -> bool {
        let ready = self.contexts.iter().filter_map(|(key, context)| {
            let waiting = match context.active {
                None => context.queue.front().copied(),
                Some(id) => Some(id).filter(|id| self.is_waiting(*id)),
            };
            waiting.map(|id| (key.clone(), id))
        });
        let ready: Vec<(ContextKey, u32)> = ready.collect();
        ready.into_iter().fold(false, |began, (key, id)| self.begin_turn(&key, id) || began)
    }

    fn is_waiting(&self, id: u32) -> bool {
        matches!(self.exchanges.get(&id), Some(Exchange::Run(run)) if !run.has_begun())
    }

    fn begin_turn(&mut self, key: &ContextKey, id: u32) -> bool {
        let Some(context) = self.contexts.get_mut(key) else {
            return false;
        };
        if context.active.is_none() {
            context.queue.pop_front();
            context.active = Some(id);
            self.make_room();
        }
        let Some(context) = self.contexts.get_mut(key) else { return false };
        let Some(Exchange::Run(run)) = self.exchanges.get_mut(&id) else {
            context.active = None;
            return true;
        };
        // What the kernel could not make a program of, a shell runs itself (execve(2), ENOEXEC).
        let script = if key.language == Language::Bash { shebang::parse(&run.request.code) } else { None };
        match (script, &mut context.repl) {
            (Some(script), _) => self.begin_script(id, script),
            (None, Some(repl)) if repl.phase == Phase::Idle && !repl.condemned => {
                run.finds_state(!std::mem::take(&mut context.lost));
                run.hand_over(repl, self.oom.kills());
                true
            }
            (None, Some(_)) => false,
            (None, None) => {
                let begun = self.spawn_repl(key);
                self.fail_unless(id, begun);
                true
            }
        }
    }

    fn begin_script(&mut self, id: u32, script: shebang::Shebang) -> bool {
        let Some(Exchange::Run(run)) = self.exchanges.remove(&id) else {
            return false;
        };
        if let Err(error) = self.start_script(id, &run, script) {
            run.respond_error(error, &mut self.port);
            self.end_turn(&run.key, id);
        }
        true
    }

    fn fail_unless(&mut self, id: u32, begun: Result<(), RequestError>) {
        let Err(error) = begun else { return };
        if let Some(Exchange::Run(run)) = self.exchanges.remove(&id) {
            run.respond_error(error, &mut self.port);
            self.end_turn(&run.key, id);
        }
    }

    pub(super) fn key_of(&self, serial: u32) -> Option<ContextKey> {
        let mut contexts = self.contexts.iter();
        let found = contexts.find(|(_, context)| context.repl.as_ref().is_some_and(|repl| repl.serial == serial));
        found.map(|(key, _)| key.clone())
    }

    pub(super) fn repl_event(&mut self, serial: u32, event: &Event) -> io::Result<()> {
        let Some(key) = self.key_of(serial) else {
            return Ok(());
        };
        match event.token.part {
            Part::Report => {
                if let Some(repl) = self.contexts.get_mut(&key).and_then(|context| context.repl.as_mut()) {
                    repl.check_start();
                }
            }
            Part::Socket => {
                if let Some(repl) = self.contexts.get_mut(&key).and_then(|context| context.repl.as_mut()) {
                    repl.write();
                }
                if event.read {
                    self.read_repl(&key);
                }
            }
            Part::Stdin | Part::Stdout | Part::Stderr => {
                let Some(Context { repl: Some(repl), active, .. }) = self.contexts.get_mut(&key) else {
                    return Ok(());
                };
                let moved = match active.and_then(|id| self.exchanges.get_mut(&id)) {
                    Some(Exchange::Run(run)) => run.pump_output(event.token.part, repl, &mut self.port),
                    _ => false,
                };
                if !moved {
                    repl.unlist_paused_pipes()?;
                }
            }
        }
        Ok(())
    }

    /// Reads once and does what the REPL says; true when there may be more.
    fn read_repl(&mut self, key: &ContextKey) -> bool {
        let Some(repl) = self.contexts.get_mut(key).and_then(|context| context.repl.as_mut()) else {
            return false;
        };
        if repl.condemned {
            return false;
        }
        let heard = repl.read(&mut self.port.scratch).and_then(|messages| match messages {
            None => Ok(false),
            Some(messages) => messages.into_iter().try_for_each(|message| self.hear(key, message)).map(|()| true),
        });
        heard.unwrap_or_else(|broken| {
            self.condemn(key, &format!("the REPL broke its protocol: {broken:?}"));
            false
        })
    }

    fn hear(&mut self, key: &ContextKey, message: Message) -> Result<(), ProtocolBreak> {
        let Some(context) = self.contexts.get_mut(key) else {
            return Ok(());
        };
        let Some(repl) = &mut context.repl else {
            return Ok(());
        };
        let mut reported = None;
        match (repl.phase, message) {
            (Phase::Starting { .. }, Message::Ready) => {
                repl.phase = Phase::Idle;
                let spawn = clock::now().saturating_sub(repl.launched);
                let started = Started { pid: repl.pid.as_raw_nonzero().get(), spawn_ms: milliseconds(spawn) };
                for waiter in context.waiters.drain(..) {
                    self.exchanges.remove(&waiter);
                    self.port.respond(waiter, &Ok(&started));
                }
                if let Some(Exchange::Run(run)) = context.active.and_then(|id| self.exchanges.get_mut(&id)) {
                    run.spawn = spawn;
                }
            }
            (Phase::Reseeding { deadline, answers }, Message::Reseeded) => repl.reseeded(deadline, answers),
            (Phase::Running(id), Message::Of(mark, report)) if repl.is_about_last_run(&mark) => {
                let Some(Exchange::Run(run)) = self.exchanges.get_mut(&id) else {
                    return Ok(());
                };
                match report {
                    Report::Display(json) => run.display(&json, &mut self.port),
                    Report::Error(json) => run.set_error(&json),
                    Report::Done(code) => {
                        repl.phase = Phase::Idle;
                        run.reported(code, self.oom.kills(), repl);
                        reported = Some(repl.pid);
                    }
                }
            }
            // A timer or a thread of a program that has ended displays something: nobody is there to see it.
            (_, Message::Of(_, Report::Display(_))) => {}
            (_, Message::Of(..)) => return Err(ProtocolBreak::Mark),
            _ => return Err(ProtocolBreak::OutOfTurn),
        }
        if repl.phase == Phase::Idle && repl.reseed_due {
            repl.reseed(&self.environment);
        }
        if reported.is_some_and(|pid| self.leaves_a_crowd(pid)) {
            self.condemn(key, "the program left a crowd of processes");
        }
        Ok(())
    }

    /// Ends a REPL that cannot be used any more. What it was doing ends when its process has ended.
    pub(super) fn condemn(&mut self, key: &ContextKey, why: &str) {
        let Some(context) = self.contexts.get_mut(key) else { return };
        let Some(repl) = &mut context.repl else { return };
        if !repl.condemned {
            console::debug(&format!("{:?} {}: {why}", key.language, key.name));
            repl.condemned = true;
            if let Some(Exchange::Run(run)) = context.active.and_then(|id| self.exchanges.get_mut(&id)) {
                run.loses_repl();
                repl.loss_told = run.has_begun();
            }
            let _ = signal_group(repl.pid, SIGKILL) || signal_process(repl.pid, SIGKILL);
        }
    }

    /// Before a REPL is reaped: what it said last still counts, and what the agent ended ends with its group.
    pub(super) fn repl_ending(&mut self, serial: u32, was_victim: bool) {
        let Some(key) = self.key_of(serial) else {
            return;
        };
        let mut reads = 0;
        while reads < LAST_READS && self.read_repl(&key) {
            reads += 1;
        }
        let Some(context) = self.contexts.get(&key) else {
            return;
        };
        let Some(repl) = &context.repl else { return };
        let cause = match context.active.and_then(|id| self.exchanges.get(&id)) {
            Some(Exchange::Run(run)) => run.cause(),
            _ => None,
        };
        if cause.is_some() || was_victim || repl.condemned {
            let _ = signal_group(repl.pid, SIGKILL);
        }
    }

    /// A REPL's process has ended.
    pub(super) fn repl_ended(&mut self, serial: u32, exit: Exit, was_victim: bool) {
        let Some(key) = self.key_of(serial) else {
            return;
        };
        let Some(context) = self.contexts.get_mut(&key) else {
            return;
        };
        let Some(mut repl) = context.repl.take() else {
            return;
        };
        repl.check_start();
        let active = context.active;
        if let Phase::Starting { .. } = repl.phase {
            let error = start_error(&repl, exit);
            let waiters = std::mem::take(&mut context.waiters);
            for waiter in waiters {
                self.exchanges.remove(&waiter);
                self.port.respond::<Started>(waiter, &Err(error.clone()));
            }
            // A REPL that the host stopped says nothing about the next one, which a waiting run gets.
            if let Some(id) = active.filter(|id| !repl.loss_told && self.is_waiting(*id)) {
                self.fail_unless(id, Err(error));
            }
            return;
        }
        if let Some(Exchange::Run(run)) = active.and_then(|id| self.exchanges.get_mut(&id)) {
            let taken = run.has_begun() && !(repl.reading == Reading::GaveUp && run.waits_again());
            if taken {
                run.repl_ended(exit, was_victim, repl);
                return;
            }
        }
        // A run that waits for a REPL which ended while idle, or before it read the program, gets a new one.
        context.lost |= !repl.loss_told;
    }
}

fn start_error(repl: &LiveRepl, exit: Exit) -> RequestError {
    let program = &repl.program;
    let message = match (repl.failure, exit.status) {
        (Some(failure), _) => failure.message(program, "the home directory"),
        (None, Status::Exited(code)) => {
            format!("{program} exited with {code} before it was ready: {}", repl.last_words())
        }
        (None, Status::Signaled(signal)) => {
            format!("{program} ended by signal {signal} before it was ready: {}", repl.last_words())
        }
    };
    RequestError::new(ErrorCode::Spawn, message)
}
