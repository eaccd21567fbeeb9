//! The methods' parameters: JSON to checked plain data.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

use super::frame::WireError;
use super::message::{object_text, Params, RequestError};

/// A request whose parameters have not been looked at.
#[derive(Debug, Deserialize)]
pub struct Request {
    #[serde(default)]
    pub method: String,
    params: Option<Params>,
}

impl PartialEq for Request {
    fn eq(&self, other: &Self) -> bool {
        self.method == other.method && self.params_text() == other.params_text()
    }
}

impl Request {
    pub fn parse(payload: &[u8]) -> Result<Self, WireError> {
        serde_json::from_str(object_text(payload)?).map_err(|error| WireError::Json(error.to_string()))
    }

    fn params_text(&self) -> &str {
        self.params.as_ref().map_or("{}", |params| params.get())
    }

    /// The parameters as the method wants them.
    pub fn params<T: DeserializeOwned + Checked>(&self) -> Result<T, RequestError> {
        let text = self.params_text();
        object_text(text.as_bytes()).map_err(|_| RequestError::bad("params: expected an object"))?;
        let params: T =
            serde_json::from_str(text).map_err(|error| RequestError::bad(format!("{}: {error}", self.method)))?;
        params.check().map_err(|what| RequestError::bad(format!("{}: {what}", self.method)))?;
        Ok(params)
    }
}

/// Rules beyond the types.
pub trait Checked {
    fn check(&self) -> Result<(), String>;
}

pub type Environment = BTreeMap<String, String>;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    Python,
    Javascript,
    Bash,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Resume {
    #[serde(deserialize_with = "decimal_nanoseconds")]
    pub unix_time_ns: Duration,
    #[serde(deserialize_with = "sixty_four_bytes")]
    pub entropy: [u8; 64],
    pub hostname: String,
    #[serde(default)]
    pub env: Environment,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Clock {
    #[serde(deserialize_with = "decimal_nanoseconds")]
    pub unix_time_ns: Duration,
}

#[derive(Debug, Deserialize)]
pub struct Start {
    pub language: Language,
    pub context: String,
}

#[derive(Debug, Deserialize)]
pub struct Stop {
    pub language: Language,
    pub context: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    pub language: Language,
    pub context: String,
    pub code: String,
    #[serde(default)]
    pub env: Environment,
    #[serde(default, deserialize_with = "whole")]
    pub timeout_ms: u64,
    #[serde(deserialize_with = "whole")]
    pub stdout_limit: u64,
    #[serde(deserialize_with = "whole")]
    pub stderr_limit: u64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Exec {
    pub argv: Vec<String>,
    pub cwd: Option<String>,
    #[serde(default)]
    pub env: Environment,
    #[serde(default, deserialize_with = "whole")]
    pub timeout_ms: u64,
    #[serde(default, deserialize_with = "whole")]
    pub stdout_limit: u64,
    #[serde(default, deserialize_with = "whole")]
    pub stderr_limit: u64,
}

#[derive(Debug, Deserialize)]
pub struct Signal {
    pub target: u32,
    pub signal: i32,
}

#[derive(Debug, Deserialize)]
pub struct Ping {}

#[derive(Debug, Deserialize)]
pub struct Network {
    pub enabled: bool,
    /// Certificates in PEM.
    pub authorities: Option<String>,
}

#[derive(Debug, Deserialize)]
pub struct Dial {
    #[serde(deserialize_with = "port")]
    pub port: u16,
}

/// JSON numbers of JavaScript are doubles: 1000 and 1000.0 are the same. Negative or fractional ones are refused.
fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    /// 2^53 − 1, beyond which doubles skip whole numbers.
    const HIGHEST: f64 = 9_007_199_254_740_991.0;
    let value = f64::deserialize(deserializer)?;
    if value.fract() == 0.0 && (0.0..=HIGHEST).contains(&value) {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        // whole and within 0..2^53
        return Ok(value as u64);
    }
    Err(serde::de::Error::custom(format!("expected a whole number of at least 0, got {value}")))
}

fn port<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u16, D::Error> {
    let value = whole(deserializer)?;
    let port = u16::try_from(value).ok().filter(|port| *port > 0);
    port.ok_or_else(|| serde::de::Error::custom(format!("port: expected 1 to 65535, got {value}")))
}

fn decimal_nanoseconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let value = text.parse::<u64>().ok().filter(|_| digits);
    value.map(Duration::from_nanos).ok_or_else(|| serde::de::Error::custom("unixTimeNs: expected decimal digits"))
}

fn sixty_four_bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 64], D::Error> {
    let text = String::deserialize(deserializer)?;
    let bytes = base64::engine::general_purpose::STANDARD.decode(text).ok();
    bytes
        .and_then(|bytes| <[u8; 64]>::try_from(bytes).ok())
        .ok_or_else(|| serde::de::Error::custom("entropy: expected base64 of 64 bytes"))
}

fn check_environment(environment: &Environment) -> Result<(), String> {
    /// MAX_ARG_STRLEN of linux/binfmts.h, less the `=` and the NUL.
    const ENTRY_LIMIT: usize = 131_070;
    for (name, value) in environment {
        if name.len() + value.len() > ENTRY_LIMIT {
            return Err(format!("env: the entry {name:.64} is longer than a program can be given"));
        }
        if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
            return Err(format!("env: the entry {name:?} cannot stand in an environment"));
        }
    }
    Ok(())
}

fn check_context(context: &str) -> Result<(), String> {
    let fits = context.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    if fits && (1..=64).contains(&context.len()) {
        Ok(())
    } else {
        Err("context: expected 1 to 64 characters of A-Z a-z 0-9 _ -".into())
    }
}

impl Checked for Resume {
    fn check(&self) -> Result<(), String> {
        let fits = self.hostname.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        if !fits || !(1..=63).contains(&self.hostname.len()) {
            return Err("hostname: expected 1 to 63 characters of a-z 0-9 -".into());
        }
        check_environment(&self.env)
    }
}

impl Checked for Start {
    fn check(&self) -> Result<(), String> {
        check_context(&self.context)
    }
}

impl Checked for Stop {
    fn check(&self) -> Result<(), String> {
        check_context(&self.context)
    }
}

impl Checked for Run {
    fn check(&self) -> Result<(), String> {
        /// A program is at most 1 MiB (docs/repl-protocol.md).
        const CODE_LIMIT: usize = 1_048_576;
        check_context(&self.context)?;
        check_environment(&self.env)?;
        if self.code.len() > CODE_LIMIT || self.code.contains('\0') {
            return Err("code: expected at most 1 MiB without NUL".into());
        }
        Ok(())
    }
}

impl Checked for Exec {
    fn check(&self) -> Result<(), String> {
        check_environment(&self.env)?;
        if !(1..=4_096).contains(&self.argv.len()) {
            return Err(format!("argv: expected 1 to 4096 strings, got {}", self.argv.len()));
        }
        if self.argv.iter().chain(&self.cwd).any(|text| text.contains('\0')) {
            return Err("argv, cwd: a NUL cannot stand in an argument".into());
        }
        if self.argv.first().is_some_and(String::is_empty) || self.cwd.as_deref() == Some("") {
            return Err("argv, cwd: expected a name, got an empty string".into());
        }
        Ok(())
    }
}

impl Checked for Signal {
    fn check(&self) -> Result<(), String> {
        if (1..=64).contains(&self.signal) {
            Ok(())
        } else {
            Err(format!("signal: expected 1 to 64, got {}", self.signal))
        }
    }
}

impl Checked for Clock {
    fn check(&self) -> Result<(), String> {
        Ok(())
    }
}

impl Checked for Ping {
    fn check(&self) -> Result<(), String> {
        Ok(())
    }
}

impl Checked for Network {
    fn check(&self) -> Result<(), String> {
        /// Far above any store of certificates, and what the agent's tmpfs has room for (docs/protocol.md).
        const AUTHORITIES_LIMIT: usize = 8_000_000;
        match &self.authorities {
            Some(text) if text.len() > AUTHORITIES_LIMIT => {
                Err(format!("authorities: expected at most {AUTHORITIES_LIMIT} bytes, got {}", text.len()))
            }
            _ => Ok(()),
        }
    }
}

impl Checked for Dial {
    fn check(&self) -> Result<(), String> {
        Ok(())
    }
}
