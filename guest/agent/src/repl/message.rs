//! Messages of a REPL: one byte of kind, a little-endian length, the payload. What comes from a REPL is the user's and
//! is checked as such: lengths before memory, kinds before meaning.

/// Payload from a REPL.
pub const FROM_LIMIT: usize = 524_288;
/// Payload towards a REPL.
pub const TOWARDS_LIMIT: usize = 2_097_152;
/// Kind and length.
pub const HEADER_BYTES: usize = 5;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    Ready,
    /// JSON of one displayed value.
    Display(Vec<u8>),
    /// JSON of the uncaught error.
    Error(Vec<u8>),
    /// The program has ended with this code.
    Done(u8),
    Reseeded,
}

/// The REPL does not keep to the format; it is killed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProtocolBreak {
    Kind(u8),
    Length {
        kind: u8,
        length: u32,
    },
    ExitCode,
    /// A message that does not fit what the REPL is doing.
    OutOfTurn,
}

/// Decodes what a REPL says, cut anywhere. After an error it must not be fed again.
#[derive(Debug, Default)]
pub struct Decoder {
    header: Vec<u8>,
    payload: Vec<u8>,
}

impl Decoder {
    /// Takes from the front of `bytes` until a message is complete or nothing is left.
    pub fn next_message(&mut self, bytes: &mut &[u8]) -> Result<Option<Message>, ProtocolBreak> {
        let wanted = HEADER_BYTES - self.header.len();
        let (now, rest) = bytes.split_at(wanted.min(bytes.len()));
        self.header.extend_from_slice(now);
        *bytes = rest;
        let &[kind, l0, l1, l2, l3] = self.header.as_slice() else {
            return Ok(None);
        };
        let length = u32::from_le_bytes([l0, l1, l2, l3]);
        check_length(kind, length)?;
        let wanted = length as usize - self.payload.len();
        let (now, rest) = bytes.split_at(wanted.min(bytes.len()));
        self.payload.extend_from_slice(now);
        *bytes = rest;
        if self.payload.len() < length as usize {
            return Ok(None);
        }
        self.header.clear();
        interpret(kind, std::mem::take(&mut self.payload)).map(Some)
    }
}

fn check_length(kind: u8, length: u32) -> Result<(), ProtocolBreak> {
    let most = match kind {
        b'R' | b'A' => 0,
        b'D' => 3,
        b'O' | b'X' => FROM_LIMIT,
        _ => return Err(ProtocolBreak::Kind(kind)),
    };
    if length as usize > most {
        return Err(ProtocolBreak::Length { kind, length });
    }
    Ok(())
}

fn interpret(kind: u8, payload: Vec<u8>) -> Result<Message, ProtocolBreak> {
    Ok(match kind {
        b'R' => Message::Ready,
        b'A' => Message::Reseeded,
        b'O' => Message::Display(payload),
        b'X' => Message::Error(payload),
        _ => Message::Done(exit_code(&payload).ok_or(ProtocolBreak::ExitCode)?),
    })
}

/// One to three decimal digits, 0 to 255.
fn exit_code(text: &[u8]) -> Option<u8> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// The bytes of a message towards a REPL; `None` when the payload is too long for one.
#[must_use]
pub fn encode(kind: u8, parts: &[&[u8]]) -> Option<Vec<u8>> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    if length > TOWARDS_LIMIT {
        return None;
    }
    let mut bytes = Vec::with_capacity(HEADER_BYTES + length);
    bytes.push(kind);
    bytes.extend_from_slice(&u32::try_from(length).ok()?.to_le_bytes());
    for part in parts {
        bytes.extend_from_slice(part);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{encode, Decoder, Message, ProtocolBreak};

    fn raw(kind: u8, payload: &[u8]) -> Vec<u8> {
        encode(kind, &[payload]).unwrap()
    }

    fn decode_all(mut bytes: &[u8]) -> Result<Vec<Message>, ProtocolBreak> {
        let mut decoder = Decoder::default();
        let mut messages = Vec::new();
        while !bytes.is_empty() {
            messages.extend(decoder.next_message(&mut bytes)?);
        }
        Ok(messages)
    }

    #[test]
    fn each_kind_is_understood() {
        let bytes = [raw(b'R', b""), raw(b'O', b"{}"), raw(b'X', b"[]"), raw(b'D', b"255"), raw(b'A', b"")].concat();
        let expected = [
            Message::Ready,
            Message::Display(b"{}".to_vec()),
            Message::Error(b"[]".to_vec()),
            Message::Done(255),
            Message::Reseeded,
        ];
        assert_eq!(decode_all(&bytes).unwrap(), expected);
    }

    #[test]
    fn what_breaks_the_format_is_refused_before_its_payload() {
        assert_eq!(decode_all(b"Q\0\0\0\0"), Err(ProtocolBreak::Kind(b'Q')));
        let length = 524_289;
        assert_eq!(decode_all(b"O\x01\x00\x08\x00"), Err(ProtocolBreak::Length { kind: b'O', length }));
        assert_eq!(decode_all(b"D\xff\xff\xff\xff"), Err(ProtocolBreak::Length { kind: b'D', length: u32::MAX }));
        assert_eq!(decode_all(b"R\x01\0\0\0"), Err(ProtocolBreak::Length { kind: b'R', length: 1 }));
    }

    #[test]
    fn exit_codes_are_digits_up_to_255() {
        for code in [&b"256"[..], b"-1", b"", b"+1", b" 1", b"1a"] {
            assert_eq!(decode_all(&raw(b'D', code)), Err(ProtocolBreak::ExitCode), "{code:?}");
        }
    }

    proptest! {
        #[test]
        fn cutting_the_bytes_anywhere_changes_nothing(payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 0..8), cut in 0_usize..500) {
            let bytes: Vec<u8> = payloads.iter().flat_map(|payload| raw(b'O', payload)).collect();
            let expected: Vec<_> = payloads.into_iter().map(Message::Display).collect();
            let cut = cut.min(bytes.len());
            let mut decoder = Decoder::default();
            let mut messages = Vec::new();
            for mut part in [&bytes[..cut], &bytes[cut..]] {
                while !part.is_empty() {
                    messages.extend(decoder.next_message(&mut part).unwrap());
                }
            }
            prop_assert_eq!(messages, expected);
        }

        #[test]
        fn any_bytes_end_in_messages_or_a_break(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode_all(&bytes);
        }
    }
}
