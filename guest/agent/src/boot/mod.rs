//! From the kernel's hand-over to a machine that is ready for user code. Each step names itself in its error; nothing
//! here retries or falls back, except where a requirement says so.

pub mod confine;
mod devices;
mod dumpable;
mod layer;
mod mounts;
pub mod names;
mod swap;
mod switches;
mod sysctls;

use std::fs;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::mount::{mount_move, unmount, MountFlags, UnmountFlags};

use crate::error::{Step, StepError};
use crate::network::trust;
use crate::process::oom::OomWatch;
use crate::process::pressure;
use crate::sys::machine::loopback_up;
use crate::{clock, console, power};

pub use mounts::bind_over;
use names::Names;
pub use switches::Switches;

/// Name of the virtio-serial port to the host.
pub const PORT_NAME: &str = "exec-sandbox";

/// Runs a phase and tells how long it took.
fn phase<T>(name: &str, work: impl FnOnce() -> Result<T, StepError>) -> Result<T, StepError> {
    let begin = clock::now();
    let result = work()?;
    console::timing(name, clock::now().saturating_sub(begin));
    Ok(result)
}

/// What later work needs of the devices, which are out of reach after the boot.
pub struct Booted {
    /// The open port to the host.
    pub port: OwnedFd,
    pub oom: OomWatch,
    pub machine: Machine,
}

/// What a `resume` gives another identity.
pub struct Machine {
    pub names: Names,
    /// A node of the kernel's generator. Open from the boot on, like the files of `names`: a clone opens nothing on its
    /// way to the first result.
    pub generator: OwnedFd,
    /// Tells when memory runs out; taken by the event loop.
    pub pressure: Option<OwnedFd>,
    /// Where the TUN device is: its node, not opened. Users' /dev has none.
    pub tun: OwnedFd,
}

/// Makes the machine ready.
pub fn boot() -> Result<Booted, StepError> {
    let handed_over = clock::now();
    rustix::process::umask(Mode::empty());
    mounts::early()?;
    open_console()?;
    let command_line = fs::read_to_string("/proc/cmdline").step("reading the kernel command line")?;
    let switches = Switches::parse(&command_line).step("reading the kernel command line")?;
    console::set_debug(switches.debug);
    console::timing("kernel", handed_over);
    if switches.probe {
        console::probe_ok();
        power::off();
    }
    let memory_bytes = memory_bytes();
    phase("root", || mounts::root(&devices::disk(&switches.root_serial)?))?;
    if let Some(serial) = &switches.layer_serial {
        phase("layer", || layer::add(&devices::disk(serial)?))?;
    }
    phase("swap", || swap::enable(memory_bytes))?;
    let port = phase("port", open_port)?;
    let tun = rustix::fs::open("/dev/net/tun", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
        .step("finding the TUN device")?;
    let oom = OomWatch::open();
    phase("switch-root", switch_root)?;
    phase("mounts", || mounts::tree(memory_bytes))?;
    let machine = phase("names", || {
        let mut names = Names::create()?;
        names.renew("sandbox")?;
        loopback_up().step("bringing the loopback interface up")?;
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let generator = rustix::fs::open("/dev/urandom", flags, Mode::empty()).step("opening the generator")?;
        let pressure = Some(pressure::watch().step("watching the pressure on memory")?);
        trust::prepare()?;
        Ok(Machine { names, generator, pressure, tun })
    })?;
    phase("confine", || {
        sysctls::set(switches.debug)?;
        dumpable::hide_loader()?;
        mounts::close_kernel_files()?;
        confine::limit_children_to_be()?;
        confine::protect_agent()
    })?;
    console::timing("boot", clock::now().saturating_sub(handed_over));
    Ok(Booted { port, oom, machine })
}

/// Memory of the machine.
#[must_use]
pub fn memory_bytes() -> u64 {
    let info = rustix::system::sysinfo();
    info.totalram as u64 * u64::from(info.mem_unit.max(1))
}

/// Descriptors 0 to 2 become the console, or the agent could not say why it stops.
fn open_console() -> Result<(), StepError> {
    // Non-blocking: a host that does not read the UART must not stop the guest.
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let console = rustix::fs::open("/dev/console", flags, Mode::empty()).step("opening the console")?;
    rustix::stdio::dup2_stdin(&console).step("opening the console")?;
    rustix::stdio::dup2_stdout(&console).step("opening the console")?;
    rustix::stdio::dup2_stderr(&console).step("opening the console")
}

fn open_port() -> Result<OwnedFd, StepError> {
    let path = devices::port(PORT_NAME)?;
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    rustix::fs::open(&path, flags, Mode::empty()).step(&format!("opening {}", path.display()))
}

/// Makes the root file system the root of everything. Of the initramfs only the REPL programs and the tools
/// stay reachable, read-only.
fn switch_root() -> Result<(), StepError> {
    const REPL: &str = "/root/run/exec-sandbox/repl";
    const TOOLS: &str = "/root/run/exec-sandbox/tools";
    mounts::run_directory()?;
    for directory in ["/root/run/exec-sandbox", REPL, TOOLS, "/root/run/exec-sandbox/scripts", "/root/run/etc"] {
        fs::create_dir(directory).step(&format!("making {directory}"))?;
        world_readable(directory)?;
    }
    for (source, target) in [("/repl", REPL), ("/tools", TOOLS)] {
        mounts::bind_read_only(source, target, MountFlags::NOSUID | MountFlags::NODEV)?;
    }
    mount_move("/proc", "/root/proc").step("moving /proc")?;
    mount_move("/sys", "/root/sys").step("moving /sys")?;
    unmount("/dev", UnmountFlags::DETACH).step("unmounting the agent's /dev")?;
    // The program itself: its pages live as long as it runs, its name must not.
    fs::remove_file("/init").step("removing /init")?;
    std::env::set_current_dir("/root").step("entering the root file system")?;
    mount_move(".", "/").step("moving the root file system")?;
    rustix::process::chroot(".").step("changing the root directory")?;
    std::env::set_current_dir("/").step("entering the root directory")
}

/// The umask is 0 during the boot, so modes are said where they matter.
fn world_readable(directory: &str) -> Result<(), StepError> {
    let mode = Mode::from_raw_mode(0o755);
    rustix::fs::chmod(Path::new(directory), mode).step(&format!("setting the mode of {directory}"))
}
