//! User programs: how they are named, started and watched.

pub mod identity;
pub mod launch;
pub mod oom;
pub mod pressure;
pub mod shebang;
pub mod tree;
pub mod usage;

pub use launch::{ExecFailure, Launch, Launched, Stdin};
