//! One REPL process: its socket, its pipes and what it is doing.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::Pid;
use rustix::rand::{getrandom, GetRandomFlags};

use super::poller::{Interest, Owner, Part, Poller, Watched};
use crate::boot::names::hex_digits;
use crate::clock;
use crate::process::launch::exec_outcome;
use crate::process::usage::Meter;
use crate::process::{ExecFailure, Launched};
use crate::repl::message::{encode, seed_entries, MARK_BYTES, SEED_BYTES};
use crate::repl::{Decoder, Mark, Message, ProtocolBreak};

/// An interpreter may have to be read from a cold disk under emulation; the host waits a little longer.
const READY_PATIENCE: Duration = Duration::from_secs(40);
/// Between the socket's end and the process's.
const END_PATIENCE: Duration = Duration::from_secs(1);
/// Reseeding is a few calls of an idle interpreter.
const RESEED_PATIENCE: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Until `R`.
    Starting {
        deadline: Duration,
    },
    Idle,
    /// From `C` to `D`, for this exchange.
    Running(u32),
    /// From `S` to `A`, as many of them as there are.
    Reseeding {
        deadline: Duration,
        answers: usize,
    },
}

/// What is known of its reading of the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    Unknown,
    /// It ended before it had read what it was given last, so a program that was among it has not begun.
    GaveUp,
}

pub struct LiveRepl {
    pub serial: u32,
    pub pid: Pid,
    /// For messages.
    pub program: String,
    pub phase: Phase,
    /// Of the run that it was given last.
    mark: Mark,
    pub launched: Duration,
    report: Option<Watched>,
    pub failure: Option<ExecFailure>,
    socket: Watched,
    decoder: Decoder,
    outgoing: Vec<u8>,
    sent: usize,
    pub pipes: [Watched; 2],
    pub meter: Meter,
    /// The environment or the generators are those of before a `resume`; done as soon as it is idle.
    pub reseed_due: bool,
    pub reading: Reading,
    /// The agent has ended it; nothing it says counts any more.
    pub condemned: bool,
    /// A run's result tells of its end.
    pub loss_told: bool,
    /// It has closed its socket. A process that is ending does so first, so this is a break of the protocol only if the
    /// process is still there after a while.
    closed: Option<Duration>,
}

impl LiveRepl {
    /// Takes over what was launched; `None` when it has no socket, which would be a defect.
    #[must_use]
    pub fn new(serial: u32, program: String, launched: Launched, poller: &Poller) -> Option<Self> {
        let now = clock::now();
        let watch = |descriptor, part| poller.watch(descriptor, Owner::Repl(serial), part);
        Some(Self {
            serial,
            pid: launched.pid,
            program,
            phase: Phase::Starting { deadline: now + READY_PATIENCE },
            mark: [0; MARK_BYTES],
            launched: now,
            report: Some(watch(launched.report, Part::Report)),
            failure: None,
            socket: watch(launched.socket?, Part::Socket),
            decoder: Decoder::default(),
            outgoing: Vec::new(),
            sent: 0,
            pipes: [watch(launched.stdout, Part::Stdout), watch(launched.stderr, Part::Stderr)],
            meter: Meter::new(launched.pid),
            reseed_due: false,
            reading: Reading::Unknown,
            condemned: false,
            loss_told: false,
            closed: None,
        })
    }

    /// Looks whether the child has become the interpreter.
    pub fn check_start(&mut self) {
        let Some(outcome) = self.report.as_ref().and_then(exec_outcome) else {
            return;
        };
        self.report = None;
        self.failure = outcome.err();
    }

    /// When it must have answered, or have ended.
    #[must_use]
    pub fn due(&self) -> Option<Duration> {
        match self.phase {
            _ if self.condemned => None,
            Phase::Starting { deadline } | Phase::Reseeding { deadline, .. } => Some(self.closed.unwrap_or(deadline)),
            Phase::Idle | Phase::Running(_) => self.closed,
        }
    }

    /// Hands a program over.
    pub fn run(&mut self, id: u32, environment: &BTreeMap<String, String>, code: &str) {
        for (name, value) in environment {
            self.queue(b'E', &[name.as_bytes(), b"=", value.as_bytes()]);
        }
        self.mark = fresh_mark();
        let mark = self.mark;
        self.queue(b'C', &[&mark, code.as_bytes()]);
        self.phase = Phase::Running(id);
        self.write();
    }

    /// Whether a report is about the run that it was given last, and not made up by what an earlier one left behind.
    #[must_use]
    pub fn is_about_last_run(&self, mark: &Mark) -> bool {
        self.mark == *mark
    }

    /// Gives it a seed of its own and the sandbox's environment, in as many messages as that takes.
    pub fn reseed(&mut self, environment: &BTreeMap<String, String>) {
        let mut answers = 0;
        for entries in seed_entries(environment) {
            let mut seed = [0_u8; SEED_BYTES];
            // The generator is initialized long before any REPL runs; from then on this call cannot fail.
            let _ = getrandom(&mut seed, GetRandomFlags::empty());
            self.queue(b'S', &[&seed, &entries]);
            answers += 1;
        }
        self.reseed_due = false;
        self.phase = Phase::Reseeding { deadline: clock::now() + RESEED_PATIENCE, answers };
        self.write();
    }

    /// It has answered one `S`.
    pub fn reseeded(&mut self, deadline: Duration, answers: usize) {
        self.phase = if answers > 1 { Phase::Reseeding { deadline, answers: answers - 1 } } else { Phase::Idle };
    }

    /// Queues a message. Lengths were checked where the request came in: one that does not fit condemns nobody, it is
    /// not sent, and the REPL's deadline tells.
    fn queue(&mut self, kind: u8, parts: &[&[u8]]) {
        self.outgoing.extend(encode(kind, parts).unwrap_or_default());
    }

    /// Writes what the socket takes. A REPL that does not read makes its own run wait, nothing else.
    pub fn write(&mut self) {
        while self.sent < self.outgoing.len() {
            let rest = self.outgoing.get(self.sent..).unwrap_or_default();
            match rustix::io::write(&self.socket, rest) {
                Ok(length) => self.sent += length,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                // The process is ending, or has closed its socket, which reading will tell.
                Err(_) => {
                    self.reading = Reading::GaveUp;
                    break;
                }
            }
        }
        self.outgoing = Vec::new();
        self.sent = 0;
    }

    /// Reads once. `Ok(None)` when there is nothing now.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<Option<Vec<Message>>, ProtocolBreak> {
        let length = match rustix::io::read(&self.socket, &mut *buffer) {
            Ok(length) => length,
            Err(Errno::AGAIN | Errno::INTR) => return Ok(None),
            // What an AF_UNIX socket says, once, when the other end was closed with something unread (unix_release_sock).
            Err(Errno::CONNRESET) => {
                self.reading = Reading::GaveUp;
                0
            }
            Err(_) => 0,
        };
        if length == 0 {
            self.closed.get_or_insert(clock::now() + END_PATIENCE);
            return Ok(None);
        }
        let mut bytes = buffer.get(..length).unwrap_or_default();
        let mut messages = Vec::new();
        while !bytes.is_empty() {
            messages.extend(self.decoder.next_message(&mut bytes)?);
        }
        Ok(Some(messages))
    }

    /// Nothing is to be read from the pipes until the next run.
    pub fn pause_pipes(&mut self) {
        self.pipes.iter_mut().for_each(Watched::pause);
    }

    /// Something came through a pipe that nobody reads now. It stays there for the next run.
    pub fn unlist_paused_pipes(&mut self) -> io::Result<()> {
        self.pipes.iter_mut().try_for_each(Watched::unlist_if_paused)
    }

    /// What it printed last, to explain a start that failed.
    pub fn last_words(&self) -> String {
        let mut buffer = [0_u8; 2_048];
        let length = rustix::io::read(&self.pipes[1], &mut buffer).unwrap_or(0);
        String::from_utf8_lossy(buffer.get(..length).unwrap_or_default()).trim().to_owned()
    }

    pub fn update_interest(&mut self, listening: bool) -> io::Result<()> {
        let read = listening && !self.condemned && self.closed.is_none();
        self.socket.want(Interest { read, write: self.sent < self.outgoing.len(), ..Interest::default() })?;
        self.report.as_mut().map_or(Ok(()), |report| report.want(Interest::READ))
    }
}

/// Sixteen hexadecimal digits that no program of an earlier run can know.
fn fresh_mark() -> Mark {
    let mut random = [0_u8; MARK_BYTES / 2];
    // As for the seed: from the generator's initialization on this call cannot fail.
    let _ = getrandom(&mut random, GetRandomFlags::empty());
    let mut mark = [0; MARK_BYTES];
    for (pair, byte) in mark.chunks_exact_mut(2).zip(random) {
        pair.copy_from_slice(&hex_digits(byte));
    }
    mark
}
