//! What `pack` of the file tool says of a tree.
#![allow(clippy::unwrap_used)]

mod files_area;

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::{symlink, MetadataExt as _};
use std::path::{Path, PathBuf};

use files_area::stream::{records, Record};
use files_area::{decoded, encoded, finish, of, set_mode, text, Area};
use serde_json::json;

/// More than the widest pipe and every buffer hold.
const MORE_THAN_A_PIPE: usize = 2 << 20;

fn error(errno: &str, path: &Path) -> (String, PathBuf) {
    (errno.to_owned(), path.to_owned())
}

fn packed(area: &Area, path: &Path) -> Vec<Record> {
    records(&area.does("pack", &of(path), b""))
}

#[test]
fn a_packed_tree_tells_everything_parents_first() {
    let area = Area::new();
    let top = area.directory("top");
    area.directory("top/inner");
    area.file("top/inner/file", "content");
    area.link("top/link", "../outside");
    set_mode(&area.path("top/inner/file"), 0o4751);
    let records = packed(&area, &top);
    let told: Vec<_> =
        records.iter().map(|(header, _)| (header["type"].as_str().unwrap(), header["path"].as_str())).collect();
    let paths = ["", "inner", "inner/file", "link"].map(encoded);
    let kinds = ["directory", "directory", "file", "symlink"];
    let mut wanted: Vec<_> = kinds.into_iter().zip(paths.iter().map(|path| Some(path.as_str()))).collect();
    wanted.push(("end", None));
    assert_eq!(told, wanted);
    let (file, content) = &records[2];
    assert_eq!(
        (file["mode"].as_u64(), file["sparse"].as_bool(), &content[..]),
        (Some(0o4751), Some(false), &b"content"[..])
    );
    let metadata = fs::metadata(area.path("top/inner/file")).unwrap();
    let told = std::time::Duration::from_secs_f64(file["mtimeMs"].as_f64().unwrap() / 1_000.0);
    assert_eq!(told.as_secs(), u64::try_from(metadata.mtime()).unwrap());
    assert_eq!(decoded(&records[3].0["target"]), Path::new("../outside"));
    assert_eq!(records[4].0, json!({ "type": "end", "entries": 4, "skipped": [], "skippedCount": 0 }));
}

#[test]
fn a_file_or_a_link_to_a_tree_can_be_packed_by_its_path() {
    let area = Area::new();
    let file = area.file("file", "alone");
    let records = packed(&area, &file);
    assert_eq!((records.len(), records[0].0["path"].as_str(), &records[0].1[..]), (2, Some(""), &b"alone"[..]));
    area.directory("top");
    area.file("top/file", "");
    let link = area.link("link", "top");
    assert_eq!(packed(&area, &link).len(), 3);
    let fifo = area.fifo("fifo");
    assert_eq!(area.fails("pack", &of(&fifo), b""), error("EINVAL", &fifo));
}

#[test]
fn what_is_neither_file_directory_nor_link_is_skipped_and_told() {
    let area = Area::new();
    let top = area.directory("top");
    for index in 0..150 {
        area.fifo(&format!("top/{index:03}"));
    }
    let (end, _) = packed(&area, &top).pop().unwrap();
    let skipped = end["skipped"].as_array().unwrap();
    assert_eq!((skipped.len(), end["skippedCount"].as_u64(), end["entries"].as_u64()), (100, Some(150), Some(1)));
    assert_eq!((decoded(&skipped[7]["path"]), skipped[7]["type"].as_str()), ("007".into(), Some("fifo")));
}

#[test]
fn long_paths_of_what_was_skipped_keep_the_last_header_within_its_limit() {
    let area = Area::new();
    let top = area.directory("top");
    let mut name = String::from("top");
    for _ in 0..14 {
        name = format!("{name}/{}", "n".repeat(250));
        area.directory(&name);
    }
    for index in 0..100 {
        area.fifo(&format!("{name}/{index}"));
    }
    let (end, _) = packed(&area, &top).pop().unwrap();
    assert_eq!(end["skippedCount"].as_u64(), Some(100));
    assert!((5..100).contains(&end["skipped"].as_array().unwrap().len()));
}

#[test]
fn a_tree_deeper_than_a_path_can_say_is_packed_as_far_as_it_can() {
    let area = Area::new();
    area.deep("d", 3_000);
    let records = packed(&area, &area.path(""));
    let (end, _) = records.last().unwrap();
    // `d/d/d…` of 2 048 names has 4 095 bytes; the directory after it is left out with what is in it.
    assert_eq!((records.len(), end["skippedCount"].as_u64()), (2_050, Some(1)));
}

#[test]
fn what_may_not_be_read_is_an_error_and_not_left_out() {
    let area = Area::new();
    let top = area.directory("top");
    let file = area.file("top/file", "");
    set_mode(&file, 0o000);
    assert_eq!(area.fails("pack", &of(&top), b""), error("EACCES", &file));
    fs::remove_file(&file).unwrap();
    let inner = area.directory("top/inner");
    set_mode(&inner, 0o000);
    assert_eq!(area.fails("pack", &of(&top), b""), error("EACCES", &inner));
    set_mode(&inner, 0o700);
}

#[test]
fn what_changes_while_it_is_packed_leads_nowhere_else() {
    let area = Area::new();
    area.directory("secret");
    let secret = area.file("secret/key", "secret");
    let top = area.directory("top");
    // The program waits for its reader in the first file; the others come after it.
    let content = vec![b'x'; MORE_THAN_A_PIPE];
    area.file("top/a", &content);
    area.directory("top/b");
    area.file("top/c", "plain");
    area.file("top/d", "plain");
    area.file("top/e", "plain");
    let mut child = area.spawn("pack", &of(&top));
    let mut stream = vec![0; 1];
    child.stdout.as_mut().unwrap().read_exact(&mut stream).unwrap();
    fs::remove_dir(area.path("top/b")).unwrap();
    symlink(area.path("secret"), area.path("top/b")).unwrap();
    fs::remove_file(area.path("top/c")).unwrap();
    symlink(secret, area.path("top/c")).unwrap();
    fs::remove_file(area.path("top/d")).unwrap();
    fs::remove_file(area.path("top/e")).unwrap();
    area.fifo("top/e");
    let done = finish(child, b"");
    assert_eq!((done.code, text(&done.stderr)), (Some(0), ""));
    stream.extend(done.stdout);
    let records = records(&stream);
    let kinds: Vec<_> = records.iter().map(|(header, _)| header["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["directory", "file", "symlink", "symlink", "end"]);
    assert!(records[1].1 == content);
    assert_eq!(records[4].0["skippedCount"].as_u64(), Some(1));
}

#[test]
fn a_file_that_shrinks_while_it_is_packed_is_what_was_read() {
    let area = Area::new();
    let file = area.file("file", vec![b'x'; 8 * MORE_THAN_A_PIPE]);
    let mut child = area.spawn("pack", &of(&file));
    let mut stream = vec![0; 1];
    child.stdout.as_mut().unwrap().read_exact(&mut stream).unwrap();
    fs::File::options().write(true).open(&file).unwrap().set_len(100).unwrap();
    let done = finish(child, b"");
    assert_eq!((done.code, text(&done.stderr)), (Some(0), ""));
    stream.extend(done.stdout);
    let (_, content) = records(&stream).remove(0);
    assert!(content.len() < 8 * MORE_THAN_A_PIPE);
}
