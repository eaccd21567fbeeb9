//! A directory of its own for each test of the file tool, and the real program as a user without privileges.
#![allow(dead_code, clippy::unwrap_used)]

pub mod stream;

use std::ffi::CString;
use std::fs;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{lchown, symlink, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use base64::engine::general_purpose::STANDARD;
use base64::Engine as _;
use serde_json::{json, Value};

/// Who runs the program when root runs the tests: for root no mode of a file means anything.
const SOMEBODY: u32 = 54_321;

pub struct Area {
    root: PathBuf,
    program: PathBuf,
    user: Option<u32>,
}

/// How a run of the program ended.
#[derive(Debug)]
pub struct Done {
    pub code: Option<i32>,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
}

impl Area {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let root = std::env::temp_dir().join(format!("files-test-{}-{count}", std::process::id()));
        fs::create_dir_all(root.join("tree")).unwrap();
        // Where the build lies, others may have no access.
        let program = root.join("program");
        let built = Path::new(env!("CARGO_BIN_EXE_exec-sandbox-files"));
        fs::hard_link(built, &program).or_else(|_| fs::copy(built, &program).map(drop)).unwrap();
        let user = rustix::process::geteuid().is_root().then_some(SOMEBODY);
        let area = Self { root, program, user };
        area.own(&area.path(""));
        area
    }

    /// A path in the directory that the test works in.
    pub fn path(&self, name: &str) -> PathBuf {
        let tree = self.root.join("tree");
        if name.is_empty() {
            tree
        } else {
            tree.join(name)
        }
    }

    fn own(&self, path: &Path) {
        if let Some(user) = self.user {
            lchown(path, Some(user), Some(user)).unwrap();
        }
    }

    pub fn directory(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir(&path).unwrap();
        self.own(&path);
        path
    }

    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        self.own(&path);
        path
    }

    pub fn link(&self, name: &str, target: impl AsRef<Path>) -> PathBuf {
        let path = self.path(name);
        symlink(target, &path).unwrap();
        self.own(&path);
        path
    }

    pub fn fifo(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        let mode = rustix::fs::Mode::from_raw_mode(0o644);
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        self.own(&path);
        path
    }

    /// Directories in each other, deeper than any path can say.
    pub fn deep(&self, name: &str, levels: usize) {
        use rustix::fs::{mkdirat, openat, Mode, OFlags, CWD};
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let mut here = openat(CWD, self.path(""), flags, Mode::empty()).unwrap();
        let mut name = CString::new(name).unwrap();
        let owner = self.user.map(|user| (rustix::fs::Uid::from_raw(user), rustix::fs::Gid::from_raw(user)));
        for _ in 0..levels {
            mkdirat(&here, &name, Mode::from_raw_mode(0o755)).unwrap();
            here = openat(&here, &name, flags, Mode::empty()).unwrap();
            if let Some((uid, gid)) = owner {
                rustix::fs::fchown(&here, Some(uid), Some(gid)).unwrap();
            }
            name = CString::new("d").unwrap();
        }
    }

    /// The program, with a umask that would take much away. What `LIMITS` says is done before.
    pub fn command(&self, operation: &str, parameters: &Value) -> Command {
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", "umask 077; ulimit -Sn 1024; eval \"$LIMITS\"; exec \"$@\"", "sh"])
            .arg(&self.program)
            .arg(operation);
        command.arg(parameters.to_string()).current_dir("/").env("LIMITS", "");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        command
    }

    pub fn spawn(&self, operation: &str, parameters: &Value) -> Child {
        self.command(operation, parameters).spawn().unwrap()
    }

    pub fn run(&self, operation: &str, parameters: &Value, stdin: &[u8]) -> Done {
        finish(self.spawn(operation, parameters), stdin)
    }

    /// What a run that succeeds says.
    pub fn does(&self, operation: &str, parameters: &Value, stdin: &[u8]) -> Vec<u8> {
        let done = self.run(operation, parameters, stdin);
        assert_eq!((done.code, text(&done.stderr)), (Some(0), ""), "{operation} {parameters}");
        done.stdout
    }

    /// The one entry that a run says.
    pub fn tells(&self, operation: &str, parameters: &Value, stdin: &[u8]) -> Value {
        serde_json::from_slice(&self.does(operation, parameters, stdin)).unwrap()
    }

    /// The error of a run that fails, and the path that it is about.
    pub fn fails(&self, operation: &str, parameters: &Value, stdin: &[u8]) -> (String, PathBuf) {
        let done = self.run(operation, parameters, stdin);
        let said = text(&done.stderr);
        assert_eq!(done.code, Some(1), "{operation} {parameters}: {said}");
        assert_eq!(said.find('\n'), Some(said.len() - 1), "not one line: {said}");
        let failure: Value = serde_json::from_str(said).unwrap();
        assert!(!failure["message"].as_str().unwrap().is_empty());
        (failure["errno"].as_str().unwrap().to_owned(), decoded(&failure["path"]))
    }

    pub fn write(&self, path: &Path, content: &[u8]) -> Value {
        self.tells("write", &write_of(path), content)
    }

    /// The names in a directory, hidden ones too, sorted.
    pub fn names(&self, name: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(name)).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

impl Drop for Area {
    fn drop(&mut self) {
        // Trees that are deeper than a path can be, which the standard library removes as well.
        let _ = fs::remove_dir_all(&self.root);
    }
}

pub fn finish(mut child: Child, stdin: &[u8]) -> Done {
    let mut pipe = child.stdin.take();
    let output = std::thread::scope(|scope| {
        scope.spawn(|| {
            // A program that fails early does not read to the end.
            let _ = pipe.take().unwrap().write_all(stdin);
        });
        child.wait_with_output().unwrap()
    });
    Done { code: output.status.code(), stdout: output.stdout, stderr: output.stderr }
}

pub fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

pub fn encoded(path: impl AsRef<Path>) -> String {
    STANDARD.encode(path.as_ref().as_os_str().as_bytes())
}

pub fn decoded(value: &Value) -> PathBuf {
    let bytes = STANDARD.decode(value.as_str().unwrap()).unwrap();
    PathBuf::from(std::ffi::OsStr::from_bytes(&bytes))
}

pub fn of(path: &Path) -> Value {
    json!({ "path": encoded(path) })
}

/// The parameters of `write` with everything optional left out.
pub fn write_of(path: &Path) -> Value {
    json!({ "path": encoded(path), "mode": 0o644, "size": null, "mtimeMs": null, "sparse": false })
}

/// Parameters with one of them replaced.
pub fn with(mut parameters: Value, name: &str, value: impl Into<Value>) -> Value {
    parameters[name] = value.into();
    parameters
}

pub fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

pub fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}
