//! What the host says in exchanges that the guest has begun. The host is trusted: what it says is checked so that a defect
//! is seen at once.

use std::net::Ipv4Addr;

use serde::Deserialize;

use super::frame::WireError;
use super::message::{object_text, Params};

#[derive(Deserialize)]
struct EventBody {
    event: String,
}

/// Checks the one event there is.
pub fn parse_event(payload: &[u8]) -> Result<(), WireError> {
    let body: EventBody = serde_json::from_str(object_text(payload)?).map_err(json)?;
    match body.event.as_str() {
        "connected" => Ok(()),
        other => Err(WireError::Json(format!("no event {other:.64}"))),
    }
}

/// Why there is no connection, or no connection any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    Refused,
    ConnectionRefused,
    Unreachable,
    TimedOut,
    Reset,
    Busy,
}

#[derive(Deserialize)]
struct ErrorBody {
    code: Refusal,
}

#[derive(Deserialize)]
struct ResponseBody {
    result: Option<Params>,
    error: Option<ErrorBody>,
}

/// The body of a RESPONSE. A result is parsed later, by the method it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Result(String),
    Error(Refusal),
}

impl Answer {
    pub fn parse(payload: &[u8]) -> Result<Self, WireError> {
        let body: ResponseBody = serde_json::from_str(object_text(payload)?).map_err(json)?;
        match (body.result, body.error) {
            (Some(result), None) => {
                object_text(result.get().as_bytes())?;
                Ok(Self::Result(result.get().to_owned()))
            }
            (None, Some(error)) => Ok(Self::Error(error.code)),
            _ => Err(WireError::Json("expected exactly one of result and error".into())),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NameStatus {
    Ok,
    NoData,
    NoName,
    Refused,
    Failed,
}

/// The result of `resolve`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Resolved {
    pub status: NameStatus,
    pub addresses: Vec<Ipv4Addr>,
    #[serde(rename = "ttlS")]
    pub ttl_s: u32,
}

impl Resolved {
    /// What is said when the host said something else than a result.
    #[must_use]
    pub fn failed() -> Self {
        Self { status: NameStatus::Failed, addresses: Vec::new(), ttl_s: 0 }
    }
}

fn json(error: impl std::fmt::Display) -> WireError {
    WireError::Json(error.to_string())
}
