//! Messages of a REPL: one byte of kind, a little-endian length, the payload. What comes from a REPL is the user's and
//! is checked as such: lengths before memory, kinds before meaning.

use std::collections::BTreeMap;

/// Payload from a REPL, after the mark of the run.
pub const FROM_LIMIT: usize = 524_288;
/// The agent gives each run a mark of its own, and what a REPL says about a run begins with it.
pub const MARK_BYTES: usize = 16;
pub type Mark = [u8; MARK_BYTES];
/// What an `S` begins with.
pub const SEED_BYTES: usize = 32;
/// Payload towards a REPL.
pub const TOWARDS_LIMIT: usize = 2_097_152;
/// Kind and length.
pub const HEADER_BYTES: usize = 5;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    Ready,
    /// About the run with this mark.
    Of(Mark, Report),
    Reseeded,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// JSON of one displayed value.
    Display(Vec<u8>),
    /// JSON of the uncaught error.
    Error(Vec<u8>),
    /// The program has ended with this code.
    Done(u8),
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
    /// A report without the mark of a run, or with that of another run.
    Mark,
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
        b'D' => MARK_BYTES + 3,
        b'O' | b'X' => MARK_BYTES + FROM_LIMIT,
        _ => return Err(ProtocolBreak::Kind(kind)),
    };
    if length as usize > most {
        return Err(ProtocolBreak::Length { kind, length });
    }
    Ok(())
}

fn interpret(kind: u8, mut payload: Vec<u8>) -> Result<Message, ProtocolBreak> {
    match kind {
        b'R' => return Ok(Message::Ready),
        b'A' => return Ok(Message::Reseeded),
        _ => {}
    }
    let mark = *payload.first_chunk::<MARK_BYTES>().ok_or(ProtocolBreak::Mark)?;
    payload.drain(..MARK_BYTES);
    let report = match kind {
        b'O' => Report::Display(payload),
        b'X' => Report::Error(payload),
        _ => Report::Done(exit_code(&payload).ok_or(ProtocolBreak::ExitCode)?),
    };
    Ok(Message::Of(mark, report))
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

/// An environment as the entries of `S` messages: of one if it fits, which is the rule.
#[must_use]
pub fn seed_entries(environment: &BTreeMap<String, String>) -> Vec<Vec<u8>> {
    const ROOM: usize = TOWARDS_LIMIT - SEED_BYTES;
    let mut messages = Vec::new();
    let mut entries = Vec::new();
    for (name, value) in environment {
        let length = name.len() + value.len() + 2;
        if !entries.is_empty() && entries.len() + length > ROOM {
            messages.push(std::mem::take(&mut entries));
        }
        for part in [name.as_bytes(), b"=", value.as_bytes(), b"\0"] {
            entries.extend_from_slice(part);
        }
    }
    messages.push(entries);
    messages
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::{encode, seed_entries, Decoder, Mark, Message, ProtocolBreak, Report};

    const MARK: &Mark = b"0123456789abcdef";

    fn raw(kind: u8, payload: &[u8]) -> Vec<u8> {
        encode(kind, &[payload]).unwrap()
    }

    fn report(kind: u8, payload: &[u8]) -> Vec<u8> {
        encode(kind, &[MARK, payload]).unwrap()
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
        let reports = [report(b'O', b"{}"), report(b'X', b"[]"), report(b'D', b"255")].concat();
        let bytes = [raw(b'R', b""), reports, raw(b'A', b"")].concat();
        let expected = [
            Message::Ready,
            Message::Of(*MARK, Report::Display(b"{}".to_vec())),
            Message::Of(*MARK, Report::Error(b"[]".to_vec())),
            Message::Of(*MARK, Report::Done(255)),
            Message::Reseeded,
        ];
        assert_eq!(decode_all(&bytes).unwrap(), expected);
    }

    #[test]
    fn what_breaks_the_format_is_refused_before_its_payload() {
        assert_eq!(decode_all(b"Q\0\0\0\0"), Err(ProtocolBreak::Kind(b'Q')));
        let length = 524_305;
        assert_eq!(decode_all(b"O\x11\x00\x08\x00"), Err(ProtocolBreak::Length { kind: b'O', length }));
        assert_eq!(decode_all(b"D\xff\xff\xff\xff"), Err(ProtocolBreak::Length { kind: b'D', length: u32::MAX }));
        assert_eq!(decode_all(b"R\x01\0\0\0"), Err(ProtocolBreak::Length { kind: b'R', length: 1 }));
    }

    #[test]
    fn a_report_begins_with_a_mark() {
        for kind in *b"OXD" {
            assert_eq!(decode_all(&raw(kind, &MARK[1..])), Err(ProtocolBreak::Mark));
        }
    }

    #[test]
    fn exit_codes_are_digits_up_to_255() {
        for code in [&b"256"[..], b"-1", b"", b"+1", b" 1", b"1a"] {
            assert_eq!(decode_all(&report(b'D', code)), Err(ProtocolBreak::ExitCode), "{code:?}");
        }
    }

    #[test]
    fn an_environment_of_any_size_reaches_the_repl_whole() {
        assert_eq!(seed_entries(&BTreeMap::new()), [b""]);
        let environment: BTreeMap<_, _> = (0..100).map(|n| (format!("N{n:03}"), "v".repeat(32_768))).collect();
        let messages = seed_entries(&environment);
        assert_eq!(messages.len(), 2);
        for entries in &messages {
            assert!(encode(b'S', &[&[0; 32], entries]).is_some());
        }
        let whole: Vec<u8> = environment.iter().flat_map(|(n, v)| format!("{n}={v}\0").into_bytes()).collect();
        assert!(messages.concat() == whole, "entries were lost or torn");
    }

    proptest! {
        #[test]
        fn cutting_the_bytes_anywhere_changes_nothing(payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 0..8), cut in 0_usize..500) {
            let bytes: Vec<u8> = payloads.iter().flat_map(|payload| report(b'O', payload)).collect();
            let expected: Vec<_> = payloads.into_iter().map(|json| Message::Of(*MARK, Report::Display(json))).collect();
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
