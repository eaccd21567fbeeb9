//! The agent's side of the channel: frames in, frames out, and the books of the conversation between.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{fcntl_getfl, fcntl_setfl, OFlags};
use rustix::io::Errno;
use serde::Serialize;

use super::outbox::{Outbox, WRITE_BYTES};
use super::poller::{Interest, Owner, Part, Poller, Watched};
use crate::wire::frame::{Header, HEADER_BYTES};
use crate::wire::message::{self, Event, RequestError};
use crate::wire::{Conversation, Decoder, Frame, FrameType, Incoming, WireError};

/// Bytes read at one go.
const READ_BYTES: usize = 65_536;
/// What one read of a virtio-serial port gives at most: a page, one buffer of its queue (drivers/char/virtio_console.c).
const BUFFER_BYTES: usize = 4_096;

/// Content of a DATA frame that fills one write to the port.
pub const CHUNK_BYTES: usize = WRITE_BYTES - HEADER_BYTES;

/// Why the channel is of no use any more.
#[derive(Debug)]
pub enum PortError {
    /// The host has closed its end.
    Closed,
    Wire(WireError),
    Io(io::Error),
}

impl From<WireError> for PortError {
    fn from(error: WireError) -> Self {
        Self::Wire(error)
    }
}

impl std::fmt::Display for PortError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Closed => write!(f, "the host closed the channel"),
            Self::Wire(error) => write!(f, "the channel is out of step: {error}"),
            Self::Io(error) => write!(f, "the channel is broken: {error}"),
        }
    }
}

pub struct Port {
    descriptor: Watched,
    decoder: Decoder,
    pub conversation: Conversation,
    pub outbox: Outbox,
    /// Where reads of the port and of pipes go first; of a pipe, with room for a header in front.
    pub scratch: Vec<u8>,
}

impl Port {
    /// Takes the open port over and says HELLO. The write blocks until the host has connected: before that, a virtio
    /// port reports itself as hung up, and there is nobody to serve.
    pub fn open(descriptor: OwnedFd, poller: &Poller) -> io::Result<Self> {
        let flags = fcntl_getfl(&descriptor)?;
        fcntl_setfl(&descriptor, flags - OFlags::NONBLOCK)?;
        let mut outbox = Outbox::default();
        outbox.push_control(Frame::encode(FrameType::Hello, 0, 0, &message::hello()));
        while !outbox.is_empty() {
            outbox.write_to(&descriptor)?;
        }
        fcntl_setfl(&descriptor, flags | OFlags::NONBLOCK)?;
        let mut descriptor = poller.watch(descriptor, Owner::Port, Part::Socket);
        descriptor.want(Interest::READ)?;
        let (decoder, conversation) = (Decoder::new(), Conversation::new());
        Ok(Self { descriptor, decoder, conversation, outbox, scratch: vec![0; READ_BYTES] })
    }

    /// Where content is read that `send_data` sends.
    pub fn content(&mut self, most: usize) -> &mut [u8] {
        self.scratch.get_mut(HEADER_BYTES..HEADER_BYTES + most.min(CHUNK_BYTES)).unwrap_or_default()
    }

    /// Reads what has come, and gives what the host said.
    pub fn read(&mut self) -> Result<Vec<Incoming>, PortError> {
        let mut length = 0;
        while length < READ_BYTES {
            match rustix::io::read(self.descriptor.as_fd(), self.scratch.get_mut(length..).unwrap_or_default()) {
                Ok(0) | Err(Errno::PIPE | Errno::CONNRESET) if length == 0 => return Err(PortError::Closed),
                Ok(more) if more >= BUFFER_BYTES => length += more,
                // Less than a buffer was the last one.
                Ok(more) => {
                    length += more;
                    break;
                }
                // What has been read is heard first; if it is more than silence, the next read says so again.
                Err(Errno::AGAIN | Errno::INTR) => break,
                Err(_) if length > 0 => break,
                Err(error) => return Err(PortError::Io(error.into())),
            }
        }
        let mut bytes = self.scratch.get(..length).unwrap_or_default();
        let mut incoming = Vec::new();
        while !bytes.is_empty() {
            if let Some(frame) = self.decoder.next_frame(&mut bytes)? {
                incoming.push(self.conversation.accept(frame)?);
            }
        }
        Ok(incoming)
    }

    /// Writes what is queued and says what to wait for.
    pub fn flush(&mut self) -> Result<(), PortError> {
        match self.outbox.write_to(self.descriptor.as_fd()) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Err(PortError::Closed),
            Err(error) => return Err(PortError::Io(error)),
        }
        // A host that asks much and takes no answers is not listened to until it takes them.
        let interest =
            Interest { read: self.outbox.has_control_room(), write: !self.outbox.is_empty(), ..Interest::default() };
        self.descriptor.want(interest).map_err(PortError::Io)
    }

    pub fn event(&mut self, id: u32, event: &Event<'_>) -> bool {
        let Some(body) = message::event(event) else {
            return false;
        };
        self.outbox.push_control(Frame::encode(FrameType::Event, 0, id, &body));
        true
    }

    /// Begins an exchange of the guest. `None` when the host has enough before it.
    pub fn begin<T: Serialize>(&mut self, method: &'static str, params: &T) -> Option<u32> {
        let id = self.outbox.has_control_room().then(|| self.conversation.begin(method)).flatten()?;
        self.outbox.push_control(Frame::encode(FrameType::Request, 0, id, &message::request(method, params)));
        Some(id)
    }

    /// Tells the host that nobody waits for an exchange of the guest any more. The caller does so once.
    pub fn cancel(&mut self, id: u32) {
        if self.conversation.is_open(id) {
            self.outbox.push_control(Frame::encode(FrameType::Cancel, 0, id, &[]));
        }
    }

    /// Sends the first `length` bytes of `content` as DATA. What fills most of a write leaves at once, without another copy;
    /// less is gathered with what comes after it.
    pub fn send_data(&mut self, id: u32, stream: u8, length: usize) {
        let end = HEADER_BYTES + length.min(CHUNK_BYTES);
        let header =
            Header { kind: FrameType::Data, stream, id, length: u32::try_from(end - HEADER_BYTES).unwrap_or_default() };
        if let Some(place) = self.scratch.get_mut(..HEADER_BYTES) {
            place.copy_from_slice(&header.to_bytes());
        }
        let frame = self.scratch.get(..end).unwrap_or_default();
        if frame.len() > WRITE_BYTES / 2 {
            self.outbox.send_data(frame, self.descriptor.as_fd());
        } else {
            self.outbox.push_data(frame.to_vec());
        }
    }

    /// Gives the host credit for a stream it sends.
    pub fn grant(&mut self, id: u32, stream: u8, bytes: usize) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        if bytes > 0 && self.conversation.grant(id, stream, bytes) {
            self.outbox.push_control(Frame::encode(FrameType::Credit, stream, id, &bytes.to_le_bytes()));
        }
    }

    /// Ends an exchange that has no streams of ours.
    pub fn respond<T: Serialize>(&mut self, id: u32, outcome: &Result<T, RequestError>) {
        self.outbox.push_control(Frame::encode(FrameType::Response, 0, id, &message::response(outcome)));
        self.conversation.close(id);
    }

    /// Ends an exchange whose response stands behind its DATA.
    pub fn respond_behind_data<T: Serialize>(&mut self, id: u32, outcome: &Result<T, RequestError>) {
        self.outbox.push_data(Frame::encode(FrameType::Response, 0, id, &message::response(outcome)));
        self.conversation.close(id);
    }

    /// Ends an exchange with stdout and stderr: both streams end, and the response stands behind their DATA.
    pub fn respond_after_streams<T: Serialize>(&mut self, id: u32, outcome: &Result<T, RequestError>) {
        for stream in [1, 2] {
            self.outbox.push_data(Frame::encode(FrameType::End, stream, id, &[]));
        }
        self.respond_behind_data(id, outcome);
    }
}
