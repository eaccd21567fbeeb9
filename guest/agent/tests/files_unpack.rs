//! What `unpack` of the file tool makes of a stream, and what it does not believe.
#![allow(clippy::unwrap_used)]

mod files_area;

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{symlink, MetadataExt as _};
use std::path::{Path, PathBuf};

use files_area::stream::Stream;
use files_area::{decoded, encoded, mode, set_mode, text, with, Area};
use rustix::process::{kill_process, Pid, Signal};
use serde_json::{json, Value};

fn unpacking(path: &Path) -> Value {
    json!({ "path": encoded(path), "mtimes": true })
}

fn error(errno: &str, path: &Path) -> (String, PathBuf) {
    (errno.to_owned(), path.to_owned())
}

#[test]
fn a_stream_becomes_a_tree() {
    let area = Area::new();
    let top = area.path("made/top");
    let large = vec![7; 1 << 20];
    let mut stream = Stream::default();
    stream.directory("", 0o750).directory("a", 0o711).file("a/file", &[b"one ", b"two"]).link("a/link", "/nowhere");
    stream.file("empty", &[]).file("large", &[&large, &large[..1], &large]);
    let done = area.does("unpack", &unpacking(&top), &stream.end());
    assert_eq!(text(&done), "{\"entries\":6,\"bytes\":2097160}\n");
    assert_eq!((mode(&top), mode(&top.join("a")), mode(&top.join("a/file"))), (0o750, 0o711, 0o640));
    assert_eq!(fs::read_to_string(top.join("a/file")).unwrap(), "one two");
    assert_eq!(fs::read_link(top.join("a/link")).unwrap(), Path::new("/nowhere"));
    assert_eq!(fs::metadata(top.join("empty")).unwrap().len(), 0);
    assert!(fs::read(top.join("large")).unwrap() == [&large[..], &large[..1], &large].concat());
    let time = |path: &str| fs::symlink_metadata(top.join(path)).unwrap().mtime();
    assert_eq!([time(""), time("a"), time("a/link"), time("a/file")], [1, 1, 2, 3]);
    let mut names = area.names("made/top");
    names.extend(area.names("made/top/a"));
    assert_eq!(names, ["a", "empty", "large", "file", "link"]);
}

#[test]
fn times_are_those_of_now_unless_asked_for() {
    let area = Area::new();
    let stream = Stream::default().file("file", &[]).directory("directory", 0o755).end();
    area.does("unpack", &with(unpacking(&area.path("top")), "mtimes", false), &stream);
    for name in ["top/file", "top/directory"] {
        assert!(fs::metadata(area.path(name)).unwrap().mtime() > 1_000_000_000);
    }
}

#[test]
fn directories_are_filled_whatever_their_mode_and_in_any_order() {
    let area = Area::new();
    let mut stream = Stream::default();
    stream.directory("", 0o555).directory("a", 0o000).directory("b", 0o555).directory("a/c", 0o400);
    stream.file("b/file", &[b"1"]).file("a/c/file", &[b"2"]).file("a/file", &[b"3"]).file("file", &[b"4"]);
    let top = area.path("top");
    area.does("unpack", &unpacking(&top), &stream.end());
    let wanted = [("top", 0o555), ("top/a", 0o000), ("top/b", 0o555)];
    for (name, wanted) in wanted {
        assert_eq!(mode(&area.path(name)), wanted, "{name}");
    }
    set_mode(&area.path("top/a"), 0o700);
    assert_eq!(mode(&area.path("top/a/c")), 0o400);
    // The same again, into what is there now.
    set_mode(&area.path("top/a"), 0o000);
    set_mode(&top, 0o755);
    area.does("unpack", &unpacking(&top), &stream.bytes);
    assert_eq!(mode(&area.path("top/a")), 0o000);
    assert_eq!(mode(&top), 0o755, "a root that was there keeps its mode");
    for name in ["a", "a/c", "b"] {
        set_mode(&top.join(name), 0o700);
    }
    assert_eq!(fs::read_to_string(top.join("a/c/file")).unwrap(), "2");
}

#[test]
fn a_tree_is_merged_into_what_is_there() {
    let area = Area::new();
    let top = area.directory("top");
    area.directory("top/a");
    area.file("top/a/kept", "kept");
    area.file("top/a/file", "old");
    area.file("top/link", "a file before");
    area.directory("outside");
    area.file("outside/target", "untouched");
    area.link("top/a/was-link", area.path("outside/target"));
    let mut stream = Stream::default();
    stream.directory("a", 0o755).file("a/file", &[b"new"]).file("a/was-link", &[b"a file now"]);
    stream.link("link", "first").link("link", "second");
    area.does("unpack", &unpacking(&top), &stream.end());
    assert_eq!(area.names("top/a"), ["file", "kept", "was-link"]);
    assert_eq!(fs::read_to_string(top.join("a/file")).unwrap(), "new");
    assert_eq!(fs::read_to_string(top.join("a/was-link")).unwrap(), "a file now");
    assert!(!top.join("a/was-link").is_symlink());
    assert_eq!(fs::read_to_string(area.path("outside/target")).unwrap(), "untouched");
    assert_eq!(fs::read_link(top.join("link")).unwrap(), Path::new("second"));
}

#[test]
fn a_single_file_is_unpacked_onto_its_path_like_a_write() {
    let area = Area::new();
    area.directory("there");
    let link = area.link("link", "there/file");
    area.does("unpack", &unpacking(&link), &Stream::default().file("", &[b"content"]).end());
    assert_eq!(fs::read_to_string(area.path("there/file")).unwrap(), "content");
    let path = area.path("x/y");
    area.does("unpack", &unpacking(&path), &Stream::default().file("", &[b"content"]).end());
    assert_eq!(fs::read_to_string(path).unwrap(), "content");
}

#[test]
fn an_empty_stream_is_an_end_and_nothing_else() {
    let area = Area::new();
    let done = area.does("unpack", &unpacking(&area.path("top")), &Stream::default().end());
    assert_eq!(text(&done), "{\"entries\":0,\"bytes\":0}\n");
    assert_eq!(area.names(""), [""; 0]);
}

#[test]
fn what_is_in_the_way_is_an_error_with_its_path() {
    let area = Area::new();
    area.directory("outside");
    let top = area.directory("top");
    area.link("top/link", area.path("outside"));
    area.directory("top/directory");
    area.file("top/file", "");
    area.fifo("top/fifo");
    let through = |errno: &str, name: &str, stream: &mut Stream| {
        assert_eq!(area.fails("unpack", &unpacking(&top), &stream.end()), error(errno, &top.join(name)));
    };
    through("ENOTDIR", "link", Stream::default().directory("link", 0o755));
    through("ENOTDIR", "link", Stream::default().file("link/file", &[b"x"]));
    through("ENOTDIR", "link", Stream::default().link("link/file", "x"));
    through("ENOTDIR", "file", Stream::default().directory("file", 0o755));
    through("EISDIR", "directory", Stream::default().file("directory", &[b"x"]));
    through("EISDIR", "directory", Stream::default().link("directory", "x"));
    through("EINVAL", "fifo", Stream::default().file("fifo", &[b"x"]));
    through("ENOENT", "missing", Stream::default().file("missing/file", &[b"x"]));
    assert_eq!(area.names("outside"), [""; 0]);
    assert_eq!(area.names("top"), ["directory", "fifo", "file", "link"]);
    let file = area.path("top/file");
    assert_eq!(
        area.fails("unpack", &unpacking(&file), &Stream::default().file("x", &[]).end()),
        error("ENOTDIR", &file)
    );
}

#[test]
fn paths_that_could_lead_out_of_the_tree_are_refused() {
    let area = Area::new();
    let top = area.directory("top");
    let long = "n".repeat(256);
    let deep = "d/".repeat(2_048) + "d";
    for name in ["..", ".", "/", "/etc", "a/..", "a/../../x", "./a", "a//b", "a/", "a\0b", &long, &deep] {
        for stream in [
            Stream::default().directory(name, 0o755),
            Stream::default().file(name, &[b"x"]),
            Stream::default().link(name, "x"),
        ] {
            let (errno, _) = area.fails("unpack", &unpacking(&top), &stream.end());
            assert_eq!(errno, "EIO", "{name}");
        }
    }
    for target in ["", "a\0b", &"t".repeat(4_096)] {
        assert_eq!(area.fails("unpack", &unpacking(&top), &Stream::default().link("link", target).end()).0, "EIO");
    }
    assert_eq!(area.fails("unpack", &unpacking(&top), &Stream::default().link("", "x").end()).0, "EIO");
    assert_eq!(area.names("top"), [""; 0]);
    assert_eq!(area.names(""), ["top"]);
}

#[test]
fn torn_and_malformed_streams_are_refused_and_publish_no_part_of_a_file() {
    let area = Area::new();
    let top = area.directory("top");
    let whole = Stream::default().file("file", &[b"content"]).end();
    for length in 0..whole.len() {
        assert_eq!(
            area.fails("unpack", &unpacking(&top), &whole[..length]),
            error("EIO", &torn_in(&area, &whole, length))
        );
        if let Ok(content) = fs::read_to_string(area.path("top/file")) {
            assert_eq!(content, "content");
        }
    }
    let raw = |bytes: &[u8]| Stream { bytes: bytes.to_vec(), entries: 0 };
    let header = |value: Value| Stream::default().header(&value).end();
    let mut long_chunk = Stream::default();
    long_chunk.header(&json!({ "path": "Zg==", "type": "file", "mode": 0o644 })).word((1 << 20) + 1);
    let malformed = [
        raw(&[0xff; 64]).bytes,
        raw(&65_537_u32.to_le_bytes()).bytes,
        raw(b"\x02\0\0\0{}").bytes,
        raw(b"\x04\0\0\0\"ab\"").bytes,
        header(json!({ "path": "Zg==", "type": "device", "mode": 0o644 })),
        header(json!({ "path": "Zg==", "type": "directory" })),
        header(json!({ "path": "Zg==", "type": "directory", "mode": 0o10000 })),
        header(json!({ "path": "Zg", "type": "directory", "mode": 0o755 })),
        header(json!({ "path": "Zg==", "type": "symlink", "mode": 0o755 })),
        long_chunk.end(),
        Stream { bytes: Vec::new(), entries: 1 }.end(),
    ];
    for stream in malformed {
        assert_eq!(area.fails("unpack", &unpacking(&top), &stream).0, "EIO");
    }
}

/// The path that a stream of one file, torn after so many bytes, is about: the file's while its content is missing.
fn torn_in(area: &Area, whole: &[u8], length: usize) -> PathBuf {
    let header_end = 4 + u32::from_le_bytes(whole[..4].try_into().unwrap()) as usize;
    let content_end = header_end + 4 + "content".len() + 4;
    area.path(if (header_end..content_end).contains(&length) { "top/file" } else { "top" })
}

#[test]
fn killed_in_the_middle_of_a_file_the_files_before_are_whole_and_nothing_else_is_there() {
    let area = Area::new();
    for signal in [Signal::INT, Signal::TERM, Signal::KILL] {
        let top = area.path("top");
        let mut stream = Stream::default();
        stream.directory("", 0o755).file("whole", &[b"content"]);
        stream.header(
            &json!({ "path": encoded("partial"), "type": "file", "mode": 0o644, "mtimeMs": 0, "sparse": false }),
        );
        let mut child = area.spawn("unpack", &unpacking(&top));
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(&stream.bytes).unwrap();
        for _ in 0..4 {
            stdin.write_all(&u32::to_le_bytes(1 << 20)).unwrap();
            stdin.write_all(&vec![1; 1 << 20]).unwrap();
        }
        kill_process(Pid::from_child(&child), signal).unwrap();
        assert_eq!(child.wait().unwrap().code(), None);
        assert_eq!(area.names("top"), ["whole"]);
        assert_eq!(fs::read_to_string(top.join("whole")).unwrap(), "content");
        fs::remove_dir_all(&top).unwrap();
    }
}

#[test]
fn a_directory_that_becomes_a_link_while_a_tree_is_unpacked_is_not_followed() {
    let area = Area::new();
    area.directory("outside");
    let top = area.path("top");
    let mut child = area.spawn("unpack", &unpacking(&top));
    let mut stdin = child.stdin.take().unwrap();
    let large = vec![1; 1 << 20];
    let mut stream = Stream::default();
    stream.directory("a", 0o755).directory("b", 0o755).file("a/large", &[&large, &large, &large, &large]);
    // More than the pipe holds: when it is written, the directories are there and `a` is where the program stands.
    stdin.write_all(&stream.bytes).unwrap();
    for name in ["a", "b"] {
        fs::rename(top.join(name), area.path(&format!("was-{name}"))).unwrap();
        symlink(area.path("outside"), top.join(name)).unwrap();
    }
    stream.bytes.clear();
    stream.file("a/file", &[b"x"]).file("b/file", &[b"x"]);
    stdin.write_all(&stream.end()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let failure: Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!((failure["errno"].as_str(), decoded(&failure["path"])), (Some("ENOTDIR"), top.join("b")));
    assert_eq!(area.names("outside"), [""; 0]);
    assert_eq!(area.names("was-a"), ["file", "large"]);
}
