//! The file tool on trees: listing and removing, whatever shape they have and whatever others do to them meanwhile.
#![allow(clippy::unwrap_used)]

mod files_area;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};

use files_area::{decoded, encoded, mode, set_mode, text, Area};
use proptest::prelude::*;
use rustix::fs::{renameat_with, RenameFlags, CWD};
use serde_json::{json, Value};

fn listing(path: &Path, depth: usize) -> Value {
    json!({ "path": encoded(path), "depth": depth })
}

fn removal(path: &Path, recursive: bool) -> Value {
    json!({ "path": encoded(path), "recursive": recursive })
}

fn entries(area: &Area, path: &Path, depth: usize) -> Vec<Value> {
    let listed = area.does("list", &listing(path, depth), b"");
    text(&listed).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn paths(area: &Area, path: &Path, depth: usize) -> Vec<PathBuf> {
    entries(area, path, depth).iter().map(|entry| decoded(&entry["path"])).collect()
}

fn error(errno: &str, path: &Path) -> (String, PathBuf) {
    (errno.to_owned(), path.to_owned())
}

#[test]
fn a_listing_is_depth_first_in_byte_order_and_as_deep_as_asked() {
    let area = Area::new();
    for directory in ["a", "a/b", "a/b/c", "a.d"] {
        area.directory(directory);
    }
    for file in ["a/b/c/file", "a/z", "a.d/x", "Z", "ä"] {
        area.file(file, "1");
    }
    area.link("a/link", "b");
    let of_depth = |depth| paths(&area, &area.path(""), depth);
    let all = ["Z", "a", "a/b", "a/b/c", "a/b/c/file", "a/link", "a/z", "a.d", "a.d/x", "ä"];
    assert_eq!(of_depth(64), all.map(PathBuf::from));
    assert_eq!(of_depth(2), ["Z", "a", "a/b", "a/link", "a/z", "a.d", "a.d/x", "ä"].map(PathBuf::from));
    assert_eq!(of_depth(1), ["Z", "a", "a.d", "ä"].map(PathBuf::from));
    let link = entries(&area, &area.path("a"), 1).remove(1);
    assert_eq!((link["type"].as_str(), decoded(&link["target"])), (Some("symlink"), "b".into()));
}

#[test]
fn what_cannot_be_opened_is_listed_without_content_and_the_top_is_an_error() {
    let area = Area::new();
    let locked = area.directory("locked");
    area.file("locked/file", "");
    area.file("other", "");
    set_mode(&locked, 0o000);
    assert_eq!(paths(&area, &area.path(""), 3), ["locked", "other"].map(PathBuf::from));
    assert_eq!(area.fails("list", &listing(&locked, 1), b""), error("EACCES", &locked));
    let file = area.path("other");
    assert_eq!(area.fails("list", &listing(&file, 1), b""), error("ENOTDIR", &file));
    let missing = area.path("missing");
    assert_eq!(area.fails("list", &listing(&missing, 1), b""), error("ENOENT", &missing));
    set_mode(&locked, 0o700);
}

#[test]
fn a_directory_that_becomes_a_link_while_it_is_listed_is_not_followed() {
    let area = Area::new();
    let secret = area.directory("secret");
    area.file("secret/key", "");
    area.directory("top");
    // More lines than pipe and buffer hold: the program waits before it comes to the last directory.
    for index in 0..3_000 {
        area.file(&format!("top/{index:05}-{}", "n".repeat(100)), "");
    }
    area.directory("top/z");
    let mut child = area.spawn("list", &listing(&area.path("top"), 2));
    let mut first = [0; 1];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut first).unwrap();
    fs::rename(area.path("top/z"), area.path("top/y")).unwrap();
    symlink(&secret, area.path("top/z")).unwrap();
    let done = files_area::finish(child, b"");
    assert_eq!((done.code, text(&done.stderr)), (Some(0), ""));
    let key = text(&done.stdout).contains(&encoded("z/key"));
    assert!(!key && text(&done.stdout).contains(&encoded("z")));
}

#[test]
fn a_hundred_thousand_entries_are_listed_and_removed() {
    let area = Area::new();
    let top = area.directory("many");
    for index in 0..100_000 {
        fs::File::create(top.join(format!("{index}"))).unwrap();
    }
    assert_eq!(paths(&area, &top, 1).len(), 100_000);
    area.does("remove", &removal(&top, true), b"");
    assert_eq!(area.names(""), [""; 0]);
}

#[test]
fn files_links_and_empty_directories_are_removed_without_asking_for_more() {
    let area = Area::new();
    let target = area.file("target", "");
    for name in ["file", "fifo", "empty", "link", "dangling"] {
        let path = match name {
            "file" => area.file(name, ""),
            "fifo" => area.fifo(name),
            "empty" => area.directory(name),
            "link" => area.link(name, "target"),
            _ => area.link(name, "nothing"),
        };
        area.does("remove", &removal(&path, false), b"");
        assert!(path.symlink_metadata().is_err());
        assert_eq!(area.fails("remove", &removal(&path, true), b""), error("ENOENT", &path));
    }
    assert!(target.exists());
    let full = area.directory("full");
    area.file("full/file", "");
    assert_eq!(area.fails("remove", &removal(&full, false), b""), error("ENOTEMPTY", &full));
    assert!(area.path("full/file").exists());
    for name in ["/", "/tmp/..", "/tmp/."] {
        assert_eq!(area.fails("remove", &removal(Path::new(name), true), b""), error("EINVAL", Path::new(name)));
    }
}

#[test]
fn links_to_directories_are_removed_and_what_they_lead_to_stays() {
    let area = Area::new();
    area.directory("outside");
    area.file("outside/file", "");
    let top = area.directory("top");
    area.directory("top/inner");
    area.link("top/inner/link", area.path("outside"));
    area.link("top/up", "..");
    let link = area.link("link", "outside");
    area.does("remove", &removal(&link, true), b"");
    area.does("remove", &removal(&top, true), b"");
    assert_eq!(area.names(""), ["outside"]);
    assert_eq!(area.names("outside"), ["file"]);
}

#[test]
fn directories_without_any_rights_of_ones_own_are_removed() {
    let area = Area::new();
    for locked in [0o000, 0o100, 0o200, 0o300, 0o400, 0o500] {
        let top = area.directory("top");
        area.directory("top/a");
        area.directory("top/a/b");
        area.file("top/a/b/file", "");
        area.file("top/a/file", "");
        area.directory("top/a/empty");
        for path in ["top/a/empty", "top/a/b", "top/a", "top"] {
            set_mode(&area.path(path), locked);
        }
        area.does("remove", &removal(&top, true), b"");
        assert_eq!(area.names(""), [""; 0], "{locked:o}");
    }
}

#[test]
fn a_place_that_may_not_be_changed_keeps_what_is_in_it() {
    let area = Area::new();
    let outer = area.directory("outer");
    let inner = area.directory("outer/inner");
    area.file("outer/inner/file", "");
    set_mode(&outer, 0o555);
    assert_eq!(area.fails("remove", &removal(&inner, true), b""), error("EACCES", &inner));
    assert_eq!(area.names("outer/inner"), ["file"]);
    assert_eq!(mode(&outer), 0o555);
    set_mode(&outer, 0o755);
}

#[test]
fn trees_deeper_than_paths_stacks_and_descriptors_are_removed() {
    let area = Area::new();
    area.deep("deep", 10_000);
    let mut child = area.command("remove", &removal(&area.path("deep"), true));
    // Eight descriptors and half a mebibyte of stack: of neither is one needed per level.
    let status = child.env("LIMITS", "ulimit -n 8; ulimit -s 512").stdin(Stdio::null()).status().unwrap();
    assert_eq!(status.code(), Some(0));
    assert_eq!(area.names(""), [""; 0]);
}

#[test]
fn deep_trees_are_listed_as_deep_as_asked() {
    let area = Area::new();
    area.deep("d", 300);
    assert_eq!(paths(&area, &area.path(""), 64).len(), 64);
}

/// Does something again and again while the program runs.
fn meanwhile<T>(disturb: impl Fn() + Sync, work: impl FnOnce() -> T) -> T {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                disturb();
            }
        });
        let result = work();
        over.store(true, Ordering::Relaxed);
        result
    })
}

#[test]
fn a_directory_that_others_exchange_for_a_link_leads_nowhere() {
    let area = Area::new();
    area.directory("outside");
    for index in 0..50 {
        area.file(&format!("outside/{index}"), "");
    }
    for _ in 0..20 {
        let top = area.directory("top");
        let victim = area.directory("top/victim");
        for index in 0..50 {
            area.directory(&format!("top/victim/{index}"));
            area.file(&format!("top/victim/{index}/file"), "");
        }
        let link = area.link("top/link", area.path("outside"));
        let exchange = || {
            let _ = renameat_with(CWD, &victim, CWD, &link, RenameFlags::EXCHANGE);
        };
        meanwhile(exchange, || area.run("remove", &removal(&top, true), b""));
        assert_eq!(area.names("outside").len(), 50);
        area.run("remove", &removal(&top, true), b"");
        assert!(!top.exists());
    }
}

#[test]
fn a_tree_that_moves_away_while_it_is_removed_takes_nothing_else_along() {
    let area = Area::new();
    area.directory("elsewhere");
    area.directory("elsewhere/kept");
    area.file("elsewhere/kept/file", "");
    for _ in 0..20 {
        let top = area.directory("top");
        area.directory("top/a");
        let inner = area.directory("top/a/b");
        for index in 0..100 {
            area.directory(&format!("top/a/b/{index}"));
        }
        let moved = area.path("elsewhere/moved");
        let to_and_fro = || {
            let _ = renameat_with(CWD, &inner, CWD, &moved, RenameFlags::NOREPLACE);
            let _ = renameat_with(CWD, &moved, CWD, &inner, RenameFlags::NOREPLACE);
        };
        meanwhile(to_and_fro, || area.run("remove", &removal(&top, true), b""));
        assert_eq!(area.names("elsewhere/kept"), ["file"]);
        area.run("remove", &removal(&top, true), b"");
        area.run("remove", &removal(&moved, true), b"");
        assert!(!top.exists() && !moved.exists());
    }
}

#[test]
fn a_tree_that_others_fill_up_again_ends_as_removed_or_as_not_empty() {
    let area = Area::new();
    for _ in 0..10 {
        let top = area.directory("top");
        area.directory("top/a");
        let file = area.path("top/a/file");
        let fill = || drop(fs::write(&file, ""));
        let done = meanwhile(fill, || area.run("remove", &removal(&top, true), b""));
        let told = text(&done.stderr);
        assert!(done.code == Some(0) || (done.code == Some(1) && told.contains("ENOTEMPTY")), "{told}");
        area.run("remove", &removal(&top, true), b"");
        assert!(!top.exists());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_listing_is_what_was_made(names in prop::collection::btree_set("[a-c]{1,2}(/[a-c]{1,2}){0,4}", 1..20)) {
        let area = Area::new();
        let mut made = std::collections::BTreeSet::new();
        for name in &names {
            let mut path = PathBuf::new();
            for part in name.split('/') {
                path.push(part);
                if made.insert(path.clone()) {
                    area.directory(path.to_str().unwrap());
                }
            }
        }
        let wanted: Vec<_> = made.into_iter().collect();
        prop_assert_eq!(paths(&area, &area.path(""), 64), wanted);
    }
}
