//! The user's view of the file tree: what is mounted where, with which limits.

use std::ffi::CString;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use rustix::fs::{makedev, mknodat, FileType, Mode, CWD};
use rustix::mount::{mount, mount_bind, mount_remount, MountFlags};

use crate::error::{Step, StepError};
use crate::process::identity::USER;

/// A writable file system of the user's.
#[derive(Clone, Copy, Debug)]
pub struct UserTmpfs {
    pub path: &'static str,
    pub mode: &'static str,
    pub owned_by_user: bool,
    pub executable: bool,
    /// Part of the memory that its content may take.
    pub percent_of_memory: u64,
    /// One inode per so many bytes of memory. An inode with its directory entry costs about 1 KiB that cannot be swapped.
    pub memory_per_inode: u64,
}

/// Requirement A04.
pub const USER_TMPFS: [UserTmpfs; 3] = [
    UserTmpfs {
        path: "/home/user",
        mode: "0700",
        owned_by_user: true,
        executable: true,
        percent_of_memory: 40,
        memory_per_inode: 8_192,
    },
    UserTmpfs {
        path: "/tmp",
        mode: "1777",
        owned_by_user: false,
        executable: false,
        percent_of_memory: 50,
        memory_per_inode: 16_384,
    },
    UserTmpfs {
        path: "/dev/shm",
        mode: "1777",
        owned_by_user: false,
        executable: false,
        percent_of_memory: 40,
        memory_per_inode: 65_536,
    },
];

/// How far the user's quota lies above the file system's own size.
const QUOTA_ABOVE_BYTES: u64 = 1 << 20;
const QUOTA_ABOVE_INODES: u64 = 16;

impl UserTmpfs {
    /// Mount options: the size of the whole, and little more as the hard limits of the user's quota, which also counts what
    /// a file reserves and has not written (tmpfs(5)).
    #[must_use]
    pub fn options(&self, memory_bytes: u64) -> String {
        let size = memory_bytes / 100 * self.percent_of_memory;
        let inodes = memory_bytes / self.memory_per_inode;
        // The size is reached first: what a program is told is ENOSPC, which it knows, and not EDQUOT.
        let (quota, inode_quota) = (size + QUOTA_ABOVE_BYTES, inodes + QUOTA_ABOVE_INODES);
        let (uid, gid) = if self.owned_by_user { USER } else { (0, 0) };
        format!(
            "mode={},uid={uid},gid={gid},size={size},nr_inodes={inodes},usrquota,\
             usrquota_block_hardlimit={quota},usrquota_inode_hardlimit={inode_quota}",
            self.mode
        )
    }

    fn flags(&self) -> MountFlags {
        let flags = MountFlags::NOSUID | MountFlags::NODEV;
        if self.executable {
            flags
        } else {
            flags | MountFlags::NOEXEC
        }
    }
}

/// Files of /proc that tell more than a program needs (A07). They read as empty.
const MASKED: [&str; 6] = ["cmdline", "kallsyms", "keys", "timer_list", "interrupts", "version"];

/// Mounts that need neither disk nor size: the agent's own /dev, and /proc and /sys that move along to the new root.
pub fn early() -> Result<(), StepError> {
    let hidden = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    for directory in ["/dev", "/proc", "/sys", "/root"] {
        let made = fs::create_dir(directory);
        if !Path::new(directory).is_dir() {
            made.step(&format!("making {directory}"))?;
        }
    }
    mount("devtmpfs", "/dev", "devtmpfs", MountFlags::NOSUID | MountFlags::NOEXEC, None).step("mounting /dev")?;
    mount("proc", "/proc", "proc", hidden, Some(c"hidepid=2")).step("mounting /proc")?;
    mount("sysfs", "/sys", "sysfs", hidden, None).step("mounting /sys")
}

/// Mounts the root file system at /root of the initramfs.
pub fn root(disk: &Path) -> Result<(), StepError> {
    let flags = MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV;
    mount(disk, "/root", "erofs", flags, None).step(&format!("mounting the root file system from {}", disk.display()))
}

/// A tmpfs with text options.
fn tmpfs(path: &str, flags: MountFlags, options: &str) -> Result<(), StepError> {
    let data = CString::new(options).step(path)?;
    mount("tmpfs", path, "tmpfs", flags, Some(data.as_c_str())).step(&format!("mounting {path} ({options})"))
}

/// Everything below the new root, except the files of /run. Called after the switch: paths are the user's.
pub fn tree(memory_bytes: u64) -> Result<(), StepError> {
    tmpfs("/dev", MountFlags::NOSUID | MountFlags::NOEXEC, "mode=0755,size=65536,nr_inodes=64")?;
    device_nodes()?;
    let data = Some(c"newinstance,ptmxmode=0666,mode=0620,gid=5,max=64");
    mount("devpts", "/dev/pts", "devpts", MountFlags::NOSUID | MountFlags::NOEXEC, data).step("mounting /dev/pts")?;
    for each in USER_TMPFS {
        tmpfs(each.path, each.flags(), &each.options(memory_bytes))?;
    }
    mount_remount("/dev", MountFlags::BIND | MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NOEXEC, "")
        .step("making /dev read-only")
}

/// Files of the agent's that programs read: small, and nothing in it is the user's.
pub fn run_directory() -> Result<(), StepError> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    // Room for the scripts of `#!` programs that run at the same time, of at most 1 MiB each.
    tmpfs("/root/run", flags, "mode=0755,size=33554432,nr_inodes=1024")
}

fn device_nodes() -> Result<(), StepError> {
    const CHARACTER_NODES: [(&str, u32, u32); 6] =
        [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];
    const LINKS: [(&str, &str); 5] = [
        ("ptmx", "pts/ptmx"),
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
    ];
    for (name, major, minor) in CHARACTER_NODES {
        let path = Path::new("/dev").join(name);
        mknodat(CWD, &path, FileType::CharacterDevice, Mode::from_raw_mode(0o666), makedev(major, minor))
            .step(&format!("making {}", path.display()))?;
    }
    for (name, target) in LINKS {
        symlink(target, Path::new("/dev").join(name)).step(&format!("making /dev/{name}"))?;
    }
    for directory in ["/dev/pts", "/dev/shm"] {
        fs::create_dir(directory).step(&format!("making {directory}"))?;
    }
    Ok(())
}

/// Binds a path onto another and makes the result read-only.
pub fn bind_read_only(source: &str, target: &str, flags: MountFlags) -> Result<(), StepError> {
    mount_bind(source, target).step(&format!("binding {source} to {target}"))?;
    mount_remount(target, MountFlags::BIND | MountFlags::RDONLY | flags, "").step(&format!("making {target} read-only"))
}

/// Lays a file of the agent's over one of the image's.
pub fn bind_over(source: &str, target: &str) -> Result<(), StepError> {
    bind_read_only(source, target, MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC)
}

/// Closes /proc and /sys to writing and hides what a program need not know (A07). The last step: sysctls are set.
pub fn close_kernel_files() -> Result<(), StepError> {
    let hidden = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    for path in ["/proc/sys", "/proc/sysrq-trigger"] {
        if Path::new(path).exists() {
            bind_read_only(path, path, hidden)?;
        }
    }
    for name in MASKED {
        let path = format!("/proc/{name}");
        if Path::new(&path).exists() {
            mount_bind("/dev/null", path.as_str()).step(&format!("masking {path}"))?;
        }
    }
    mount_remount("/sys", MountFlags::BIND | MountFlags::RDONLY | hidden, "").step("making /sys read-only")
}

#[cfg(test)]
mod tests {
    use super::USER_TMPFS;

    #[test]
    fn options_bound_bytes_and_inodes_for_the_whole_and_for_the_user() {
        let home = USER_TMPFS.iter().find(|each| each.path == "/home/user").unwrap();
        assert_eq!(
            home.options(256 << 20),
            "mode=0700,uid=1000,gid=1000,size=107374160,nr_inodes=32768,usrquota,\
             usrquota_block_hardlimit=108422736,usrquota_inode_hardlimit=32784"
        );
    }

    #[test]
    fn only_the_home_directory_is_executable() {
        let executable: Vec<_> = USER_TMPFS.iter().filter(|each| each.executable).map(|each| each.path).collect();
        assert_eq!(executable, ["/home/user"]);
    }
}
