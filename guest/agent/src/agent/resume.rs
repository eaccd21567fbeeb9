//! `resume`: a machine that was booted, or is the copy of another, becomes this sandbox's.

use std::collections::BTreeMap;
use std::time::Duration;

use rustix::time::{clock_settime, ClockId, Timespec};

use super::context::{Context, ContextKey};
use super::live_repl::Phase;
use super::requests::GuestTime;
use super::{Agent, Exchange};
use crate::boot::Machine;
use crate::clock;
use crate::sys::machine::add_entropy;
use crate::wire::message::{milliseconds, ErrorCode, RequestError};
use crate::wire::request;

/// The REPLs that have yet to say that they were reseeded, by serial number.
pub struct Resuming {
    serials: Vec<u32>,
}

impl Resuming {
    /// Done when each has answered or has ended.
    pub fn is_done(&self, contexts: &BTreeMap<ContextKey, Context>) -> bool {
        let repls = contexts.values().filter_map(|context| context.repl.as_ref());
        let mut waited_for = repls.filter(|repl| self.serials.contains(&repl.serial));
        waited_for.all(|repl| !matches!(repl.phase, Phase::Reseeding { .. }))
    }
}

impl Agent {
    pub(super) fn resume(&mut self, id: u32, request: request::Resume) -> Result<(), RequestError> {
        if let Some(machine) = &mut self.machine {
            become_another(machine, &request).map_err(|what| RequestError::new(ErrorCode::Internal, what))?;
        }
        self.environment = request.env;
        let mut serials = Vec::new();
        for repl in self.contexts.values_mut().filter_map(|context| context.repl.as_mut()) {
            repl.reseed_due = true;
            if repl.phase == Phase::Idle && !repl.condemned {
                repl.reseed(&self.environment);
                serials.push(repl.serial);
            }
        }
        self.exchanges.insert(id, Exchange::Resume(Resuming { serials }));
        Ok(())
    }

    /// The host's clock once more, now that nothing has to be translated on the way of the word.
    pub(super) fn set_clock(&mut self, id: u32, request: &request::Clock) -> Result<(), RequestError> {
        if self.machine.is_some() {
            set_clock(request.unix_time_ns).map_err(|what| RequestError::new(ErrorCode::Internal, what))?;
        }
        self.respond_resumed(id);
        Ok(())
    }

    pub(super) fn respond_resumed(&mut self, id: u32) {
        let time = GuestTime { guest_ms: milliseconds(clock::now()) };
        self.port.respond(id, &Ok(time));
    }
}

fn set_clock(time: Duration) -> Result<(), String> {
    let time = Timespec {
        tv_sec: i64::try_from(time.as_secs()).map_err(|error| format!("the clock: {error}"))?,
        tv_nsec: time.subsec_nanos().into(),
    };
    clock_settime(ClockId::Realtime, time).map_err(|error| format!("setting the clock: {error}"))
}

/// Clock, generator, name and machine-id. Entropy comes before the machine-id, which is drawn from the generator.
fn become_another(machine: &mut Machine, request: &request::Resume) -> Result<(), String> {
    set_clock(request.unix_time_ns)?;
    add_entropy(&machine.generator, &request.entropy).map_err(|error| format!("adding entropy: {error}"))?;
    machine.names.renew(&request.hostname).map_err(|error| error.to_string())
}
