//! The files of /etc that differ per sandbox. In the image they are links into /run/etc, which belongs to root.

use std::fs;
use std::io;
use std::path::Path;

use rustix::fs::Mode;
use rustix::rand::{getrandom, GetRandomFlags};

use crate::error::{Step, StepError};
use crate::sys::shared_file::SharedFile;

const DIRECTORY: &str = "/run/etc";

/// The name of the machine and the files that carry it.
#[derive(Debug)]
pub struct Names {
    hostname: String,
    hostname_file: SharedFile,
    hosts: SharedFile,
    machine_id: SharedFile,
}

impl Names {
    /// Makes `hostname`, `hosts`, `machine-id` and, without a network, an empty `resolv.conf`; they say what the first
    /// `renew` is told.
    pub fn create() -> Result<Self, StepError> {
        let file = |name: &str| {
            let path = Path::new(DIRECTORY).join(name);
            SharedFile::create(&path).step(&format!("making {}", path.display()))
        };
        let (hostname_file, hosts, machine_id) = (file("hostname")?, file("hosts")?, file("machine-id")?);
        let resolver = Path::new(DIRECTORY).join("resolv.conf");
        fs::write(&resolver, "").step("making resolv.conf")?;
        rustix::fs::chmod(&resolver, Mode::from_raw_mode(0o644)).step("setting the mode of resolv.conf")?;
        Ok(Self { hostname: String::new(), hostname_file, hosts, machine_id })
    }

    /// Gives the machine this name and a machine-id that no other has.
    pub fn renew(&mut self, hostname: &str) -> Result<(), StepError> {
        if self.hostname != hostname {
            rustix::system::sethostname(hostname.as_bytes()).step("setting the host name")?;
            self.hostname_file.write(format!("{hostname}\n").as_bytes()).step("writing hostname")?;
            self.hosts.write(hosts(hostname).as_bytes()).step("writing hosts")?;
            hostname.clone_into(&mut self.hostname);
        }
        self.machine_id.write(&machine_id().step("reading random bytes")?).step("writing machine-id")
    }
}

/// 128 random bits in hexadecimal, with the version and variant bits of machine-id(5).
fn machine_id() -> io::Result<[u8; 33]> {
    let mut bytes = [0_u8; 16];
    getrandom(&mut bytes, GetRandomFlags::empty())?;
    Ok(format_machine_id(bytes))
}

fn format_machine_id(mut bytes: [u8; 16]) -> [u8; 33] {
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let mut text = [b'\n'; 33];
    for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
        pair.copy_from_slice(&hex_digits(byte));
    }
    text
}

/// A byte in hexadecimal. By hand: the formatting machinery is much code for an emulated machine's first steps.
#[must_use]
pub fn hex_digits(byte: u8) -> [u8; 2] {
    let digit = |value: u8| if value < 10 { b'0' + value } else { b'a' + value - 10 };
    [digit(byte >> 4), digit(byte & 15)]
}

fn hosts(hostname: &str) -> String {
    format!("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n127.0.1.1\t{hostname}\n")
}

#[cfg(test)]
mod tests {
    use super::format_machine_id;

    #[test]
    fn a_machine_id_is_a_version_four_uuid_in_32_digits() {
        assert_eq!(&format_machine_id([0xff; 16]), b"ffffffffffff4fffbfffffffffffffff\n");
        assert_eq!(&format_machine_id([0; 16]), b"00000000000040008000000000000000\n");
    }
}
