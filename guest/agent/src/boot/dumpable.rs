//! Makes user programs undumpable (A05). `execve` sets the flag back, so the agent cannot set it for a child. It stays
//! off where the program or its loader may be executed but not read (`would_dump` in fs/exec.c, called for the loader
//! in `load_elf_binary`), and `fs.suid_dumpable` is 0. So one loader without the read bit makes every dynamically linked
//! program undumpable from its first instruction. An image can have it so; for any other the agent lays a copy over it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use rustix::fs::Mode;
use rustix::mount::MountFlags;

use super::mounts::bind_read_only;
use crate::console;
use crate::error::{Step, StepError};

/// Where ELF files for x86-64 with glibc say that their loader is.
const LOADER: &str = "/lib64/ld-linux-x86-64.so.2";
const COPY: &str = "/run/exec-sandbox/loader";

pub fn hide_loader() -> Result<(), StepError> {
    let Ok(path) = fs::canonicalize(LOADER) else {
        console::debug("this root file system has no loader for glibc programs");
        return Ok(());
    };
    let mode = fs::metadata(&path).step("looking at the loader")?.permissions().mode();
    if mode & 0o004 == 0 {
        return Ok(());
    }
    fs::copy(&path, COPY).step("copying the loader")?;
    rustix::fs::chmod(COPY, Mode::from_raw_mode(0o711)).step("setting the loader's mode")?;
    let target = path.to_string_lossy();
    bind_read_only(COPY, &target, MountFlags::NOSUID | MountFlags::NODEV)
}
