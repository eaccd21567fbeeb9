//! PID 1 of the guest.

use std::path::PathBuf;

use std::os::fd::AsRawFd as _;

use exec_sandbox_agent::agent::{Agent, Config, NetworkFiles, PortError};
use exec_sandbox_agent::boot::{boot, memory_bytes, Booted};
use exec_sandbox_agent::network::trust::Trust;
use exec_sandbox_agent::process::identity::USER;
use exec_sandbox_agent::repl::table::{self, REPL_DIRECTORY};
use exec_sandbox_agent::{console, power};

/// Programs that do not fetch what they have asked for may take an eighth of the memory with it.
const PART_FOR_CONNECTIONS: u64 = 8;

fn main() {
    // The kernel would print a trace of its own about a dead init; the host wants the reason.
    std::panic::set_hook(Box::new(|panic| power::fail(&format!("panic: {panic}"))));
    let Booted { port, oom, machine } = boot().unwrap_or_else(|error| power::fail(&error.to_string()));
    let config = Config {
        identity: Some(USER),
        home: "/home/user".into(),
        repl_directory: PathBuf::from(REPL_DIRECTORY),
        repl_argv: table::argv,
        script_directory: PathBuf::from("/run/exec-sandbox/scripts"),
        network: NetworkFiles {
            // The file system with the node is out of reach; a descriptor of the node still leads there.
            device: PathBuf::from(format!("/proc/self/fd/{}", machine.tun.as_raw_fd())),
            resolver: PathBuf::from("/run/etc/resolv.conf"),
            trust: Some(Trust::default()),
            waiting_bytes: usize::try_from(memory_bytes() / PART_FOR_CONNECTIONS).unwrap_or(usize::MAX),
        },
    };
    let mut agent = Agent::new(config, port, oom, Some(machine))
        .unwrap_or_else(|error| power::fail(&format!("opening the channel: {error}")));
    match agent.serve() {
        // The ordinary end: the host is done with this VM.
        PortError::Closed => {
            console::debug(&PortError::Closed.to_string());
            power::off();
        }
        broken => power::fail(&broken.to_string()),
    }
}
