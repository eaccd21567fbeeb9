//! Guest time: the monotonic clock, which starts at the kernel's boot and stands still while a template is saved.

use std::time::Duration;

use rustix::time::{clock_gettime, ClockId};

/// Time since the kernel started.
#[must_use]
pub fn now() -> Duration {
    let time = clock_gettime(ClockId::Monotonic);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}
