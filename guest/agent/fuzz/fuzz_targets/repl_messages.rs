//! Any bytes from a REPL, which are the user's, end in messages or in a break of the protocol.
#![no_main]

use exec_sandbox_agent::repl::{Decoder, Message, ProtocolBreak};
use libfuzzer_sys::fuzz_target;

fn decode(parts: &[&[u8]]) -> (Vec<Message>, Option<ProtocolBreak>) {
    let mut decoder = Decoder::default();
    let mut messages = Vec::new();
    for part in parts {
        let mut bytes = *part;
        while !bytes.is_empty() {
            match decoder.next_message(&mut bytes) {
                Ok(message) => messages.extend(message),
                Err(broken) => return (messages, Some(broken)),
            }
        }
    }
    (messages, None)
}

fuzz_target!(|input: (u16, &[u8])| {
    let (cut, bytes) = input;
    let cut = usize::from(cut).min(bytes.len());
    assert_eq!(decode(&[&bytes[..cut], &bytes[cut..]]), decode(&[bytes]));
});
