//! A frame: twelve bytes of header and a payload whose length was checked before anything was allocated for it.

use std::fmt;

/// Little-endian `58 53`, "XS".
pub const MAGIC: u16 = 0x5358;
/// Bytes before the payload.
pub const HEADER_BYTES: usize = 12;
/// The highest stream number that a frame may carry.
pub const HIGHEST_STREAM: u8 = 15;
/// Bytes of payload in one DATA frame.
pub const DATA_LIMIT: usize = 65_536;
/// Bytes of payload in one RESPONSE or EVENT of the agent.
pub const GUEST_JSON_LIMIT: usize = 1_048_576;
/// Bytes of payload in one REQUEST, RESPONSE or EVENT of an exchange that the guest has begun.
pub const EVEN_JSON_LIMIT: u32 = 4_096;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameType {
    Hello = 1,
    Welcome = 2,
    Request = 3,
    Response = 4,
    Event = 5,
    Cancel = 6,
    Data = 7,
    Credit = 8,
    End = 9,
}

impl FrameType {
    #[must_use]
    pub fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::Hello,
            2 => Self::Welcome,
            3 => Self::Request,
            4 => Self::Response,
            5 => Self::Event,
            6 => Self::Cancel,
            7 => Self::Data,
            8 => Self::Credit,
            9 => Self::End,
            _ => return None,
        })
    }

    /// The least and the most bytes of payload under an odd id, or 0.
    #[must_use]
    pub fn length_range(self) -> (u32, u32) {
        match self {
            Self::Hello | Self::Welcome => (0, 4_096),
            Self::Request => (0, 16_777_216),
            Self::Response | Self::Event => (0, 1_048_576),
            Self::Cancel | Self::End => (0, 0),
            Self::Data => (1, 65_536),
            Self::Credit => (4, 4),
        }
    }

    /// Whether the host sends frames of this type.
    #[must_use]
    pub fn from_host(self) -> bool {
        self != Self::Hello
    }

    /// The least and the most bytes of payload under this id.
    fn length_range_under(self, id: u32) -> (u32, u32) {
        let (least, most) = self.length_range();
        let is_json = matches!(self, Self::Request | Self::Response | Self::Event);
        (least, if is_json && is_guests(id) { EVEN_JSON_LIMIT } else { most })
    }

    fn has_stream(self) -> bool {
        matches!(self, Self::Data | Self::Credit | Self::End)
    }
}

/// Whether the guest has begun, or may begin, the exchange with this id.
#[must_use]
pub fn is_guests(id: u32) -> bool {
    id % 2 == 0
}

/// The host broke the wire format. The agent trusts the host, so this means that both are out of step: it ends the VM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WireError {
    Magic(u16),
    Type(u8),
    Direction(FrameType),
    Stream(FrameType, u8),
    Id(FrameType, u32),
    Length(FrameType, u32),
    Credit(u64),
    Json(String),
    Generation(u64),
    Opening(FrameType),
    Ended(u32, u8),
    NoStream(u32, u8),
    NotOpen(u32),
    Reused(u32),
    Memory(u32),
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Magic(value) => {
                write!(f, "a frame begins with {value:#06x}, not with {MAGIC:#06x}")
            }
            Self::Type(value) => write!(f, "frame type {value} does not exist"),
            Self::Direction(kind) => write!(f, "{kind:?} is not for the host to send"),
            Self::Stream(kind, stream) => write!(f, "{kind:?} names stream {stream}"),
            Self::Id(kind, id) => write!(f, "{kind:?} carries id {id}"),
            Self::Length(kind, length) => write!(f, "{kind:?} has {length} bytes of payload"),
            Self::Credit(total) => write!(f, "credit of {total} bytes is out of range"),
            Self::Json(what) => write!(f, "unreadable JSON: {what}"),
            Self::Generation(theirs) => write!(f, "the host speaks generation {theirs}"),
            Self::Opening(kind) => write!(f, "{kind:?} at the wrong place of the opening"),
            Self::Ended(id, stream) => write!(f, "exchange {id} stream {stream} had ended"),
            Self::NoStream(id, stream) => {
                write!(f, "exchange {id} has no stream {stream} in this direction")
            }
            Self::NotOpen(id) => write!(f, "exchange {id} of the guest is not open"),
            Self::Reused(id) => write!(f, "id {id} is in use"),
            Self::Memory(length) => write!(f, "no memory for a payload of {length} bytes"),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub kind: FrameType,
    pub stream: u8,
    pub id: u32,
    pub length: u32,
}

impl Header {
    /// Reads and checks a header that the host sent.
    pub fn parse(bytes: &[u8; HEADER_BYTES]) -> Result<Self, WireError> {
        let [m0, m1, kind, stream, i0, i1, i2, i3, l0, l1, l2, l3] = *bytes;
        let magic = u16::from_le_bytes([m0, m1]);
        if magic != MAGIC {
            return Err(WireError::Magic(magic));
        }
        let kind = FrameType::from_byte(kind).ok_or(WireError::Type(kind))?;
        if !kind.from_host() {
            return Err(WireError::Direction(kind));
        }
        let id = u32::from_le_bytes([i0, i1, i2, i3]);
        let length = u32::from_le_bytes([l0, l1, l2, l3]);
        if stream > if kind.has_stream() { HIGHEST_STREAM } else { 0 } {
            return Err(WireError::Stream(kind, stream));
        }
        let id_fits = match kind {
            FrameType::Welcome => id == 0,
            // The host asks under odd ids and answers under even ones.
            FrameType::Request | FrameType::Cancel => !is_guests(id),
            FrameType::Response | FrameType::Event => is_guests(id) && id != 0,
            _ => id != 0,
        };
        if !id_fits {
            return Err(WireError::Id(kind, id));
        }
        let (least, most) = kind.length_range_under(id);
        if length < least || length > most {
            return Err(WireError::Length(kind, length));
        }
        Ok(Self { kind, stream, id, length })
    }

    #[must_use]
    pub fn to_bytes(self) -> [u8; HEADER_BYTES] {
        let [m0, m1] = MAGIC.to_le_bytes();
        let [i0, i1, i2, i3] = self.id.to_le_bytes();
        let [l0, l1, l2, l3] = self.length.to_le_bytes();
        [m0, m1, self.kind as u8, self.stream, i0, i1, i2, i3, l0, l1, l2, l3]
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub kind: FrameType,
    pub stream: u8,
    pub id: u32,
    pub payload: Vec<u8>,
}

impl Frame {
    /// The bytes of the frame. Payloads are bounded by their makers; a longer one would be a defect of the agent and is
    /// cut here rather than put on the wire with a wrong length.
    #[must_use]
    pub fn encode(kind: FrameType, stream: u8, id: u32, payload: &[u8]) -> Vec<u8> {
        let most = kind.length_range_under(id).1 as usize;
        let payload = payload.get(..payload.len().min(most)).unwrap_or_default();
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        let mut bytes = Vec::with_capacity(HEADER_BYTES + payload.len());
        bytes.extend_from_slice(&Header { kind, stream, id, length }.to_bytes());
        bytes.extend_from_slice(payload);
        bytes
    }
}
