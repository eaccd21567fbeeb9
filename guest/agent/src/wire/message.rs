//! The bodies of HELLO, WELCOME, RESPONSE and EVENT.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::frame::{WireError, GUEST_JSON_LIMIT};

/// One number for the whole wire surface.
pub const GENERATION: u64 = 2;

#[derive(Serialize)]
struct Hello {
    generation: u64,
    agent: &'static str,
}

#[derive(Deserialize)]
struct Welcome {
    generation: u64,
}

#[must_use]
pub fn hello() -> Vec<u8> {
    to_json(&Hello { generation: GENERATION, agent: env!("CARGO_PKG_VERSION") })
}

/// JSON text whose top level is an object. Serde lets a sequence stand for a struct, and does not look at the encoding of
/// what it skips; the protocol allows neither.
pub fn object_text(payload: &[u8]) -> Result<&str, WireError> {
    let text = std::str::from_utf8(payload).map_err(|error| WireError::Json(error.to_string()))?;
    if text.trim_start_matches([' ', '\t', '\r', '\n']).starts_with('{') {
        Ok(text)
    } else {
        Err(WireError::Json("the top level is not an object".into()))
    }
}

pub fn parse_welcome(payload: &[u8]) -> Result<(), WireError> {
    let text = object_text(payload)?;
    let welcome: Welcome = serde_json::from_str(text).map_err(|error| WireError::Json(error.to_string()))?;
    if welcome.generation == GENERATION {
        Ok(())
    } else {
        Err(WireError::Generation(welcome.generation))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorCode {
    BadRequest,
    UnknownMethod,
    Spawn,
    Internal,
    Refused,
    Reset,
}

/// Why a request has no result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RequestError {
    pub code: ErrorCode,
    pub message: String,
}

impl RequestError {
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        let mut message: String = message.into();
        // A message is for people and must fit a RESPONSE whatever a path or a host's argument put into it.
        if message.len() > 4_096 {
            let mut end = 4_096;
            while !message.is_char_boundary(end) {
                end -= 1;
            }
            message.truncate(end);
        }
        Self { code, message }
    }

    pub fn bad(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::BadRequest, message)
    }
}

#[derive(Serialize)]
struct RequestBody<'a, T> {
    method: &'static str,
    params: &'a T,
}

/// The body of a REQUEST of the guest. Its parameters are an address or a name: far below the limit.
#[must_use]
pub fn request<T: Serialize>(method: &'static str, params: &T) -> Vec<u8> {
    to_json(&RequestBody { method, params })
}

/// Parameters of `connect`.
#[derive(Serialize)]
pub struct Connect {
    pub address: std::net::Ipv4Addr,
    pub port: u16,
}

/// Parameters of `resolve`.
#[derive(Serialize)]
pub struct Resolve<'a> {
    pub name: &'a str,
    #[serde(rename = "type")]
    pub kind: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Outcome<'a, T> {
    Result(&'a T),
    Error(&'a RequestError),
}

/// The body of a RESPONSE. A result that does not fit is a defect of its maker, told as an `internal` error.
#[must_use]
pub fn response<T: Serialize>(outcome: &Result<T, RequestError>) -> Vec<u8> {
    let body = match outcome {
        Ok(result) => to_json(&Outcome::Result(result)),
        Err(error) => to_json(&Outcome::<T>::Error(error)),
    };
    if body.len() <= GUEST_JSON_LIMIT {
        return body;
    }
    let error = RequestError::new(ErrorCode::Internal, "the result does not fit a RESPONSE");
    to_json(&Outcome::<T>::Error(&error))
}

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum Event<'a> {
    Started { pid: i32 },
    Result { data: &'a str },
    Connected,
}

/// The body of an EVENT, or `None` when it does not fit one: JSON text doubles when every character is escaped.
#[must_use]
pub fn event(event: &Event<'_>) -> Option<Vec<u8>> {
    Some(to_json(event)).filter(|body| body.len() <= GUEST_JSON_LIMIT)
}

/// JSON of plain data; our types have string keys only, so writing to memory cannot fail.
fn to_json<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

/// Milliseconds with microsecond resolution, as all durations go over the wire.
#[must_use]
pub fn milliseconds(duration: std::time::Duration) -> f64 {
    (duration.as_secs_f64() * 1_000_000.0).round() / 1_000.0
}

/// JSON text that is parsed later, by the method it belongs to.
pub type Params = Box<RawValue>;
