//! What the host says on the kernel command line.

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Switches {
    /// Lines for people on the console.
    pub debug: bool,
    /// Only say that the kernel came this far, then power off.
    pub probe: bool,
    /// Serial number of the disk with the root file system.
    pub root_serial: String,
    /// Serial number of the disk with installed packages, if there is one.
    pub layer_serial: Option<String>,
}

impl Switches {
    /// Reads the switches; words that are not ours are the kernel's.
    pub fn parse(command_line: &str) -> Result<Self, String> {
        let mut switches = Self { debug: false, probe: false, root_serial: "root".into(), layer_serial: None };
        for word in command_line.split_ascii_whitespace() {
            let Some(ours) = word.strip_prefix("exec_sandbox.") else {
                continue;
            };
            match ours.split_once('=') {
                Some(("log", "debug")) => switches.debug = true,
                Some(("root", value)) => switches.root_serial = serial(word, value)?,
                Some(("layer", value)) => switches.layer_serial = Some(serial(word, value)?),
                None if ours == "probe" => switches.probe = true,
                _ => return Err(format!("{word}: no such switch")),
            }
        }
        Ok(switches)
    }
}

/// The disk that `value` names.
fn serial(word: &str, value: &str) -> Result<String, String> {
    match value.strip_prefix("serial:") {
        Some(serial) if !serial.is_empty() => Ok(serial.into()),
        _ => Err(format!("{word}: expected serial:NAME behind the =")),
    }
}

#[cfg(test)]
mod tests {
    use super::Switches;

    #[test]
    fn defaults_hold_beside_words_of_the_kernel() {
        let switches = Switches::parse("console=ttyS0 quiet virtio_mmio.device=512@0xfeb00e00:12\n").unwrap();
        let expected = Switches { debug: false, probe: false, root_serial: "root".into(), layer_serial: None };
        assert_eq!(switches, expected);
    }

    #[test]
    fn all_switches_are_read() {
        let line =
            "exec_sandbox.root=serial:disk7 exec_sandbox.layer=serial:x exec_sandbox.log=debug exec_sandbox.probe";
        let switches = Switches::parse(line).unwrap();
        let layer_serial = Some("x".into());
        assert_eq!(switches, Switches { debug: true, probe: true, root_serial: "disk7".into(), layer_serial });
    }

    #[test]
    fn unknown_or_malformed_switches_are_refused() {
        for line in [
            "exec_sandbox.root=/dev/vda",
            "exec_sandbox.root=serial:",
            "exec_sandbox.layer=vdb",
            "exec_sandbox.layer",
            "exec_sandbox.speed=9",
            "exec_sandbox.log",
        ] {
            assert!(Switches::parse(line).is_err(), "{line}");
        }
    }
}
