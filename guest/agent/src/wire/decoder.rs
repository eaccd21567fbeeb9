//! Turns bytes, cut anywhere, into frames.

use super::frame::{Frame, Header, WireError, HEADER_BYTES};

/// The incremental decoder of what the host sends. After an error it must not be fed again: the stream is out of step.
#[derive(Debug, Default)]
pub struct Decoder {
    header: [u8; HEADER_BYTES],
    header_filled: usize,
    body: Option<(Header, Vec<u8>)>,
}

impl Decoder {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes from the front of `bytes` until a frame is complete or nothing is left.
    pub fn next_frame(&mut self, bytes: &mut &[u8]) -> Result<Option<Frame>, WireError> {
        if self.body.is_none() {
            let wanted = HEADER_BYTES - self.header_filled;
            let (now, rest) = bytes.split_at(wanted.min(bytes.len()));
            if let Some(place) = self.header.get_mut(self.header_filled..self.header_filled + now.len()) {
                place.copy_from_slice(now);
            }
            self.header_filled += now.len();
            *bytes = rest;
            if self.header_filled < HEADER_BYTES {
                return Ok(None);
            }
            let header = Header::parse(&self.header)?;
            let mut payload = Vec::new();
            payload.try_reserve_exact(header.length as usize).map_err(|_| WireError::Memory(header.length))?;
            self.body = Some((header, payload));
        }
        let Some((header, mut payload)) = self.body.take() else {
            return Ok(None);
        };
        let wanted = header.length as usize - payload.len();
        let (now, rest) = bytes.split_at(wanted.min(bytes.len()));
        payload.extend_from_slice(now);
        *bytes = rest;
        if payload.len() < header.length as usize {
            self.body = Some((header, payload));
            return Ok(None);
        }
        self.header_filled = 0;
        Ok(Some(Frame { kind: header.kind, stream: header.stream, id: header.id, payload }))
    }

    /// Whether the bytes so far end at a frame border.
    #[must_use]
    pub fn at_border(&self) -> bool {
        self.header_filled == 0
    }
}
