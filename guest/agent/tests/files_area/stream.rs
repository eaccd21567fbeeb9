//! The record stream of `pack` and `unpack`, written and read by its description alone (docs/file-tool.md).

use serde_json::{json, Value};

use super::encoded;

/// A stream as the host writes it.
#[derive(Default)]
pub struct Stream {
    pub bytes: Vec<u8>,
    pub entries: u64,
}

impl Stream {
    pub fn word(&mut self, word: usize) -> &mut Self {
        self.bytes.extend(u32::try_from(word).unwrap().to_le_bytes());
        self
    }

    pub fn header(&mut self, header: &Value) -> &mut Self {
        let json = header.to_string();
        self.word(json.len());
        self.bytes.extend(json.as_bytes());
        self.entries += 1;
        self
    }

    pub fn directory(&mut self, path: &str, mode: u32) -> &mut Self {
        self.header(&json!({ "path": encoded(path), "type": "directory", "mode": mode, "mtimeMs": 1_000 }))
    }

    pub fn link(&mut self, path: &str, target: &str) -> &mut Self {
        let header = json!({ "path": encoded(path), "type": "symlink", "mode": 0o777, "mtimeMs": 2_000, "target": encoded(target) });
        self.header(&header)
    }

    pub fn file(&mut self, path: &str, chunks: &[&[u8]]) -> &mut Self {
        self.header(
            &json!({ "path": encoded(path), "type": "file", "mode": 0o640, "mtimeMs": 3_000, "sparse": false }),
        );
        for chunk in chunks {
            self.word(chunk.len());
            self.bytes.extend_from_slice(chunk);
        }
        self.word(0)
    }

    pub fn end(&mut self) -> Vec<u8> {
        let entries = self.entries;
        self.header(&json!({ "type": "end", "entries": entries }));
        self.bytes.clone()
    }
}

/// A record that was packed: its header, and a file's content.
pub type Record = (Value, Vec<u8>);

pub fn records(stream: &[u8]) -> Vec<Record> {
    let mut rest = stream;
    let mut take = |length: usize| {
        let (taken, left) = rest.split_at(length);
        rest = left;
        taken
    };
    let mut records = Vec::new();
    loop {
        let mut word = || u32::from_le_bytes(take(4).try_into().unwrap()) as usize;
        let length = word();
        assert!(length <= 65_536);
        let header: Value = serde_json::from_slice(take(length)).unwrap();
        let kind = header["type"].clone();
        let mut content = Vec::new();
        loop {
            if kind != "file" {
                break;
            }
            let length = u32::from_le_bytes(take(4).try_into().unwrap()) as usize;
            assert!(length <= 1 << 20);
            if length == 0 {
                break;
            }
            content.extend_from_slice(take(length));
        }
        records.push((header, content));
        if kind == "end" {
            assert_eq!(rest, b"", "there is something after the end");
            return records;
        }
    }
}
