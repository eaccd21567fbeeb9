//! Trees that go through `pack` and `unpack` of the file tool come back as they were.
#![allow(clippy::unwrap_used)]

mod files_area;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use files_area::stream::{records, Record, Stream};
use files_area::{decoded, encoded, of, text, with, Area};
use proptest::prelude::*;
use serde_json::{json, Value};

fn unpacking(path: &Path) -> Value {
    json!({ "path": encoded(path), "mtimes": true })
}

fn packed(area: &Area, path: &Path) -> Vec<Record> {
    records(&area.does("pack", &of(path), b""))
}

#[test]
fn a_tree_as_deep_as_paths_can_say_comes_back() {
    let area = Area::new();
    area.deep("d", 2_048);
    let stream = area.does("pack", &of(&area.path("")), b"");
    let copy = Area::new();
    let told = copy.does("unpack", &unpacking(&copy.path("copy")), &stream);
    assert_eq!(text(&told), "{\"entries\":2049,\"bytes\":0}\n");
    let paths =
        |records: Vec<Record>| records.into_iter().map(|(header, _)| header["path"].clone()).collect::<Vec<_>>();
    assert!(paths(packed(&copy, &copy.path("copy"))) == paths(records(&stream)));
}

#[test]
fn sparse_files_stay_sparse() {
    let area = Area::new();
    let top = area.directory("top");
    let file = area.file("top/file", "");
    let end = fs::File::options().write(true).open(&file).unwrap();
    end.set_len(64 << 20).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&end, b"middle", 32 << 20).unwrap();
    let stream = area.does("pack", &of(&top), b"");
    assert_eq!(records(&stream)[1].0["sparse"], true);
    let copy = area.path("copy");
    area.does("unpack", &unpacking(&copy), &stream);
    let metadata = fs::metadata(copy.join("file")).unwrap();
    assert_eq!(metadata.len(), 64 << 20);
    assert!(metadata.blocks() * 512 <= 65_536, "{}", metadata.blocks());
    assert!(fs::read(copy.join("file")).unwrap() == fs::read(&file).unwrap());
}

/// What a name in a made-up tree is.
#[derive(Clone, Debug)]
enum Node {
    Directory(u32, Vec<(Vec<u8>, Node)>),
    File(u32, Vec<u8>),
    Link(Vec<u8>),
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec((1_u8..=255).prop_filter("a slash", |byte| *byte != b'/'), 1..20)
        .prop_filter("a dot", |name| !matches!(&name[..], b"." | b".."))
}

fn node() -> impl Strategy<Value = Node> {
    let content = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..100),
        (0_usize..200_000, any::<u8>()).prop_map(|(length, byte)| vec![byte; length]),
    ];
    let leaf = prop_oneof![
        // Of whoever reads the tree back.
        (0_u32..0o400, content).prop_map(|(mode, content)| Node::File(mode | 0o400, content)),
        name().prop_map(Node::Link),
    ];
    leaf.prop_recursive(4, 24, 6, |inner| {
        (0_u32..0o100, prop::collection::vec((name(), inner), 0..6))
            .prop_map(|(mode, children)| Node::Directory(mode | 0o500, children))
    })
}

/// The tree as records in order, later names taking the place of earlier ones.
fn flatten(path: &[u8], node: &Node, into: &mut BTreeMap<Vec<u8>, (Value, Vec<u8>)>) {
    let path_of = |name: &[u8]| [path, if path.is_empty() { b"" } else { b"/" }, name].concat();
    let as_path = |bytes: &[u8]| encoded(Path::new(std::ffi::OsStr::from_bytes(bytes)));
    let (header, content) = match node {
        Node::Directory(mode, children) => {
            let unique: BTreeMap<_, _> = children.iter().map(|(name, node)| (name, node)).collect();
            for (name, node) in unique {
                flatten(&path_of(name), node, into);
            }
            (json!({ "type": "directory", "mode": mode, "mtimeMs": 5_000 }), Vec::new())
        }
        Node::File(mode, content) => {
            (json!({ "type": "file", "mode": mode, "mtimeMs": 6_000, "sparse": false }), content.clone())
        }
        Node::Link(target) => {
            (json!({ "type": "symlink", "mode": 0o777, "mtimeMs": 7_000, "target": as_path(target) }), Vec::new())
        }
    };
    into.insert(path.to_vec(), (with(header, "path", as_path(path)), content));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_unpacked_is_packed_again(children in prop::collection::vec((name(), node()), 0..6), chunk in 1_usize..100_000) {
        let mut wanted = BTreeMap::new();
        flatten(b"", &Node::Directory(0o755, children), &mut wanted);
        let mut stream = Stream::default();
        for (header, content) in wanted.values() {
            stream.header(header);
            if header["type"] == "file" {
                for chunk in content.chunks(chunk) {
                    stream.word(chunk.len());
                    stream.bytes.extend_from_slice(chunk);
                }
                stream.word(0);
            }
        }
        let area = Area::new();
        area.does("unpack", &unpacking(&area.path("top")), &stream.end());
        let mut packed = packed(&area, &area.path("top"));
        let (end, _) = packed.pop().unwrap();
        prop_assert_eq!(end["entries"].as_u64(), Some(wanted.len() as u64));
        let told: BTreeMap<_, _> = packed.into_iter().map(|(header, content)| {
            let header = if header["type"] == "file" { with(header, "sparse", false) } else { header };
            (decoded(&header["path"]).as_os_str().as_bytes().to_vec(), (header, content))
        }).collect();
        prop_assert!(told == wanted);
        area.does("remove", &json!({ "path": encoded(area.path("top")), "recursive": true }), b"");
    }
}
