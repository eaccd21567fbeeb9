//! The file tool on single files and directories: every operation and every error (docs/file-tool.md).
#![allow(clippy::unwrap_used)]

mod files_area;

use std::ffi::OsStr;
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::{Duration, Instant};

use files_area::{decoded, encoded, finish, mode, of, set_mode, text, with, write_of, Area};
use rustix::process::{kill_process, pidfd_open, pidfd_send_signal, Pid, PidfdFlags, Signal};
use serde_json::{json, Value};

/// More than the widest pipe holds: when it has been written, the program has taken some of it.
const MORE_THAN_A_PIPE: usize = 2 << 20;

fn error(errno: &str, path: &Path) -> (String, std::path::PathBuf) {
    (errno.to_owned(), path.to_owned())
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|index| u8::try_from(index * 7 % 251).unwrap()).collect()
}

#[test]
fn what_is_written_is_read_byte_for_byte() {
    let area = Area::new();
    for length in [0, 1, 4_095, 4_096, 65_535, 65_536, 65_537, 262_145, 3_000_001] {
        let content = pattern(length);
        let path = area.path("file");
        let entry = area.write(&path, &content);
        assert_eq!((entry["size"].as_u64(), entry["type"].as_str()), (Some(length as u64), Some("file")));
        assert_eq!(decoded(&entry["path"]), path);
        assert!(area.does("read", &of(&path), b"") == content, "{length} bytes");
    }
    assert_eq!(area.names(""), ["file"]);
}

#[test]
fn parents_are_made_and_modes_are_exact_under_any_umask() {
    let area = Area::new();
    let path = area.path("a/b/c/file");
    area.does("write", &with(write_of(&path), "mode", 0o666), b"x");
    assert_eq!(mode(&path), 0o666);
    for parent in ["a", "a/b", "a/b/c"] {
        assert_eq!(mode(&area.path(parent)), 0o755);
    }
    for wanted in [0o000, 0o400, 0o755, 0o4755, 0o2711, 0o1644] {
        let entry = area.tells("write", &with(write_of(&path), "mode", wanted), b"longer content");
        assert_eq!((entry["mode"].as_u64(), mode(&path)), (Some(u64::from(wanted)), wanted));
    }
}

#[test]
fn the_entry_that_write_gives_is_that_of_stat() {
    let area = Area::new();
    let path = area.path("file");
    let written = area.tells("write", &with(write_of(&path), "mtimeMs", 1_234_567_890_123.5), b"x");
    assert_eq!(written, area.tells("stat", &json!({ "path": encoded(&path), "follow": true }), b""));
    assert_eq!(written["mtimeMs"].as_f64(), Some(1_234_567_890_123.5));
    assert_eq!(fs::metadata(&path).unwrap().mtime_nsec(), 123_500_000);
}

#[test]
fn a_file_is_replaced_as_a_whole_and_readers_keep_the_old_one() {
    let area = Area::new();
    let path = area.file("file", "old");
    let mut reader = fs::File::open(&path).unwrap();
    area.write(&path, b"new content");
    let mut old = String::new();
    reader.read_to_string(&mut old).unwrap();
    assert_eq!((old.as_str(), fs::read_to_string(&path).unwrap().as_str()), ("old", "new content"));
    assert_eq!(area.names(""), ["file"]);
}

#[test]
fn another_size_than_announced_publishes_nothing() {
    let area = Area::new();
    let path = area.path("file");
    for content in [&b"short"[..], b"much too long"] {
        assert_eq!(area.fails("write", &with(write_of(&path), "size", 6), content), error("EIO", &path));
    }
    assert_eq!(area.names(""), [""; 0]);
    area.does("write", &with(write_of(&path), "size", 6), b"enough");
}

#[test]
fn a_link_in_the_place_of_the_file_is_followed() {
    let area = Area::new();
    area.directory("there");
    area.file("there/target", "old");
    area.link("link", "there/target");
    area.link("dangling", "link-to-nothing");
    area.link("link-to-nothing", area.path("there/new"));
    area.write(&area.path("link"), b"through");
    area.write(&area.path("dangling"), b"made");
    assert_eq!(fs::read_to_string(area.path("there/target")).unwrap(), "through");
    assert_eq!(fs::read_to_string(area.path("there/new")).unwrap(), "made");
    assert_eq!(fs::read_link(area.path("link")).unwrap(), Path::new("there/target"));
    assert_eq!(area.names("there"), ["new", "target"]);
}

#[test]
fn links_in_a_circle_and_links_to_nowhere_are_errors() {
    let area = Area::new();
    let circle = area.link("circle", "circle");
    assert_eq!(area.fails("write", &write_of(&circle), b""), error("ELOOP", &circle));
    assert_eq!(area.fails("read", &of(&circle), b""), error("ELOOP", &circle));
    let nowhere = area.link("nowhere", "missing/file");
    assert_eq!(area.fails("write", &write_of(&nowhere), b""), error("ENOENT", &nowhere));
    let directory = area.link("directory", "..");
    assert_eq!(area.fails("write", &write_of(&directory), b""), error("EISDIR", &directory));
}

#[test]
fn forty_links_are_followed_and_no_more() {
    let area = Area::new();
    area.file("0", "old");
    for index in 1..=41 {
        area.link(&index.to_string(), (index - 1).to_string());
    }
    area.write(&area.path("40"), b"new");
    assert_eq!(fs::read_to_string(area.path("0")).unwrap(), "new");
    let last = area.path("41");
    assert_eq!(area.fails("write", &write_of(&last), b""), error("ELOOP", &last));
}

#[test]
fn only_regular_files_are_read_and_written() {
    let area = Area::new();
    let directory = area.directory("directory");
    let fifo = area.fifo("fifo");
    let socket = area.path("socket");
    let _listener = UnixListener::bind(&socket).unwrap();
    let device = Path::new("/dev/null");
    assert_eq!(area.fails("read", &of(&directory), b""), error("EISDIR", &directory));
    assert_eq!(area.fails("write", &write_of(&directory), b""), error("EISDIR", &directory));
    assert_eq!(area.fails("write", &write_of(Path::new("/")), b""), error("EISDIR", Path::new("/")));
    for path in [&fifo, &socket, device] {
        assert_eq!(area.fails("write", &write_of(path), b""), error("EINVAL", path));
        assert_eq!(area.fails("read", &of(path), b""), error("EINVAL", path));
    }
}

#[test]
fn files_of_proc_are_read_to_their_end_although_they_have_no_size() {
    let area = Area::new();
    let status = area.does("read", &of(Path::new("/proc/self/status")), b"");
    assert!(text(&status).contains("\nPid:"));
    // Of the first line only the version can be known here.
    assert_eq!(area.does("read", &of(Path::new("/proc/version")), b""), fs::read("/proc/version").unwrap());
}

#[test]
fn errors_name_the_path_they_are_about() {
    let area = Area::new();
    let missing = area.path("missing");
    let file = area.file("file", "");
    let below = area.path("file/below");
    let long = area.path(&"x".repeat(256));
    let locked = area.directory("locked");
    set_mode(&locked, 0o500);
    for operation in ["read", "pack"] {
        assert_eq!(area.fails(operation, &of(&missing), b""), error("ENOENT", &missing));
        assert_eq!(area.fails(operation, &of(&below), b""), error("ENOTDIR", &below));
        assert_eq!(area.fails(operation, &of(&long), b""), error("ENAMETOOLONG", &long));
    }
    assert_eq!(area.fails("write", &write_of(&below), b""), error("ENOTDIR", &file));
    assert_eq!(area.fails("write", &write_of(&long), b""), error("ENAMETOOLONG", &long));
    let inside = locked.join("file");
    assert_eq!(area.fails("write", &write_of(&inside), b""), error("EACCES", &inside));
    set_mode(&file, 0o000);
    assert_eq!(area.fails("read", &of(&file), b""), error("EACCES", &file));
    let too_long = area.path(&"d/".repeat(2_500));
    assert_eq!(area.fails("stat", &json!({ "path": encoded(&too_long), "follow": true }), b"").0, "ENAMETOOLONG");
}

#[test]
fn names_of_any_bytes_survive() {
    let area = Area::new();
    let bytes: Vec<u8> = (1..=255).filter(|byte| *byte != b'/').collect();
    for name in bytes.chunks(100) {
        let path = area.path("").join(OsStr::from_bytes(name));
        let entry = area.write(&path, name);
        assert_eq!(decoded(&entry["path"]), path);
        assert_eq!(area.does("read", &of(&path), b""), name);
    }
    let listed = area.does("list", &json!({ "path": encoded(area.path("")), "depth": 1 }), b"");
    let names: Vec<_> =
        text(&listed).lines().map(|line| decoded(&serde_json::from_str::<Value>(line).unwrap()["path"])).collect();
    assert_eq!(names, bytes.chunks(100).map(|name| Path::new(OsStr::from_bytes(name)).to_owned()).collect::<Vec<_>>());
}

#[test]
fn zeros_become_holes_only_where_that_is_asked_for() {
    let area = Area::new();
    let mut content = vec![0; 8 << 20];
    content[3 << 20] = 1;
    content[(5 << 20) - 1] = 2;
    let path = area.path("file");
    let dense = area.write(&path, &content);
    assert!(dense["allocatedBytes"].as_u64().unwrap() >= 8 << 20);
    for end in [content.len(), content.len() - 1, (5 << 20) + 5_000, 5 << 20, 3 << 20] {
        let sparse = area.tells("write", &with(write_of(&path), "sparse", true), &content[..end]);
        assert_eq!(sparse["size"].as_u64(), Some(end as u64));
        assert!(sparse["allocatedBytes"].as_u64().unwrap() <= 16_384, "{sparse}");
        assert!(fs::read(&path).unwrap() == content[..end]);
    }
}

#[test]
fn killed_in_the_middle_a_write_leaves_nothing_and_the_old_file_whole() {
    let area = Area::new();
    for signal in [Signal::INT, Signal::TERM, Signal::KILL] {
        for (name, before) in [("new", None), ("old", Some("as it was"))] {
            let path = area.path(name);
            if let Some(content) = before {
                area.file(name, content);
            }
            let mut child = area.spawn("write", &write_of(&path));
            let mut stdin = child.stdin.take().unwrap();
            stdin.write_all(&vec![1; MORE_THAN_A_PIPE]).unwrap();
            kill_process(Pid::from_child(&child), signal).unwrap();
            assert_eq!(child.wait().unwrap().code(), None);
            assert_eq!(fs::read_to_string(&path).ok().as_deref(), before);
            assert_eq!(area.names("").len(), usize::from(before.is_some() || area.path("old").exists()));
        }
    }
}

#[test]
fn interrupted_at_any_moment_a_replacement_leaves_one_of_two_files() {
    let area = Area::new();
    let path = area.file("file", "old");
    let mut killed = 0;
    for round in 0..150_u32 {
        let child = area.spawn("write", &write_of(&path));
        let process = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                // Moments spread over the life of the program; where each falls is chance.
                let begin = Instant::now();
                while begin.elapsed() < Duration::from_micros(u64::from(round) * 20) {}
                let _ = pidfd_send_signal(&process, Signal::TERM);
            });
            killed += u32::from(finish(child, b"new").code.is_none());
        });
        let content = fs::read_to_string(&path).unwrap();
        assert!(content == "old" || content == "new", "{content}");
        assert_eq!(area.names(""), ["file"], "round {round}");
    }
    assert!(killed > 0);
}

#[test]
fn a_reader_that_goes_away_is_an_error_and_no_signal() {
    let area = Area::new();
    let path = area.file("file", pattern(MORE_THAN_A_PIPE));
    for operation in ["read", "pack"] {
        let mut child = area.spawn(operation, &of(&path));
        let mut first = [0; 1_000];
        child.stdout.take().unwrap().read_exact(&mut first).unwrap();
        let done = finish(child, b"");
        assert_eq!(done.code, Some(1));
        assert!(text(&done.stderr).starts_with(r#"{"errno":"EPIPE","#), "{}", text(&done.stderr));
    }
}

#[test]
fn entries_tell_types_sizes_and_targets() {
    let area = Area::new();
    area.directory("directory");
    area.file("file", "12345");
    area.fifo("fifo");
    area.link("link", "file");
    let _listener = UnixListener::bind(area.path("socket")).unwrap();
    let stat = |path: &Path, follow: bool| area.tells("stat", &json!({ "path": encoded(path), "follow": follow }), b"");
    for kind in ["directory", "file", "fifo", "socket"] {
        assert_eq!(stat(&area.path(kind), false)["type"], kind);
    }
    assert_eq!(stat(Path::new("/dev/null"), false)["type"], "character-device");
    let link = stat(&area.path("link"), false);
    assert_eq!((link["type"].as_str(), decoded(&link["target"])), (Some("symlink"), "file".into()));
    let target = stat(&area.path("link"), true);
    assert_eq!((target["type"].as_str(), target["size"].as_u64(), target.get("target")), (Some("file"), Some(5), None));
    let metadata = fs::metadata(area.path("file")).unwrap();
    assert_eq!(target["allocatedBytes"].as_u64(), Some(metadata.blocks() * 512));
    assert_eq!(target["uid"].as_u64(), Some(u64::from(metadata.uid())));
    assert_eq!(target["gid"].as_u64(), Some(u64::from(metadata.gid())));
}

#[test]
fn directories_are_made_with_their_mode() {
    let area = Area::new();
    let make = |path: &Path, parents: bool| json!({ "path": encoded(path), "mode": 0o770, "parents": parents });
    let nested = area.path("a/b");
    assert_eq!(area.fails("mkdir", &make(&nested, false), b""), error("ENOENT", &nested));
    let entry = area.tells("mkdir", &make(&nested, true), b"");
    assert_eq!((entry["type"].as_str(), entry["mode"].as_u64()), (Some("directory"), Some(0o770)));
    assert_eq!((mode(&area.path("a")), mode(&nested)), (0o755, 0o770));
    assert_eq!(area.fails("mkdir", &make(&nested, false), b""), error("EEXIST", &nested));
    area.tells("mkdir", &with(make(&nested, true), "mode", 0o700), b"");
    assert_eq!(mode(&nested), 0o770, "what is there keeps its mode");
    let file = area.file("file", "");
    assert_eq!(area.fails("mkdir", &make(&file, true), b""), error("EEXIST", &file));
    for special in [0o3711, 0o2000, 0o1300] {
        let path = area.path(&format!("{special:o}"));
        area.tells("mkdir", &with(make(&path, false), "mode", special), b"");
        assert_eq!(mode(&path), special);
    }
}

#[test]
fn renaming_makes_parents_and_replaces_when_it_may() {
    let area = Area::new();
    let ask =
        |from: &Path, to: &Path, replace: bool| json!({ "from": encoded(from), "to": encoded(to), "replace": replace });
    let (one, two, far) = (area.file("one", "1"), area.file("two", "2"), area.path("x/y/one"));
    assert_eq!(area.fails("rename", &ask(&one, &two, false), b""), error("EEXIST", &two));
    area.does("rename", &ask(&one, &two, true), b"");
    assert_eq!(fs::read_to_string(&two).unwrap(), "1");
    area.does("rename", &ask(&two, &far, false), b"");
    assert_eq!(fs::read_to_string(&far).unwrap(), "1");
    assert_eq!(area.fails("rename", &ask(&one, &two, true), b""), error("ENOENT", &one));
    let nowhere = area.path("not/made");
    assert_eq!(area.fails("rename", &ask(&one, &nowhere, true), b""), error("ENOENT", &one));
    assert!(!area.path("not").exists());
    let full = area.path("x");
    let empty = area.directory("empty");
    assert_eq!(area.fails("rename", &ask(&empty, &full, true), b""), error("ENOTEMPTY", &full));
    area.does("rename", &ask(&full, &empty, true), b"");
}

#[test]
fn modes_change_through_links() {
    let area = Area::new();
    let file = area.file("file", "");
    let link = area.link("link", "file");
    let entry = area.tells("chmod", &json!({ "path": encoded(&link), "mode": 0o4711 }), b"");
    assert_eq!((entry["type"].as_str(), entry["mode"].as_u64(), mode(&file)), (Some("file"), Some(0o4711), 0o4711));
    let missing = area.path("missing");
    assert_eq!(area.fails("chmod", &json!({ "path": encoded(&missing), "mode": 0 }), b""), error("ENOENT", &missing));
    let other = Path::new("/etc/passwd");
    assert_eq!(area.fails("chmod", &json!({ "path": encoded(other), "mode": 0o777 }), b""), error("EPERM", other));
}

#[test]
fn misuse_is_told_and_is_no_failure() {
    let area = Area::new();
    let path = encoded(area.path("x"));
    let misuses = [
        ("fly", json!({ "path": path })),
        ("read", json!({})),
        ("read", json!({ "path": "no base64" })),
        ("read", json!({ "path": encoded("relative") })),
        ("read", json!({ "path": "" })),
        ("read", json!({ "path": encoded("/with\0nul") })),
        ("write", json!({ "path": path, "mode": 0o10000, "size": null, "mtimeMs": null, "sparse": false })),
        ("write", json!({ "path": path, "mode": 0o644, "size": -1, "mtimeMs": null, "sparse": false })),
        ("list", json!({ "path": path, "depth": 0 })),
        ("list", json!({ "path": path, "depth": 65 })),
        ("remove", json!({ "path": path })),
    ];
    for (operation, parameters) in misuses {
        let done = area.run(operation, &parameters, b"");
        assert_eq!(done.code, Some(2), "{operation} {parameters}");
        assert!(!done.stderr.is_empty() && done.stdout.is_empty());
    }
}
