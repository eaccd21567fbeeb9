//! Any bytes from the host, cut anywhere, end in frames or in an error; cutting them elsewhere changes nothing; and the
//! books of the conversation hold.
#![no_main]

use exec_sandbox_agent::wire::{Conversation, Decoder, Frame, WireError};
use libfuzzer_sys::fuzz_target;

fn decode(parts: &[&[u8]]) -> (Vec<Frame>, Option<WireError>) {
    let mut decoder = Decoder::new();
    let mut frames = Vec::new();
    for part in parts {
        let mut bytes = *part;
        while !bytes.is_empty() {
            match decoder.next_frame(&mut bytes) {
                Ok(frame) => frames.extend(frame),
                Err(error) => return (frames, Some(error)),
            }
        }
    }
    (frames, None)
}

fuzz_target!(|input: (u16, &[u8])| {
    let (cut, bytes) = input;
    let cut = usize::from(cut).min(bytes.len());
    let whole = decode(&[bytes]);
    assert_eq!(decode(&[&bytes[..cut], &bytes[cut..]]), whole);
    let mut conversation = Conversation::new();
    for frame in whole.0 {
        let id = frame.id;
        if conversation.accept(frame).is_err() {
            break;
        }
        for stream in 0..=15 {
            assert!(conversation.credit(id, stream) <= 0x7fff_ffff);
        }
    }
});
