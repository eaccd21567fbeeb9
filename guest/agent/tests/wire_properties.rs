//! Properties of the codec and of the books of a conversation.
#![allow(clippy::unwrap_used)]

use exec_sandbox_agent::wire::conversation::{Streams, HIGHEST_CREDIT, INITIAL_CREDIT};
use exec_sandbox_agent::wire::{Conversation, Decoder, Frame, FrameType, WireError};
use proptest::prelude::*;

fn decode(decoder: &mut Decoder, mut bytes: &[u8]) -> Result<Vec<Frame>, WireError> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        frames.extend(decoder.next_frame(&mut bytes)?);
    }
    Ok(frames)
}

fn frame() -> impl Strategy<Value = Frame> {
    let stream = 0_u8..=15;
    let id = (0..u32::MAX / 2).prop_map(|half| half * 2 + 1);
    let bytes = prop::collection::vec(any::<u8>(), 1..200);
    (0_u8..4, stream, id, bytes).prop_map(|(kind, stream, id, bytes)| match kind {
        0 => Frame { kind: FrameType::Data, stream, id, payload: bytes },
        1 => Frame { kind: FrameType::End, stream, id, payload: Vec::new() },
        2 => Frame { kind: FrameType::Credit, stream, id, payload: vec![1, 0, 0, 0] },
        _ => Frame { kind: FrameType::Request, stream: 0, id, payload: bytes },
    })
}

fn welcomed() -> Conversation {
    let mut conversation = Conversation::new();
    let payload = br#"{"generation":2}"#.to_vec();
    conversation.accept(Frame { kind: FrameType::Welcome, stream: 0, id: 0, payload }).unwrap();
    conversation
}

proptest! {
    #[test]
    fn encoding_and_decoding_are_inverse_wherever_the_bytes_are_cut(
        frames in prop::collection::vec(frame(), 1..12),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let encode = |frame: &Frame| Frame::encode(frame.kind, frame.stream, frame.id, &frame.payload);
        let wire: Vec<u8> = frames.iter().flat_map(encode).collect();
        let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(wire.len())).chain([0, wire.len()]).collect();
        places.sort_unstable();
        let mut decoder = Decoder::new();
        let mut decoded = Vec::new();
        for pair in places.windows(2) {
            decoded.extend(decode(&mut decoder, &wire[pair[0]..pair[1]]).unwrap());
        }
        prop_assert_eq!(decoded, frames);
        prop_assert!(decoder.at_border());
    }

    #[test]
    fn any_bytes_end_in_frames_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let mut conversation = welcomed();
        if let Ok(frames) = decode(&mut Decoder::new(), &bytes) {
            for frame in frames {
                let _ = conversation.accept(frame);
            }
        }
    }

    /// Whatever the host sends and the agent grants: the host never gets more in than it was granted.
    #[test]
    fn a_stream_from_the_host_keeps_within_its_window(
        steps in prop::collection::vec((any::<bool>(), 1_u32..70_000), 1..60),
    ) {
        let mut conversation = welcomed();
        conversation.open(1, Streams::of_method("exec")).unwrap();
        let (mut granted, mut received) = (u64::from(INITIAL_CREDIT), 0_u64);
        for (grant, bytes) in steps {
            if grant {
                prop_assert!(conversation.grant(1, 0, bytes));
                granted += u64::from(bytes);
                continue;
            }
            let length = bytes.min(65_536);
            let payload = vec![0; length as usize];
            let accepted = conversation.accept(Frame { kind: FrameType::Data, stream: 0, id: 1, payload }).is_ok();
            prop_assert_eq!(accepted, received + u64::from(length) <= granted);
            if !accepted {
                break;
            }
            received += u64::from(length);
        }
    }

    /// The agent's credit is what was granted less what was spent, and never above the protocol's bound.
    #[test]
    fn credit_of_the_agent_is_counted_exactly(
        steps in prop::collection::vec((any::<bool>(), 1_u32..0x4000_0000), 1..60),
    ) {
        let mut conversation = welcomed();
        conversation.open(1, Streams::of_method("run")).unwrap();
        let mut expected = u64::from(INITIAL_CREDIT);
        for (grant, bytes) in steps {
            if grant {
                let payload = bytes.to_le_bytes().to_vec();
                let accepted = conversation.accept(Frame { kind: FrameType::Credit, stream: 1, id: 1, payload });
                let total = expected + u64::from(bytes);
                prop_assert_eq!(accepted.is_ok(), total <= u64::from(HIGHEST_CREDIT));
                if accepted.is_err() {
                    break;
                }
                expected = total;
            } else {
                let spent = u64::from(bytes).min(expected);
                conversation.spend(1, 1, usize::try_from(spent).unwrap());
                expected -= spent;
            }
            prop_assert_eq!(u64::from(conversation.credit(1, 1)), expected);
        }
    }
}
