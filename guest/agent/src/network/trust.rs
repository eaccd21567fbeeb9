//! Whom programs trust (requirement E08). The certificates of the host's own authorities are added to the image's bundle in a
//! file that is bound over it: whatever reads the system's store finds them, also a process that was started before. What has
//! a store of its own is pointed to a file by its environment, which is the same in every sandbox, so that it
//! holds for interpreters out of a template as well ([`ENVIRONMENT`]).

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crate::boot::bind_over;
use crate::error::{Step, StepError};

/// The image's bundle, where Debian's OpenSSL, GnuTLS, curl, git and pip look for it.
const BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";
/// What is bound over it.
const EXTENDED: &str = "/run/etc/ca-certificates.crt";
/// The certificates of the host alone.
const ADDED: &str = "/run/etc/authorities.crt";

/// For programs that bring a store of their own: uv and httpx, requests, Bun and Node.
pub const ENVIRONMENT: [(&str, &str); 3] =
    [("SSL_CERT_FILE", BUNDLE), ("REQUESTS_CA_BUNDLE", BUNDLE), ("NODE_EXTRA_CA_CERTS", ADDED)];

/// Makes the file that Bun reads with the first TLS connection of a process. It complains about one without a certificate, so
/// there is one that it trusts anyway.
pub fn prepare() -> Result<(), StepError> {
    /// More than any single certificate takes.
    const FIRST_BYTES: u64 = 16_384;
    const END: &str = "-----END CERTIFICATE-----\n";
    let mut text = String::new();
    if let Ok(bundle) = File::open(BUNDLE) {
        bundle.take(FIRST_BYTES).read_to_string(&mut text).step(&format!("reading {BUNDLE}"))?;
    }
    let end = text.find(END).map_or(0, |at| at + END.len());
    write_new(ADDED, text.get(..end).unwrap_or_default().as_bytes()).step(&format!("making {ADDED}"))
}

/// The files, and whether one of them has taken the place of the image's.
#[derive(Debug, Default)]
pub struct Trust {
    /// Bytes of the image's own bundle, once it has been copied.
    own_bytes: Option<u64>,
}

impl Trust {
    /// Trusts these certificates (PEM) beside the image's, instead of any that came before.
    pub fn set(&mut self, authorities: &str) -> Result<(), StepError> {
        if self.own_bytes.is_none() && authorities.is_empty() {
            return Ok(());
        }
        let own_bytes = match self.own_bytes {
            Some(bytes) => bytes,
            None => self.take_over()?,
        };
        let extended = OpenOptions::new().write(true).open(EXTENDED);
        let written = extended.and_then(|mut file| {
            // The image's part stays as it is: a reader in this very moment finds that at least.
            file.set_len(own_bytes)?;
            file.seek(SeekFrom::End(0))?;
            file.write_all(authorities.as_bytes())
        });
        written.step(&format!("writing {EXTENDED}"))?;
        if authorities.is_empty() {
            return prepare();
        }
        write_new(ADDED, authorities.as_bytes()).step(&format!("writing {ADDED}"))
    }

    /// Lays a copy of the image's bundle over it.
    fn take_over(&mut self) -> Result<u64, StepError> {
        let mut bundle = fs::read(BUNDLE).step(&format!("reading {BUNDLE}"))?;
        if bundle.last().is_some_and(|last| *last != b'\n') {
            bundle.push(b'\n');
        }
        write_new(EXTENDED, &bundle).step(&format!("making {EXTENDED}"))?;
        bind_over(EXTENDED, BUNDLE)?;
        self.own_bytes = Some(bundle.len() as u64);
        Ok(bundle.len() as u64)
    }
}

/// Writes a file that everybody may read, under a name that always stands for a whole one.
pub fn write_new(path: impl AsRef<Path>, content: &[u8]) -> io::Result<()> {
    let path = path.as_ref();
    let next = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o644).open(&next)?;
    file.write_all(content)?;
    fs::rename(&next, path)
}
