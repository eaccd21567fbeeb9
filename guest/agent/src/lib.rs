//! The exec-sandbox guest agent. README.md has the map and the invariants.

pub mod agent;
pub mod boot;
pub mod clock;
pub mod console;
pub mod error;
pub mod network;
pub mod power;
pub mod process;
pub mod repl;
pub mod seccomp;
pub mod sys;
pub mod wire;
