//! The files of /etc that differ per sandbox. In the image they are links into /run/etc, which belongs to root.

use std::fs;
use std::path::Path;

use rustix::fs::Mode;
use rustix::rand::{getrandom, GetRandomFlags};

use crate::error::{Step, StepError};

const DIRECTORY: &str = "/run/etc";

/// Sets the host name and writes `hosts`, `hostname`, a fresh `machine-id` and, without a network, an empty `resolv.conf`.
pub fn write_all(hostname: &str) -> Result<(), StepError> {
    rustix::system::sethostname(hostname.as_bytes()).step("setting the host name")?;
    write("hostname", &format!("{hostname}\n"))?;
    write("hosts", &hosts(hostname))?;
    write("machine-id", &format!("{}\n", machine_id()?))?;
    write("resolv.conf", "")
}

/// 128 random bits in hexadecimal, with the version and variant bits of machine-id(5).
fn machine_id() -> Result<String, StepError> {
    let mut bytes = [0_u8; 16];
    getrandom(&mut bytes, GetRandomFlags::empty()).step("reading random bytes")?;
    Ok(format_machine_id(bytes))
}

fn format_machine_id(bytes: [u8; 16]) -> String {
    let value = u128::from_be_bytes(bytes);
    let version = (value & !(0xf << 76)) | (4 << 76);
    format!("{:032x}", (version & !(0b11 << 62)) | (0b10 << 62))
}

fn hosts(hostname: &str) -> String {
    format!("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n127.0.1.1\t{hostname}\n")
}

/// Replaces a file in one step, so that no program ever reads half of it.
fn write(name: &str, text: &str) -> Result<(), StepError> {
    let path = Path::new(DIRECTORY).join(name);
    let fresh = path.with_extension("new");
    let step = format!("writing {}", path.display());
    fs::write(&fresh, text).step(&step)?;
    rustix::fs::chmod(&fresh, Mode::from_raw_mode(0o644)).step(&step)?;
    fs::rename(&fresh, &path).step(&step)
}

#[cfg(test)]
mod tests {
    use super::format_machine_id;

    #[test]
    fn a_machine_id_is_a_version_four_uuid_in_32_digits() {
        let id = format_machine_id([0xff; 16]);
        assert_eq!(id, "ffffffffffff4fffbfffffffffffffff");
        assert_eq!(format_machine_id([0; 16]), "00000000000040008000000000000000");
    }
}
