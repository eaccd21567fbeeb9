//! A program that runs in a REPL, from the request to the response.

use std::time::Duration;

use super::context::ContextKey;
use super::ending::{classify, ProgramEnd, State, KILLED};
use super::ladder::{Cause, Ladder, SIGINT};
use super::live_repl::LiveRepl;
use super::output::Output;
use super::poller::{Interest, Part, Watched};
use super::port::Port;
use crate::clock;
use crate::process::tree::signal_groups_below;
use crate::sys::signals::signal_group;
use crate::sys::wait::{Exit, Status};
use crate::wire::message::{milliseconds, Event, RequestError};
use crate::wire::request::{self, Language};
use rustix::process::Pid;

/// Displayed values that are passed on.
const RESULTS: u32 = 256;
/// 128 + SIGINT: of a run that was cancelled before it began.
const INTERRUPTED: u8 = 130;

struct End {
    status: Status,
    memory: bool,
    state: State,
    at: Duration,
    cpu: Duration,
    peak_bytes: u64,
}

pub struct Run {
    id: u32,
    pub key: ContextKey,
    pub request: request::Run,
    outputs: [Output; 2],
    /// Whether the state is that of the run before; false when the REPL was lost in between.
    state_found: bool,
    /// From the hand-over on.
    ladder: Option<Ladder>,
    pub spawn: Duration,
    handed_over: Duration,
    cpu_before: Duration,
    kills_before: u64,
    /// A REPL has ended without having read it.
    was_given_back: bool,
    results: u32,
    error: Option<String>,
    end: Option<End>,
    /// The pipes of a REPL that has ended, which this run still has to empty.
    pipes: Option<[Watched; 2]>,
}

impl Run {
    #[must_use]
    pub fn new(id: u32, key: ContextKey, request: request::Run) -> Self {
        let (stdout, stderr) = (Some(request.stdout_limit), Some(request.stderr_limit));
        Self {
            id,
            key,
            request,
            outputs: [Output::new(id, 1, stdout), Output::new(id, 2, stderr)],
            state_found: true,
            ladder: None,
            spawn: Duration::ZERO,
            handed_over: Duration::ZERO,
            cpu_before: Duration::ZERO,
            kills_before: 0,
            was_given_back: false,
            results: 0,
            error: None,
            end: None,
            pipes: None,
        }
    }

    pub fn finds_state(&mut self, found: bool) {
        self.state_found = found;
    }

    /// Gives the code to an idle REPL.
    pub fn hand_over(&mut self, repl: &mut LiveRepl, kills_before: u64) {
        self.handed_over = clock::now();
        self.ladder = Some(Ladder::new(self.handed_over, self.request.timeout_ms));
        (self.cpu_before, _) = repl.meter.read();
        self.kills_before = kills_before;
        repl.run(self.id, &self.request.env, &self.request.code);
    }

    /// The REPL was killed before it read the program: waits for a new one. False when that is no option: the host
    /// wants the end, or it has happened before, so that it would happen again.
    pub fn waits_again(&mut self) -> bool {
        let possible = self.is_running() && self.cause().is_none() && !self.was_given_back;
        if possible {
            self.was_given_back = true;
            self.ladder = None;
            self.outputs.iter_mut().for_each(Output::starts_over);
        }
        possible
    }

    #[must_use]
    pub fn is_running(&self) -> bool {
        self.ladder.is_some() && self.end.is_none()
    }

    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.ladder.is_some()
    }

    #[must_use]
    pub fn cause(&self) -> Option<Cause> {
        self.ladder.as_ref().and_then(Ladder::cause)
    }

    /// Sends a signal to what runs in the REPL; false when nobody is left. The REPL's own group first. What the program has
    /// put into groups of its own (`timeout`, `setsid -w`, job control) hears it, too, except Ctrl-C in languages that see it
    /// themselves and end their children as they see fit; bash does not see it while it waits for a child.
    #[must_use]
    pub fn signal(&self, repl: Pid, signal: i32) -> bool {
        let delivered = signal_group(repl, signal);
        if signal != SIGINT || self.key.language == Language::Bash {
            signal_groups_below(repl, signal, self.handed_over);
        }
        delivered
    }

    /// The host wants the end: the signal to send now.
    pub fn cancel(&mut self, now: Duration) -> Option<i32> {
        self.outputs.iter_mut().for_each(Output::give_up);
        if self.end.is_some() {
            return None;
        }
        self.ladder.as_mut().and_then(|ladder| ladder.cancel(now))
    }

    /// The ladder's signal that is due.
    pub fn climb(&mut self, now: Duration) -> Option<i32> {
        if self.end.is_some() {
            return None;
        }
        self.ladder.as_mut().and_then(|ladder| ladder.climb(now))
    }

    #[must_use]
    pub fn due(&self) -> Option<Duration> {
        if self.end.is_some() {
            None
        } else {
            let outputs = self.outputs.iter().filter_map(Output::due);
            outputs.chain(self.ladder.as_ref().and_then(Ladder::due)).min()
        }
    }

    /// Passes a displayed value on. Beyond the bounds values are dropped, as the protocol says.
    pub fn display(&mut self, json: &[u8], port: &mut Port) {
        if self.results < RESULTS && port.event(self.id, &Event::Result { data: &String::from_utf8_lossy(json) }) {
            self.results += 1;
        }
    }

    /// Keeps the error as far as it fits: a hostile one grows up to six times when it is escaped.
    pub fn set_error(&mut self, json: &[u8]) {
        /// With it a RESPONSE (1 MiB at most) keeps room for the other fields.
        const ENCODED_LIMIT: usize = 1_000_000;
        let text = String::from_utf8_lossy(json).into_owned();
        let fits = serde_json::to_string(&text).is_ok_and(|encoded| encoded.len() <= ENCODED_LIMIT);
        self.error = fits.then_some(text);
    }

    /// The REPL has reported the end.
    pub fn reported(&mut self, code: u8, kills_now: u64, repl: &mut LiveRepl) {
        self.outputs.iter_mut().zip(&repl.pipes).for_each(|(output, pipe)| output.finish(pipe));
        let at = clock::now();
        let (cpu, peak_bytes) = repl.meter.read();
        self.end = Some(End {
            status: Status::Exited(code),
            memory: code == KILLED && kills_now > self.kills_before,
            state: State::Kept,
            at,
            cpu,
            peak_bytes,
        });
    }

    /// The REPL will not be there for the next run, although it has reported the end of this one.
    pub fn loses_repl(&mut self) {
        if let Some(end) = &mut self.end {
            end.state = State::Reset;
        }
    }

    /// The REPL's process has ended: by itself, by the kernel, by the ladder, or because it broke the format.
    pub fn repl_ended(&mut self, exit: Exit, was_victim: bool, repl: LiveRepl) {
        self.outputs.iter_mut().zip(&repl.pipes).for_each(|(output, pipe)| output.finish(pipe));
        self.pipes = Some(repl.pipes);
        self.loses_repl();
        self.end.get_or_insert_with(|| End {
            status: exit.status,
            memory: was_victim,
            state: State::Reset,
            at: clock::now(),
            cpu: exit.cpu,
            peak_bytes: exit.peak_bytes,
        });
    }

    /// True when something moved. What comes while the run waits for a REPL comes from one that is ending.
    pub fn pump_output(&mut self, part: Part, repl: &LiveRepl, port: &mut Port) -> bool {
        if !self.has_begun() {
            return false;
        }
        let index = usize::from(part == Part::Stderr);
        match (self.outputs.get_mut(index), repl.pipes.get(index)) {
            (Some(output), Some(pipe)) => output.pump(pipe, port),
            _ => false,
        }
    }

    /// Moves what is left after the end; true when something moved.
    pub fn pump_rest(&mut self, repl: Option<&LiveRepl>, port: &mut Port) -> bool {
        if self.end.is_none() {
            return false;
        }
        let Some(pipes) = self.pipes.as_ref().or(repl.map(|repl| &repl.pipes)) else {
            return false;
        };
        let each = self.outputs.iter_mut().zip(pipes);
        each.fold(false, |moved, (output, pipe)| output.pump(pipe, port) || moved)
    }

    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.end.is_some() && self.outputs.iter().all(Output::is_done)
    }

    /// Waits for the pipes of the REPL as far as there is room for what comes.
    pub fn update_interest(&mut self, repl: &mut LiveRepl, port: &Port) -> std::io::Result<()> {
        if !self.is_running() {
            repl.pause_pipes();
            return Ok(());
        }
        for (output, pipe) in self.outputs.iter_mut().zip(&mut repl.pipes) {
            pipe.want(if output.wants(port) { Interest::READ } else { Interest::default() })?;
        }
        Ok(())
    }

    /// Tells the host that it never began.
    pub fn respond_cancelled(&self, port: &mut Port) {
        let end = End {
            status: Status::Exited(INTERRUPTED),
            memory: false,
            state: State::Kept,
            at: self.handed_over,
            cpu: self.cpu_before,
            peak_bytes: 0,
        };
        port.respond_after_streams(self.id, &Ok(self.result(&end, Some(Cause::Cancelled))));
    }

    pub fn respond_error(&self, error: RequestError, port: &mut Port) {
        port.respond_after_streams::<ProgramEnd>(self.id, &Err(error));
    }

    /// Tells the host. Called once, when finished.
    pub fn respond(&mut self, port: &mut Port) {
        if let Some(end) = &self.end {
            port.respond_after_streams(self.id, &Ok(self.result(end, self.cause())));
        }
    }

    fn result(&self, end: &End, cause: Option<Cause>) -> ProgramEnd {
        let (exit_code, reason) = classify(end.status, cause, end.memory);
        ProgramEnd {
            exit_code,
            reason,
            state: Some(if self.state_found { end.state } else { State::Reset }),
            error: self.error.clone(),
            stdout_truncated: self.outputs[0].truncated(),
            stderr_truncated: self.outputs[1].truncated(),
            spawn_ms: milliseconds(self.spawn),
            execute_ms: milliseconds(end.at.saturating_sub(self.handed_over)),
            cpu_ms: milliseconds(end.cpu.saturating_sub(self.cpu_before)),
            peak_bytes: end.peak_bytes,
        }
    }
}
