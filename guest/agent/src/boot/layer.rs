//! A layer: a read-only disk with installed packages, and the places where they appear.
//!
//! What it holds was made by code of packages, so it is not put over the whole root: a layer reaches the two directories below
//! and no other, whatever is in it. Nothing that the agent itself uses stands there.

use std::ffi::CString;
use std::fs;
use std::path::Path;

use rustix::mount::{mount, mount_bind, mount_remount, unmount, MountFlags, UnmountFlags};

use crate::error::{Step, StepError};

/// Where the disk is mounted in the initramfs while its parts are put in their places.
const LAYER: &str = "/layer";

/// Packages of Python with their programs: merged with what the root has there.
const MERGED: &str = "usr/local";

/// Packages of JavaScript, found from every directory. The root has nothing there.
const BOUND: &str = "node_modules";

/// Mounts the layer of `disk` over the root file system at /root.
pub fn add(disk: &Path) -> Result<(), StepError> {
    let flags = MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV;
    fs::create_dir(LAYER).step(&format!("making {LAYER}"))?;
    mount(disk, LAYER, "erofs", flags, None).step(&format!("mounting the layer from {}", disk.display()))?;
    if let Some(source) = directory(LAYER, MERGED) {
        let target = format!("/root/{MERGED}");
        // Links that a layer may hold as overlayfs' own marks lead nowhere.
        let data = CString::new(format!("lowerdir={source}:{target},redirect_dir=nofollow")).step(&target)?;
        mount("overlay", target.as_str(), "overlay", flags, Some(data.as_c_str()))
            .step(&format!("laying {source} over {target}"))?;
    }
    if let Some(source) = directory(LAYER, BOUND) {
        let target = format!("/root/{BOUND}");
        mount_bind(source.as_str(), target.as_str()).step(&format!("binding {source} to {target}"))?;
        mount_remount(target.as_str(), MountFlags::BIND | flags, "").step(&format!("making {target} read-only"))?;
    }
    // What was mounted from it stays; its own name is of no use any more.
    unmount(LAYER, UnmountFlags::DETACH).step(&format!("unmounting {LAYER}"))
}

/// The path below `root`, if each component of it is a directory: a link of the layer's would lead out of it.
fn directory(root: &str, path: &str) -> Option<String> {
    path.split('/').try_fold(root.to_owned(), |parent, component| {
        let next = format!("{parent}/{component}");
        fs::symlink_metadata(&next).is_ok_and(|found| found.is_dir()).then_some(next)
    })
}

#[cfg(test)]
mod tests {
    use super::directory;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn only_directories_all_the_way_are_taken() {
        let root = std::env::temp_dir().join(format!("layer-directories-{}", std::process::id()));
        fs::create_dir_all(root.join("usr/local")).unwrap();
        fs::create_dir(root.join("other")).unwrap();
        symlink("/usr", root.join("other/usr")).unwrap();
        symlink("/tmp", root.join("node_modules")).unwrap();
        fs::write(root.join("file"), "").unwrap();
        let top = root.to_str().unwrap();
        assert_eq!(directory(top, "usr/local"), Some(format!("{top}/usr/local")));
        for path in ["other/usr/local", "node_modules", "file", "absent", "usr/absent"] {
            assert_eq!(directory(top, path), None, "{path}");
        }
        fs::remove_dir_all(root).unwrap();
    }
}
