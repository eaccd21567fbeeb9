//! The agent's side of docs/repl-protocol.md: messages, and how the REPLs are started.

pub mod message;
pub mod table;

pub use message::{Decoder, Mark, Message, ProtocolBreak, Report};
