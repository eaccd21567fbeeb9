//! The agent at work: one event loop, one thread, no lock. Events change the state of exchanges; after each batch
//! `settle` carries out what has become possible, and says what to wait for next.

mod context;
mod crowd;
mod dial;
mod ending;
mod flow;
mod inflow;
pub mod ladder;
mod live_repl;
mod network;
mod network_switch;
mod outbox;
mod output;
mod poller;
mod port;
mod pressure;
mod program;
mod reaper;
mod repls;
mod requests;
mod resume;
mod room;
mod run;
mod splice;
mod stdin;

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use context::{Context, ContextKey};
use dial::Dial;
use network::Network;
use poller::{Event, Interest, Owner, Part, Poller, Watched};
use port::Port;
pub use port::PortError;
use program::Program;
use requests::{Stopped, Stopping};
use resume::Resuming;
use run::Run;
use rustix::process::Pid;

use crate::boot::Machine;
use crate::clock;
use crate::network::trust::Trust;
use crate::process::oom::OomWatch;
use crate::sys::signals::child_signals;
use crate::wire::request::{Environment, Language};
use crate::wire::Incoming;

/// Where the agent runs. Tests run the same agent outside a VM, as whoever runs them.
pub struct Config {
    /// uid and gid of user programs; `None` keeps the agent's own.
    pub identity: Option<(u32, u32)>,
    pub home: String,
    pub repl_directory: PathBuf,
    /// The argument vector of a language's REPL, with its programs in the directory above.
    pub repl_argv: fn(Language, &Path) -> Vec<String>,
    /// Where `#!` programs are put while they run.
    pub script_directory: PathBuf,
    pub network: NetworkFiles,
}

/// What the network is made of.
pub struct NetworkFiles {
    /// The node of the TUN device.
    pub device: PathBuf,
    /// Where programs learn of the name server.
    pub resolver: PathBuf,
    /// Whom programs trust, where that is the agent's to say.
    pub trust: Option<Trust>,
    /// Bytes that may wait in the agent for programs that do not fetch them, over all connections.
    pub waiting_bytes: usize,
}

enum Exchange {
    Program(Box<Program>),
    Run(Box<Run>),
    Dial(Box<Dial>),
    Start(ContextKey),
    Stop(Stopping),
    Resume(Resuming),
    /// A `network` that waits until nothing is left of it.
    NetworkOff,
}

pub struct Agent {
    config: Config,
    poller: Poller,
    port: Port,
    /// Readable when a child has ended.
    signals: Watched,
    /// Children have ended that have not been looked at.
    children_left: bool,
    oom: OomWatch,
    /// Urgent when memory runs out; absent in somebody else's machine.
    pressure: Option<Watched>,
    /// Whom the agent has ended for want of memory, until it is gone.
    victim: Option<Pid>,
    /// Ends for want of memory that pressure has been judged with.
    kills_seen: u64,
    /// Clock, generator and names, when they are the agent's to set: tests run it in somebody else's machine.
    machine: Option<Machine>,
    /// A `resume` failed, so the machine is nobody's, and nothing may run in it.
    unfit: bool,
    exchanges: BTreeMap<u32, Exchange>,
    contexts: BTreeMap<ContextKey, Context>,
    /// The guest's own connections, while the host allows them.
    network: Option<Box<Network>>,
    /// Who started which process. What is not in here is an orphan of the user's.
    children: HashMap<i32, Owner>,
    /// The sandbox's environment, for everything that is started from now on.
    environment: Environment,
    next_serial: u32,
    /// When a crowd is looked for again.
    next_look: Duration,
}

impl Agent {
    /// Opens the conversation: when this returns, HELLO has been said.
    pub fn new(config: Config, port: OwnedFd, oom: OomWatch, mut machine: Option<Machine>) -> io::Result<Self> {
        let poller = Poller::new()?;
        let pressure = machine.as_mut().and_then(|machine| machine.pressure.take());
        let pressure = pressure.map(|file| poller.watch(file, Owner::Pressure, Part::Report));
        let mut signals = poller.watch(child_signals()?, Owner::Children, Part::Report);
        signals.want(Interest::READ)?;
        let port = Port::open(port, &poller)?;
        Ok(Self {
            config,
            poller,
            port,
            signals,
            children_left: false,
            oom,
            pressure,
            victim: None,
            kills_seen: 0,
            machine,
            unfit: false,
            exchanges: BTreeMap::new(),
            contexts: BTreeMap::new(),
            network: None,
            children: HashMap::new(),
            environment: Environment::new(),
            next_serial: 1,
            next_look: Duration::ZERO,
        })
    }

    /// Serves until the channel is of no use any more, and says why.
    pub fn serve(&mut self) -> PortError {
        loop {
            if let Err(error) = self.turn() {
                return error;
            }
        }
    }

    fn turn(&mut self) -> Result<(), PortError> {
        for event in self.poller.wait(self.patience()).map_err(PortError::Io)? {
            self.dispatch(&event)?;
        }
        if self.children_left {
            self.reap();
        }
        self.watch_the_time(clock::now());
        if self.network.is_some() {
            self.drop_closed_network();
        }
        self.settle()
    }

    fn dispatch(&mut self, event: &Event) -> Result<(), PortError> {
        match event.token.owner {
            Owner::Port => {
                if event.write {
                    self.port.flush()?;
                }
                if event.read || event.hung_up {
                    for incoming in self.port.read()? {
                        self.handle(incoming);
                    }
                }
            }
            Owner::Children => self.children_left = true,
            Owner::Pressure => self.relieve_pressure(),
            Owner::Exchange(id) => match self.exchanges.get_mut(&id) {
                Some(Exchange::Program(program)) => match event.token.part {
                    Part::Report => program.check_start(),
                    Part::Stdin => {
                        if let Some(stdin) = &mut program.stdin {
                            stdin.pump(id, &mut self.port);
                        }
                    }
                    part => program.pump_output(part, &mut self.port),
                },
                Some(Exchange::Dial(dial)) => dial.handle(event, &self.poller, &mut self.port),
                Some(_) => {}
                None => {
                    if let Some(network) = &mut self.network {
                        network.handle_flow(id, event, &mut self.port);
                    }
                }
            },
            Owner::Network => {
                if let Some(network) = &mut self.network {
                    network.handle(event, &mut self.port, &self.poller);
                }
            }
            Owner::Repl(serial) => self.repl_event(serial, event).map_err(PortError::Io)?,
        }
        Ok(())
    }

    fn handle(&mut self, incoming: Incoming) {
        match incoming {
            Incoming::Request { id, request } => self.begin(id, &request),
            Incoming::Cancel { id } => self.cancel(id),
            Incoming::Data { id, bytes, .. } => match self.exchanges.get_mut(&id) {
                Some(Exchange::Program(program)) => {
                    if let Some(stdin) = &mut program.stdin {
                        stdin.accept(&bytes);
                        stdin.pump(id, &mut self.port);
                    }
                }
                Some(Exchange::Dial(dial)) => dial.accept(&bytes, &mut self.port),
                Some(_) => {}
                None => {
                    if let Some(network) = &mut self.network {
                        network.data(id, &bytes, &mut self.port);
                    }
                }
            },
            Incoming::End { id, .. } => match self.exchanges.get_mut(&id) {
                Some(Exchange::Program(program)) => {
                    if let Some(stdin) = &mut program.stdin {
                        stdin.end();
                        stdin.pump(id, &mut self.port);
                    }
                }
                Some(Exchange::Dial(dial)) => dial.end(&mut self.port),
                Some(_) => {}
                None => {
                    if let Some(network) = &mut self.network {
                        network.end(id, &mut self.port);
                    }
                }
            },
            Incoming::Connected { id } => {
                if let Some(network) = &mut self.network {
                    network.connected(id);
                }
            }
            Incoming::Response { id, answer } => {
                if let Some(network) = &mut self.network {
                    network.answered(id, &answer, &mut self.port);
                }
            }
            // Credit is in the books; `settle` uses it.
            Incoming::Welcome | Incoming::Credit { .. } | Incoming::Stale => {}
        }
    }

    /// How long nothing needs to be done without an event.
    fn patience(&self) -> Option<Duration> {
        if self.children_left {
            return Some(Duration::ZERO);
        }
        let exchanges = self.exchanges.values().filter_map(|exchange| match exchange {
            Exchange::Program(program) => program.due(),
            Exchange::Run(run) => run.due(),
            Exchange::Dial(_) | Exchange::Start(_) | Exchange::Stop(_) | Exchange::Resume(_) | Exchange::NetworkOff => {
                None
            }
        });
        let repls = self.contexts.values().filter_map(|context| context.repl.as_ref()?.due());
        let network = self.network.as_ref().and_then(|network| network.due());
        let next = exchanges.chain(repls).chain(network).min()?;
        Some(next.saturating_sub(clock::now()))
    }

    /// Does what has become possible, as long as anything does, then says what to wait for.
    fn settle(&mut self) -> Result<(), PortError> {
        loop {
            let began = self.begin_turns();
            let moved = self.pump_rests();
            let closed = self.respond_finished();
            self.port.flush()?;
            if !(began || moved || closed) {
                break;
            }
        }
        self.update_interests().map_err(PortError::Io)
    }

    fn pump_rests(&mut self) -> bool {
        let mut moved = false;
        for exchange in self.exchanges.values_mut() {
            match exchange {
                Exchange::Program(program) => moved |= program.pump_rest(&mut self.port),
                Exchange::Run(run) => {
                    let repl = self.contexts.get(&run.key).and_then(|context| context.repl.as_ref());
                    moved |= run.pump_rest(repl, &mut self.port);
                }
                _ => {}
            }
        }
        moved
    }

    fn respond_finished(&mut self) -> bool {
        let finished = self.exchanges.iter().filter_map(|(id, exchange)| match exchange {
            Exchange::Program(program) => program.is_finished().then_some(*id),
            Exchange::Run(run) => run.is_finished().then_some(*id),
            Exchange::Dial(dial) => dial.is_finished().then_some(*id),
            Exchange::Resume(resuming) => resuming.is_done(&self.contexts).then_some(*id),
            Exchange::Stop(stopping) => self.is_stopped(stopping).then_some(*id),
            Exchange::NetworkOff => self.network.is_none().then_some(*id),
            Exchange::Start(_) => None,
        });
        let finished: Vec<u32> = finished.collect();
        for id in &finished {
            match self.exchanges.remove(id) {
                Some(Exchange::Program(mut program)) => {
                    program.respond(&mut self.port);
                    if let Some(script) = &program.script {
                        self.end_turn(&script.context.clone(), *id);
                    }
                }
                Some(Exchange::Run(mut run)) => {
                    run.respond(&mut self.port);
                    self.end_turn(&run.key, *id);
                }
                Some(Exchange::Dial(dial)) => dial.respond(&mut self.port),
                Some(Exchange::Resume(_) | Exchange::NetworkOff) => self.respond_resumed(*id),
                Some(Exchange::Stop(_)) => self.port.respond(*id, &Ok(Stopped { stopped: true })),
                Some(Exchange::Start(_)) | None => {}
            }
        }
        !finished.is_empty()
    }

    fn update_interests(&mut self) -> io::Result<()> {
        // A REPL with much to display waits until the host has taken what is queued.
        let listening = self.port.outbox.has_control_room();
        for context in self.contexts.values_mut() {
            let Some(repl) = &mut context.repl else {
                continue;
            };
            repl.update_interest(listening)?;
            let active = context.active.and_then(|id| self.exchanges.get_mut(&id));
            if let Some(Exchange::Run(run)) = active {
                run.update_interest(repl, &self.port)?;
            } else {
                repl.pause_pipes();
            }
        }
        for exchange in self.exchanges.values_mut() {
            match exchange {
                Exchange::Program(program) => program.update_interest(&self.port)?,
                Exchange::Dial(dial) => dial.update_interest(&self.port)?,
                _ => {}
            }
        }
        if let Some(network) = &mut self.network {
            network.update_interest(&self.port)?;
        }
        if let Some(pressure) = &mut self.pressure {
            pressure.want(Interest::URGENT)?;
        }
        self.signals.want(Interest::READ)
    }
}
