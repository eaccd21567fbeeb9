//! A program of its own process: `exec`, and a `run` whose code names its interpreter by `#!`.

use std::path::PathBuf;
use std::time::Duration;

use rustix::process::Pid;

use super::context::ContextKey;
use super::ending::{classify, ProgramEnd, State, KILLED};
use super::ladder::Ladder;
use super::output::Output;
use super::poller::{Interest, Owner, Part, Poller, Watched};
use super::port::Port;
use super::stdin::StdinPipe;
use crate::clock;
use crate::process::launch::exec_outcome;
use crate::process::tree::signal_groups_below;
use crate::process::{ExecFailure, Launched};
use crate::sys::signals::{signal_group, signal_process};
use crate::sys::wait::{Exit, Status};
use crate::wire::message::{milliseconds, Event};

/// A file of the agent's that holds a `#!` program while it runs.
pub struct Script {
    pub path: PathBuf,
    /// The context whose turn this run is.
    pub context: ContextKey,
}

impl Drop for Script {
    fn drop(&mut self) {
        // Already gone is as good.
        let _ = std::fs::remove_file(&self.path);
    }
}

pub struct Program {
    id: u32,
    pub pid: Pid,
    /// What is run and where, for messages.
    name: String,
    cwd: String,
    pub script: Option<Script>,
    report: Option<Watched>,
    pub stdin: Option<StdinPipe>,
    pipes: [Watched; 2],
    outputs: [Output; 2],
    pub ladder: Ladder,
    launched: Duration,
    started: Option<Duration>,
    failure: Option<ExecFailure>,
    kills_before: u64,
    exit: Option<(Exit, Duration)>,
    memory: bool,
}

/// What is known before the start.
pub struct Plan {
    pub id: u32,
    pub name: String,
    pub cwd: String,
    pub script: Option<Script>,
    pub limits: [Option<u64>; 2],
    pub timeout_ms: u64,
    pub kills_before: u64,
}

impl Program {
    #[must_use]
    pub fn new(plan: Plan, launched: Launched, poller: &Poller) -> Self {
        let Plan { id, name, cwd, script, limits, timeout_ms, kills_before } = plan;
        let now = clock::now();
        let watch = |descriptor, part| poller.watch(descriptor, Owner::Exchange(id), part);
        let [stdout_limit, stderr_limit] = limits;
        Self {
            id,
            pid: launched.pid,
            name,
            cwd,
            script,
            report: Some(watch(launched.report, Part::Report)),
            stdin: launched.stdin.map(|pipe| StdinPipe::new(watch(pipe, Part::Stdin))),
            pipes: [watch(launched.stdout, Part::Stdout), watch(launched.stderr, Part::Stderr)],
            outputs: [Output::new(id, 1, stdout_limit), Output::new(id, 2, stderr_limit)],
            ladder: Ladder::new(now, timeout_ms),
            launched: now,
            started: None,
            failure: None,
            kills_before,
            exit: None,
            memory: false,
        }
    }

    /// Tells the host the pid, once.
    pub fn announce(&self, port: &mut Port) {
        port.event(self.id, &Event::Started { pid: self.pid.as_raw_nonzero().get() });
    }

    /// Looks whether the child has become the program.
    pub fn check_start(&mut self) {
        let Some(outcome) = self.report.as_ref().and_then(exec_outcome) else {
            return;
        };
        self.report = None;
        match outcome {
            Ok(()) => self.started = Some(clock::now()),
            Err(failure) => self.failure = Some(failure),
        }
    }

    /// Sends a signal to everything the program has started in its group; false when nobody is left.
    #[must_use]
    pub fn signal(&self, signal: i32) -> bool {
        // Before its first steps the child is not yet the leader of a group.
        self.exit.is_none() && (signal_group(self.pid, signal) || signal_process(self.pid, signal))
    }

    /// A signal of the ladder reaches what the program has put into groups of its own, too: all of it is to end.
    fn plead(&self, signal: i32) {
        // Nobody there to hear it is seen as the end of the process.
        let _ = self.signal(signal);
        signal_groups_below(self.pid, signal, self.launched);
    }

    /// The host wants the end and no more output than it has room for.
    pub fn cancel(&mut self, now: Duration) {
        self.outputs.iter_mut().for_each(Output::give_up);
        if self.exit.is_some() {
            return;
        }
        if let Some(signal) = self.ladder.cancel(now) {
            self.plead(signal);
        }
    }

    /// The time has come for the ladder's next signal.
    pub fn climb(&mut self, now: Duration) {
        if self.exit.is_none() {
            if let Some(signal) = self.ladder.climb(now) {
                self.plead(signal);
            }
        }
    }

    #[must_use]
    pub fn due(&self) -> Option<Duration> {
        if self.exit.is_some() {
            None
        } else {
            self.outputs.iter().filter_map(Output::due).chain(self.ladder.due()).min()
        }
    }

    /// Whether what is left of the group must go with its leader.
    #[must_use]
    pub fn takes_group_along(&self, was_victim: bool) -> bool {
        was_victim || self.ladder.cause().is_some()
    }

    /// The process has ended. Its report is looked at first: it may not have become the program at all.
    pub fn ended(&mut self, exit: Exit, was_victim: bool, kills_now: u64) {
        self.check_start();
        let out_of_memory = kills_now > self.kills_before && exit.status == Status::Exited(KILLED);
        self.memory = was_victim || out_of_memory;
        self.exit = Some((exit, clock::now()));
        for (output, pipe) in self.outputs.iter_mut().zip(&self.pipes) {
            output.finish(pipe);
        }
    }

    pub fn pump_output(&mut self, part: Part, port: &mut Port) {
        let index = usize::from(part == Part::Stderr);
        if let (Some(output), Some(pipe)) = (self.outputs.get_mut(index), self.pipes.get(index)) {
            output.pump(pipe, port);
        }
    }

    /// Moves what is left after the end; true when something moved.
    pub fn pump_rest(&mut self, port: &mut Port) -> bool {
        let ended = self.exit.is_some();
        let each = self.outputs.iter_mut().zip(&self.pipes);
        each.fold(false, |moved, (output, pipe)| (ended && output.pump(pipe, port)) || moved)
    }

    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.exit.is_some()
    }

    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.exit.is_some() && self.outputs.iter().all(Output::is_done)
    }

    pub fn update_interest(&mut self, port: &Port) -> std::io::Result<()> {
        for (output, pipe) in self.outputs.iter_mut().zip(&mut self.pipes) {
            pipe.want(if output.wants(port) { Interest::READ } else { Interest::default() })?;
        }
        if let Some(report) = &mut self.report {
            report.want(Interest::READ)?;
        }
        self.stdin.as_mut().map_or(Ok(()), StdinPipe::update_interest)
    }

    /// Tells the host. Called once, when finished.
    pub fn respond(&mut self, port: &mut Port) {
        let Some((exit, ended_at)) = self.exit else {
            return;
        };
        let (mut exit_code, reason) = classify(exit.status, self.ladder.cause(), self.memory);
        if let Some(failure) = self.failure {
            exit_code = failure.shell_status();
            self.outputs[1].say(&format!("{}\n", failure.message(&self.name, &self.cwd)), port);
        }
        let started = self.started.unwrap_or(ended_at);
        let end = ProgramEnd {
            exit_code,
            reason,
            state: self.script.is_some().then_some(State::Kept),
            error: None,
            stdout_truncated: self.outputs[0].truncated(),
            stderr_truncated: self.outputs[1].truncated(),
            spawn_ms: milliseconds(started.saturating_sub(self.launched)),
            execute_ms: milliseconds(ended_at.saturating_sub(started)),
            cpu_ms: milliseconds(exit.cpu),
            peak_bytes: exit.peak_bytes,
        };
        port.respond_after_streams(self.id, &Ok(end));
    }
}
