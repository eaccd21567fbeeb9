//! The channel's wire format as docs/protocol.md has it: frames, their decoder, the state of the conversation, and
//! the bodies of the methods. Everything here is pure: bytes in, values out, no descriptor and no clock.

pub mod answer;
pub mod conversation;
pub mod decoder;
pub mod frame;
pub mod message;
pub mod request;

pub use answer::Answer;
pub use conversation::{Conversation, Incoming};
pub use decoder::Decoder;
pub use frame::{Frame, FrameType, WireError};
pub use message::{ErrorCode, RequestError};
pub use request::Request;
