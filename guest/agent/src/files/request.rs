//! What the host asks for: one JSON object per operation.

use base64::engine::general_purpose::STANDARD;
use base64::Engine as _;
use serde::de::{Deserializer, Error as _};
use serde::Deserialize;

/// The bits of a mode that chmod(2) sets.
const MODE_BITS: u32 = 0o7777;

/// Bytes in base64.
#[derive(Debug)]
pub struct Bytes(pub Vec<u8>);

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).map(Self).map_err(|_| D::Error::custom("not base64"))
    }
}

/// An absolute path.
#[derive(Debug)]
pub struct Absolute(Vec<u8>);

impl<'de> Deserialize<'de> for Absolute {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Bytes(path) = Bytes::deserialize(deserializer)?;
        if path.first() != Some(&b'/') || path.contains(&0) {
            return Err(D::Error::custom("not an absolute path"));
        }
        Ok(Self(path))
    }
}

impl std::ops::Deref for Absolute {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

/// Permission bits.
#[derive(Clone, Copy, Debug)]
pub struct Permissions(pub u32);

impl<'de> Deserialize<'de> for Permissions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mode = u32::deserialize(deserializer)?;
        if mode & !MODE_BITS != 0 {
            return Err(D::Error::custom("not a mode"));
        }
        Ok(Self(mode))
    }
}

/// Of `read` and `pack`.
#[derive(Debug, Deserialize)]
pub struct OfPath {
    pub path: Absolute,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Write {
    pub path: Absolute,
    pub mode: Permissions,
    pub size: Option<u64>,
    pub mtime_ms: Option<f64>,
    #[serde(default)]
    pub sparse: bool,
}

#[derive(Debug, Deserialize)]
pub struct Stat {
    pub path: Absolute,
    pub follow: bool,
}

#[derive(Debug, Deserialize)]
pub struct List {
    pub path: Absolute,
    pub depth: usize,
}

#[derive(Debug, Deserialize)]
pub struct MakeDirectory {
    pub path: Absolute,
    pub mode: Permissions,
    pub parents: bool,
}

#[derive(Debug, Deserialize)]
pub struct Rename {
    pub from: Absolute,
    pub to: Absolute,
    pub replace: bool,
}

#[derive(Debug, Deserialize)]
pub struct Remove {
    pub path: Absolute,
    pub recursive: bool,
}

#[derive(Debug, Deserialize)]
pub struct ChangeMode {
    pub path: Absolute,
    pub mode: Permissions,
}

#[derive(Debug, Deserialize)]
pub struct Unpack {
    pub path: Absolute,
    pub mtimes: bool,
}
