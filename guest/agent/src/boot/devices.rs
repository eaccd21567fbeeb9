//! Devices by what they are, never by their order: the disk by its serial number, the port by its name.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{poll, PollFd, PollFlags, Timespec};
use rustix::net::{bind, netlink, recv, socket_with, AddressFamily, RecvFlags, SocketFlags, SocketType};

use crate::clock;
use crate::error::{Step, StepError};

/// Devices are there when the kernel starts init, except that the port's name comes with a message of QEMU's.
const PATIENCE: Duration = Duration::from_secs(5);

/// Kernel messages about devices: something to wait on instead of looking again and again.
struct DeviceEvents(OwnedFd);

impl DeviceEvents {
    fn open() -> Result<Self, StepError> {
        /// The multicast group of the kernel itself (lib/kobject_uevent.c).
        const KERNEL_GROUP: u32 = 1;
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let family = AddressFamily::NETLINK;
        let socket = socket_with(family, SocketType::DGRAM, flags, Some(netlink::KOBJECT_UEVENT));
        let socket = socket.step("listening for device events")?;
        let address = netlink::SocketAddrNetlink::new(0, KERNEL_GROUP);
        bind(&socket, &address).step("listening for device events")?;
        Ok(Self(socket))
    }

    /// Waits for at least one event; false when the time is up.
    fn wait(&self, time: Duration) -> bool {
        let timeout =
            Timespec { tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX), tv_nsec: time.subsec_nanos().into() };
        let mut poll_fds = [PollFd::new(&self.0, PollFlags::IN)];
        if !poll(&mut poll_fds, Some(&timeout)).is_ok_and(|ready| ready > 0) {
            return false;
        }
        let mut buffer = [0_u8; 4_096];
        while recv(&self.0, &mut buffer[..], RecvFlags::empty()).is_ok() {}
        true
    }
}

/// Looks until `find` has an answer, after each device event, for as long as `PATIENCE`.
fn wait_for<T>(what: &str, mut find: impl FnMut() -> Option<T>) -> Result<T, StepError> {
    if let Some(found) = find() {
        return Ok(found);
    }
    // Listening begins before looking again, so that nothing can come in between.
    let events = DeviceEvents::open()?;
    let deadline = clock::now() + PATIENCE;
    loop {
        if let Some(found) = find() {
            return Ok(found);
        }
        let left = deadline.saturating_sub(clock::now());
        if left.is_zero() || !events.wait(left) {
            return Err(StepError::new(what, format!("not there after {} s", PATIENCE.as_secs())));
        }
    }
}

/// The name of the entry of `class` whose `attribute` reads `value`.
fn entry_with(class: &str, attribute: &str, value: &str) -> Option<String> {
    let entries = fs::read_dir(class).ok()?;
    entries.flatten().find_map(|entry| {
        let text = fs::read_to_string(entry.path().join(attribute)).ok()?;
        (text.trim_end() == value).then(|| entry.file_name().to_string_lossy().into_owned())
    })
}

fn node(name: &str) -> Option<PathBuf> {
    let path = Path::new("/dev").join(name);
    path.exists().then_some(path)
}

/// The node of the disk with this serial number.
pub fn disk(serial: &str) -> Result<PathBuf, StepError> {
    wait_for(&format!("disk with serial number {serial:?}"), || node(&entry_with("/sys/block", "serial", serial)?))
}

/// The node of the virtio-serial port with this name.
pub fn port(name: &str) -> Result<PathBuf, StepError> {
    wait_for(&format!("virtio port {name:?}"), || node(&entry_with("/sys/class/virtio-ports", "name", name)?))
}
