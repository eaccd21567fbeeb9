//! Questions about names (RFC 1035), as programs send them to the name server, and the answers. What is asked of the host is
//! a name of plain letters and its addresses; everything else is answered here.

use std::net::Ipv4Addr;

use super::packet::u16_at;
use crate::wire::answer::{NameStatus, Resolved};

const HEADER_BYTES: usize = 12;
const LABEL_LIMIT: usize = 63;
/// Bytes of a name as text, without a dot at the end.
const NAME_LIMIT: usize = 253;
/// More would not fit a datagram that every resolver takes (512 bytes).
const ADDRESSES: usize = 12;

const TYPE_A: u16 = 1;
const TYPE_AAAA: u16 = 28;
const TYPE_OPT: u16 = 41;
const CLASS_INTERNET: u16 = 1;

/// Bits of the second word of a message.
const IS_RESPONSE: u16 = 0x8000;
const OPERATION: u16 = 0x7800;
const RECURSION_DESIRED: u16 = 0x0100;
const RECURSION_AVAILABLE: u16 = 0x0080;
const CHECKING_DISABLED: u16 = 0x0010;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseCode {
    NoError = 0,
    FormatError = 1,
    ServerFailure = 2,
    NoName = 3,
    NotImplemented = 4,
}

/// What an answer repeats of its question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    id: u16,
    flags: u16,
    /// Name, type and class as they came.
    text: Vec<u8>,
    /// The program speaks EDNS, and so must the answer (RFC 6891).
    extended: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Query {
    /// To be asked of the host.
    Ask(Question, String),
    /// Answered without the host.
    Answer(Vec<u8>),
    /// No question at all.
    Nothing,
}

/// Reads a datagram to the name server.
#[must_use]
pub fn parse(message: &[u8]) -> Query {
    let (Some(id), Some(flags), Some(questions)) = (u16_at(message, 0), u16_at(message, 2), u16_at(message, 4)) else {
        return Query::Nothing;
    };
    if flags & IS_RESPONSE != 0 || message.len() < HEADER_BYTES {
        return Query::Nothing;
    }
    let mut question = Question { id, flags, text: Vec::new(), extended: false };
    if flags & OPERATION != 0 {
        return Query::Answer(answer(&question, ResponseCode::NotImplemented, &[], 0));
    }
    let Some((name, end)) = read_name(message).filter(|_| questions == 1) else {
        return Query::Answer(answer(&question, ResponseCode::FormatError, &[], 0));
    };
    let (Some(kind), Some(class)) = (u16_at(message, end), u16_at(message, end + 2)) else {
        return Query::Answer(answer(&question, ResponseCode::FormatError, &[], 0));
    };
    message.get(HEADER_BYTES..end + 4).unwrap_or_default().clone_into(&mut question.text);
    // The record of EDNS, whose name is the root, follows at once: a question brings no other records.
    question.extended = message.get(end + 4) == Some(&0) && u16_at(message, end + 5) == Some(TYPE_OPT);
    match (class, kind, name) {
        (CLASS_INTERNET, TYPE_A, Name::Plain(name)) => Query::Ask(question, name),
        // No program can know an address of such a name.
        (CLASS_INTERNET, TYPE_A | TYPE_AAAA, Name::Odd) => {
            Query::Answer(answer(&question, ResponseCode::NoName, &[], 0))
        }
        // The guest has no IPv6, so nobody is asked for such addresses; nor for records of other types.
        (CLASS_INTERNET, ..) => Query::Answer(answer(&question, ResponseCode::NoError, &[], 0)),
        _ => Query::Answer(answer(&question, ResponseCode::NotImplemented, &[], 0)),
    }
}

enum Name {
    Plain(String),
    /// Well-formed, but not of the letters that names of machines consist of, or the root.
    Odd,
}

/// The name of the question, and where it ends. Compression has no place in a question: nothing stands before it.
fn read_name(message: &[u8]) -> Option<(Name, usize)> {
    let mut name = String::new();
    let mut plain = true;
    let mut at = HEADER_BYTES;
    loop {
        let length = usize::from(*message.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        let label = message.get(at..at + length).filter(|_| length <= LABEL_LIMIT)?;
        at += length;
        if !name.is_empty() {
            name.push('.');
        }
        for byte in label {
            plain &= byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            name.push(char::from(*byte));
        }
        // Two letters of other bytes are one character, which only shortens what is refused here.
        if at > HEADER_BYTES + NAME_LIMIT + 1 {
            return None;
        }
    }
    Some((if plain && !name.is_empty() { Name::Plain(name) } else { Name::Odd }, at))
}

/// The answer that the host's word makes.
#[must_use]
pub fn resolved(question: &Question, word: &Resolved) -> Vec<u8> {
    let code = match word.status {
        NameStatus::Ok | NameStatus::NoData => ResponseCode::NoError,
        // REFUSED would make resolvers ask again, elsewhere or later; that there is no such name ends the matter.
        NameStatus::NoName | NameStatus::Refused => ResponseCode::NoName,
        NameStatus::Failed => ResponseCode::ServerFailure,
    };
    let addresses = if word.status == NameStatus::Ok { word.addresses.as_slice() } else { &[] };
    answer(question, code, addresses, word.ttl_s)
}

#[must_use]
pub fn failure(question: &Question) -> Vec<u8> {
    answer(question, ResponseCode::ServerFailure, &[], 0)
}

fn answer(question: &Question, code: ResponseCode, addresses: &[Ipv4Addr], ttl_s: u32) -> Vec<u8> {
    /// Points to the name of the question, right behind the header.
    const NAME_OF_QUESTION: u16 = 0xc00c;
    /// What a datagram of the agent's may be long, which is what it takes itself.
    const PAYLOAD_BYTES: u16 = 1_232;
    let addresses = addresses.get(..addresses.len().min(ADDRESSES)).unwrap_or_default();
    let kept = question.flags & (OPERATION | RECURSION_DESIRED | CHECKING_DISABLED);
    let flags = IS_RESPONSE | RECURSION_AVAILABLE | kept | code as u16;
    let questions = u16::from(!question.text.is_empty());
    let answers = u16::try_from(addresses.len()).unwrap_or(0);
    let mut message = Vec::with_capacity(HEADER_BYTES + question.text.len() + addresses.len() * 16 + 11);
    for word in [question.id, flags, questions, answers, 0, u16::from(question.extended)] {
        message.extend(word.to_be_bytes());
    }
    message.extend(&question.text);
    for address in addresses {
        for word in [NAME_OF_QUESTION, TYPE_A, CLASS_INTERNET] {
            message.extend(word.to_be_bytes());
        }
        message.extend(ttl_s.to_be_bytes());
        message.extend(4_u16.to_be_bytes());
        message.extend(address.octets());
    }
    if question.extended {
        message.push(0);
        for word in [TYPE_OPT, PAYLOAD_BYTES, 0, 0, 0] {
            message.extend(word.to_be_bytes());
        }
    }
    message
}
