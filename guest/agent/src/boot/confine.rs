//! What every process of the user inherits from the agent (requirement A05), and what protects the agent itself.
//! Set once on the agent, before it starts anything: a child cannot be forgotten.

use rustix::mm::{mlockall, MlockAllFlags};
use rustix::process::{set_dumpable_behavior, setpriority_process, setrlimit, DumpableBehavior, Resource, Rlimit};

use crate::error::{Step, StepError};
use crate::sys::machine::{clear_groups, drop_bounding_set};

/// Processes and threads of the user.
pub const PROCESSES: u64 = 1_024;
/// Descriptors of the agent: 1 024 exchanges with up to four each, and the REPLs.
const AGENT_FILES: u64 = 16_384;
const HIGHEST_FILES: u64 = 65_536;

/// Gives up what children must not have. The agent keeps its own capabilities: they are not touched by the bounding
/// set, and it never executes a program itself.
pub fn limit_children_to_be() -> Result<(), StepError> {
    let limit = |resource, soft, hard| setrlimit(resource, Rlimit { current: Some(soft), maximum: Some(hard) });
    clear_groups().step("giving up supplementary groups")?;
    drop_bounding_set().step("emptying the capability bounding set")?;
    rustix::thread::set_no_new_privs(true).step("setting no_new_privs")?;
    limit(Resource::Nproc, PROCESSES, PROCESSES).step("limiting processes")?;
    limit(Resource::Core, 0, 0).step("limiting core files")?;
    limit(Resource::Nofile, AGENT_FILES, HIGHEST_FILES).step("limiting descriptors")
}

/// The agent must come through whatever user processes do to memory and CPU.
pub fn protect_agent() -> Result<(), StepError> {
    /// Enough to be scheduled before 1 024 busy processes at nice 0.
    const PRIORITY: i32 = -15;
    std::fs::write("/proc/self/oom_score_adj", "-1000").step("leaving the out-of-memory killer's list")?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable).step("becoming undumpable")?;
    setpriority_process(None, PRIORITY).step("raising the priority")?;
    // Pages are locked as they are touched: locking all of the binary now would read and keep what is never used.
    mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT).step("locking memory")
}
