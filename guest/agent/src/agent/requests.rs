//! Requests of the host: checked, begun or answered.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;

use serde::Serialize;

use super::context::{Context, ContextKey};
use super::ending::ProgramEnd;
use super::ladder::SIGKILL;
use super::live_repl::Phase;
use super::poller::Owner;
use super::program::{Plan, Program, Script};
use super::run::Run;
use super::{Agent, Exchange};
use crate::clock;
use crate::network::trust;
use crate::process::shebang::Shebang;
use crate::process::{Launch, Stdin};
use crate::wire::message::{milliseconds, ErrorCode, RequestError};
use crate::wire::request::{self, Environment, Request};

/// Exchanges that may be open at the same time.
const EXCHANGES: usize = 1_024;
/// Contexts with something in them.
const CONTEXTS: usize = 64;
/// Runs that wait or run, over all contexts: each may hold a program of 1 MiB.
const RUNS: usize = 64;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GuestTime {
    pub guest_ms: f64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Started {
    pub pid: i32,
    pub spawn_ms: f64,
}

/// What a `stop` waits for the end of.
pub(super) struct Stopping {
    /// By serial number.
    repl: Option<u32>,
    /// By exchange id.
    program: Option<u32>,
}

#[derive(Serialize)]
pub(super) struct Stopped {
    pub stopped: bool,
}

#[derive(Serialize)]
struct Delivered {
    delivered: bool,
}

impl Agent {
    pub(super) fn begin(&mut self, id: u32, request: &Request) {
        let has_streams = matches!(request.method.as_str(), "run" | "exec");
        let begun = if self.exchanges.len() >= EXCHANGES {
            Err(RequestError::bad(format!("expected at most {EXCHANGES} exchanges at a time")))
        } else {
            match request.method.as_str() {
                "ping" => request.params().map(|request::Ping {}| self.ping(id)),
                "clock" => request.params().and_then(|clock| self.set_clock(id, &clock)),
                "signal" => request.params().map(|signal| self.signal(id, &signal)),
                "resume" => {
                    let resumed = request.params().and_then(|resume| self.resume(id, resume));
                    self.unfit = resumed.is_err();
                    resumed
                }
                "exec" | "run" | "start" if self.unfit => {
                    Err(RequestError::new(ErrorCode::Internal, "a resume failed: nothing runs before one succeeds"))
                }
                "exec" => request.params().and_then(|exec| self.exec(id, exec)),
                "run" => request.params().and_then(|run| self.run(id, run)),
                "start" => request.params().and_then(|start| self.start(id, start)),
                "network" => request.params().and_then(|network| self.set_network(id, &network)),
                "dial" => request.params().map(|dial| self.dial(id, &dial)),
                "stop" => request.params().map(|stop| self.stop(id, stop)),
                other => Err(RequestError::new(ErrorCode::UnknownMethod, format!("no method {other:.64}"))),
            }
        };
        match begun {
            Ok(()) => {}
            Err(error) if has_streams => self.port.respond_after_streams::<ProgramEnd>(id, &Err(error)),
            Err(error) => self.port.respond::<GuestTime>(id, &Err(error)),
        }
    }

    fn ping(&mut self, id: u32) {
        let time = GuestTime { guest_ms: milliseconds(clock::now()) };
        self.port.respond(id, &Ok(time));
    }

    fn signal(&mut self, id: u32, request: &request::Signal) {
        let delivered = match self.exchanges.get(&request.target) {
            Some(Exchange::Program(program)) => program.signal(request.signal),
            Some(Exchange::Run(run)) if run.is_running() => {
                let repl = self.contexts.get(&run.key).and_then(|context| context.repl.as_ref());
                repl.is_some_and(|repl| run.signal(repl.pid, request.signal))
            }
            _ => false,
        };
        self.port.respond(id, &Ok(Delivered { delivered }));
    }

    fn exec(&mut self, id: u32, request: request::Exec) -> Result<(), RequestError> {
        self.make_room();
        let limit = |bytes| (bytes > 0).then_some(bytes);
        let plan = Plan {
            id,
            name: request.argv.first().cloned().unwrap_or_default(),
            cwd: request.cwd.unwrap_or_else(|| self.config.home.clone()),
            script: None,
            limits: [limit(request.stdout_limit), limit(request.stderr_limit)],
            timeout_ms: request.timeout_ms,
            kills_before: self.oom.kills(),
        };
        self.launch_program(plan, &request.argv, &request.env, Stdin::Pipe)
    }

    fn launch_program(
        &mut self,
        plan: Plan,
        argv: &[String],
        env: &Environment,
        stdin: Stdin,
    ) -> Result<(), RequestError> {
        let environment = self.environment_with(env);
        let identity = self.config.identity;
        let launch = Launch { argv, environment: &environment, cwd: &plan.cwd, stdin, with_socket: false, identity };
        let launched = launch.start();
        let launched =
            launched.map_err(|error| RequestError::new(ErrorCode::Spawn, format!("{}: {error}", plan.name)))?;
        let id = plan.id;
        let is_script = plan.script.is_some();
        let program = Program::new(plan, launched, &self.poller);
        if !is_script {
            program.announce(&mut self.port);
        }
        self.children.insert(program.pid.as_raw_nonzero().get(), Owner::Exchange(id));
        self.exchanges.insert(id, Exchange::Program(Box::new(program)));
        Ok(())
    }

    /// What every program finds in its environment, with the sandbox's entries and the call's on top.
    pub(super) fn environment_with(&self, env: &Environment) -> Environment {
        let base = [
            ("HOME", self.config.home.as_str()),
            ("USER", "user"),
            ("LOGNAME", "user"),
            ("SHELL", "/bin/bash"),
            ("LANG", "C.UTF-8"),
            ("PATH", "/home/user/.local/bin:/usr/local/bin:/usr/bin:/bin"),
        ];
        let base = base.into_iter().chain(trust::ENVIRONMENT).map(|(name, value)| (name.to_owned(), value.to_owned()));
        let clone = |(name, value): (&String, &String)| (name.clone(), value.clone());
        base.chain(self.environment.iter().map(clone)).chain(env.iter().map(clone)).collect()
    }

    /// The context, made when there is room for it.
    fn context(&mut self, key: &ContextKey) -> Result<&mut Context, RequestError> {
        if !self.contexts.contains_key(key) && self.contexts.len() >= CONTEXTS {
            self.contexts.retain(|_, context| !context.is_unused());
            if self.contexts.len() >= CONTEXTS {
                return Err(RequestError::bad(format!("expected at most {CONTEXTS} contexts at a time")));
            }
        }
        Ok(self.contexts.entry(key.clone()).or_default())
    }

    fn run(&mut self, id: u32, request: request::Run) -> Result<(), RequestError> {
        let runs = self.contexts.values().map(|context| context.queue.len() + usize::from(context.active.is_some()));
        if runs.sum::<usize>() >= RUNS {
            return Err(RequestError::bad(format!("expected at most {RUNS} runs at a time")));
        }
        let key = ContextKey { language: request.language, name: request.context.clone() };
        self.context(&key)?.queue.push_back(id);
        self.exchanges.insert(id, Exchange::Run(Box::new(Run::new(id, key, request))));
        Ok(())
    }

    fn start(&mut self, id: u32, request: request::Start) -> Result<(), RequestError> {
        let key = ContextKey { language: request.language, name: request.context };
        let context = self.context(&key)?;
        match &context.repl {
            Some(repl) if !matches!(repl.phase, Phase::Starting { .. }) => {
                let started = Started { pid: repl.pid.as_raw_nonzero().get(), spawn_ms: 0.0 };
                self.port.respond(id, &Ok(started));
                return Ok(());
            }
            Some(_) => {}
            None => self.spawn_repl(&key)?,
        }
        self.context(&key)?.waiters.push(id);
        self.exchanges.insert(id, Exchange::Start(key));
        Ok(())
    }

    /// Ends what a context has: its REPL, and a `#!` program whose turn it is. A run in it ends by the signal, runs that wait
    /// get a new REPL. Nothing is lost that the host did not mean to lose, so no later result tells of it.
    fn stop(&mut self, id: u32, request: request::Stop) {
        let key = ContextKey { language: request.language, name: request.context };
        let program = self.contexts.get(&key).and_then(|context| context.active).filter(|active| {
            // Its group: what is in others has its own life, as after any end.
            matches!(self.exchanges.get(active), Some(Exchange::Program(program)) if program.signal(SIGKILL))
        });
        let repl = self.contexts.get_mut(&key).and_then(|context| {
            context.lost = false;
            context.repl.as_ref().map(|repl| repl.serial)
        });
        if program.is_none() && repl.is_none() {
            return self.port.respond(id, &Ok(Stopped { stopped: false }));
        }
        self.condemn(&key, "the host stopped it");
        if let Some(repl) = self.contexts.get_mut(&key).and_then(|context| context.repl.as_mut()) {
            repl.loss_told = true;
        }
        self.exchanges.insert(id, Exchange::Stop(Stopping { repl, program }));
    }

    /// Runs code that names its interpreter, in the turn of its context.
    pub(super) fn start_script(&mut self, id: u32, run: &Run, shebang: Shebang) -> Result<(), RequestError> {
        let path = self.config.script_directory.join(format!("program-{id}"));
        let script = Script { path, context: run.key.clone() };
        // Readable for everybody, writable for the agent alone; the interpreter reads it, nothing executes it.
        let file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(&script.path);
        let written = file.and_then(|mut file| file.write_all(run.request.code.as_bytes()));
        written.map_err(|error| RequestError::new(ErrorCode::Internal, format!("writing the program: {error}")))?;
        let mut argv = vec![shebang.interpreter];
        argv.extend(shebang.argument);
        argv.push(script.path.to_string_lossy().into_owned());
        let plan = Plan {
            id,
            name: argv.first().cloned().unwrap_or_default(),
            cwd: self.config.home.clone(),
            script: Some(script),
            limits: [Some(run.request.stdout_limit), Some(run.request.stderr_limit)],
            timeout_ms: run.request.timeout_ms,
            kills_before: self.oom.kills(),
        };
        self.launch_program(plan, &argv, &run.request.env, Stdin::Null)
    }

    pub(super) fn is_stopped(&self, stopping: &Stopping) -> bool {
        stopping.repl.is_none_or(|serial| self.key_of(serial).is_none())
            && stopping.program.is_none_or(|id| match self.exchanges.get(&id) {
                // What it has printed waits for the host, its end does not.
                Some(Exchange::Program(program)) => program.has_ended(),
                _ => true,
            })
    }

    pub(super) fn cancel(&mut self, id: u32) {
        let now = clock::now();
        match self.exchanges.get_mut(&id) {
            Some(Exchange::Program(program)) => program.cancel(now),
            Some(Exchange::Dial(dial)) => dial.cancel(),
            Some(Exchange::Run(run)) if run.has_begun() => {
                let signal = run.cancel(now);
                let repl = self.contexts.get(&run.key).and_then(|context| context.repl.as_ref());
                if let (Some(signal), Some(repl)) = (signal, repl) {
                    // Nobody there to hear it is seen as the end of the process.
                    let _ = run.signal(repl.pid, signal);
                }
            }
            Some(Exchange::Run(_)) => {
                if let Some(Exchange::Run(run)) = self.exchanges.remove(&id) {
                    run.respond_cancelled(&mut self.port);
                    self.end_turn(&run.key, id);
                }
            }
            Some(Exchange::Start(_)) => {
                if let Some(Exchange::Start(key)) = self.exchanges.remove(&id) {
                    if let Some(context) = self.contexts.get_mut(&key) {
                        context.waiters.retain(|waiter| *waiter != id);
                    }
                    let error = RequestError::new(ErrorCode::Spawn, "cancelled while the REPL was starting");
                    self.port.respond::<Started>(id, &Err(error));
                }
            }
            // Ends by its own deadline, a few seconds away, or with a process that has been killed.
            Some(Exchange::Resume(_) | Exchange::Stop(_) | Exchange::NetworkOff) | None => {}
        }
    }

    /// A run is over or was never begun: the next one in its context may have its turn.
    pub(super) fn end_turn(&mut self, key: &ContextKey, id: u32) {
        let Some(context) = self.contexts.get_mut(key) else {
            return;
        };
        context.queue.retain(|waiting| *waiting != id);
        if context.active == Some(id) {
            context.active = None;
        }
    }
}
