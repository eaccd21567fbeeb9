//! The agent outside a VM, for the tests in `tests/serve.rs`: the channel is descriptor 0, programs run as whoever runs
//! this, and orphans of theirs come to this process as they would to PID 1.

use std::os::fd::AsFd as _;
use std::path::Path;

use exec_sandbox_agent::agent::{Agent, Config, NetworkFiles};
use exec_sandbox_agent::process::oom::OomWatch;
use exec_sandbox_agent::wire::request::Language;

/// Python and bash are the tests' own REPL, JavaScript is one that is not installed.
fn repl_argv(language: Language, directory: &Path) -> Vec<String> {
    let path = |name: &str| directory.join(name).to_string_lossy().into_owned();
    match language {
        Language::Javascript => vec![path("no-such-repl")],
        Language::Python | Language::Bash => vec!["/bin/bash".into(), path("repl.bash")],
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut argument = |name: &str| arguments.next().ok_or_else(|| format!("{name}: missing argument"));
    let config = Config {
        identity: None,
        home: argument("home directory")?,
        repl_directory: argument("REPL directory")?.into(),
        repl_argv,
        script_directory: argument("script directory")?.into(),
        // In a network namespace of its own the agent may make its device; elsewhere that fails.
        network: NetworkFiles {
            device: "/dev/net/tun".into(),
            resolver: argument("file for the name server")?.into(),
            trust: None,
            waiting_bytes: 1_000_000,
        },
    };
    if std::env::args().any(|argument| argument == "--own-network") {
        exec_sandbox_agent::sys::machine::loopback_up()?;
    }
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    let port = rustix::io::fcntl_dupfd_cloexec(std::io::stdin().as_fd(), 3)?;
    let end = Agent::new(config, port, OomWatch::default(), None)?.serve();
    println!("{end}");
    Ok(())
}
