//! Why and how a program ended, as the host is told.

use serde::Serialize;

use super::ladder::Cause;
use crate::sys::wait::Status;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Reason {
    Exit,
    Signal,
    Timeout,
    Memory,
    Cancelled,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Kept,
    Reset,
}

/// The result of `run` and `exec`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProgramEnd {
    pub exit_code: u8,
    pub reason: Reason,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<State>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    pub stdout_truncated: bool,
    pub stderr_truncated: bool,
    pub spawn_ms: f64,
    pub execute_ms: f64,
    pub cpu_ms: f64,
    pub peak_bytes: u64,
}

/// The exit code of a time-out, as of timeout(1).
const TIMED_OUT: u8 = 124;
/// 128 + SIGKILL: what a shell reports when a child was killed for want of memory.
pub const KILLED: u8 = 137;

/// Exit code and reason. The first cause wins: a program that the ladder ended did not end by itself, and one that the
/// kernel ended for want of memory did not die of a user's signal.
#[must_use]
pub fn classify(status: Status, cause: Option<Cause>, memory: bool) -> (u8, Reason) {
    let code = match status {
        Status::Exited(code) => code,
        Status::Signaled(signal) => u8::try_from(128 + signal).unwrap_or(u8::MAX),
    };
    match (cause, status) {
        (Some(Cause::Timeout), _) => (TIMED_OUT, Reason::Timeout),
        (Some(Cause::Cancelled), _) => (code, Reason::Cancelled),
        (None, _) if memory => (KILLED, Reason::Memory),
        (None, Status::Signaled(_)) => (code, Reason::Signal),
        (None, Status::Exited(_)) => (code, Reason::Exit),
    }
}

#[cfg(test)]
mod tests {
    use super::{classify, Cause, Reason, Status};

    #[test]
    fn the_reason_is_the_first_cause() {
        let cases = [
            (Status::Exited(3), None, false, (3, Reason::Exit)),
            (Status::Signaled(11), None, false, (139, Reason::Signal)),
            (Status::Signaled(9), None, true, (137, Reason::Memory)),
            (Status::Exited(137), None, true, (137, Reason::Memory)),
            (Status::Signaled(9), Some(Cause::Timeout), true, (124, Reason::Timeout)),
            (Status::Exited(42), Some(Cause::Timeout), false, (124, Reason::Timeout)),
            (Status::Signaled(15), Some(Cause::Cancelled), false, (143, Reason::Cancelled)),
        ];
        for (status, cause, memory, expected) in cases {
            assert_eq!(classify(status, cause, memory), expected, "{status:?} {cause:?} {memory}");
        }
    }
}
