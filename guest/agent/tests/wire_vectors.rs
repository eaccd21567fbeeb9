//! The agent's codec against guest/wire/vectors.json, which the host's codec is tested against as well.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use exec_sandbox_agent::boot::PORT_NAME;
use exec_sandbox_agent::wire::answer::{Answer, Refusal, Resolved};
use exec_sandbox_agent::wire::conversation::{Streams, HIGHEST_CREDIT, INITIAL_CREDIT, MOST_EVEN_EXCHANGES};
use exec_sandbox_agent::wire::frame::{Header, EVEN_JSON_LIMIT, HEADER_BYTES, HIGHEST_STREAM, MAGIC};
use exec_sandbox_agent::wire::message::{self, ErrorCode, Event, RequestError, GENERATION};
use exec_sandbox_agent::wire::request::{self, Request};
use exec_sandbox_agent::wire::{Conversation, Decoder, Frame, FrameType, Incoming, WireError};
use serde_json::{json, Value};

fn vectors() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wire/vectors.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn list(vectors: &Value, name: &str) -> Vec<Value> {
    let list = vectors[name].as_array().unwrap().clone();
    assert!(!list.is_empty(), "{name} is empty");
    list
}

fn bytes(hex: &Value) -> Vec<u8> {
    let digits = hex.as_str().unwrap();
    (0..digits.len() / 2).map(|index| u8::from_str_radix(&digits[index * 2..index * 2 + 2], 16).unwrap()).collect()
}

fn names(entry: &Value, side: &str) -> bool {
    match side {
        "decodedBy" | "rejectedBy" | "acceptedBy" => match &entry[side] {
            Value::Array(sides) => sides.contains(&json!("guest")),
            other => other == "guest",
        },
        _ => unreachable!("{side}"),
    }
}

fn kind(name: &str) -> FrameType {
    let kinds = (1..=9).map(|byte| FrameType::from_byte(byte).unwrap());
    let mut matching = kinds.filter(|kind| format!("{kind:?}").to_uppercase() == name);
    matching.next().unwrap_or_else(|| panic!("no type {name}"))
}

fn decode(decoder: &mut Decoder, mut bytes: &[u8]) -> Result<Vec<Frame>, WireError> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        frames.extend(decoder.next_frame(&mut bytes)?);
    }
    Ok(frames)
}

#[test]
fn constants_are_the_same() {
    let vectors = vectors();
    let constants = &vectors["constants"];
    assert_eq!(constants["generation"], GENERATION);
    assert_eq!(constants["portName"], PORT_NAME);
    assert_eq!(constants["magic"], MAGIC);
    assert_eq!(bytes(&constants["magicBytes"]), MAGIC.to_le_bytes());
    assert_eq!(constants["headerBytes"], HEADER_BYTES);
    assert_eq!(constants["highestStream"], HIGHEST_STREAM);
    assert_eq!(constants["highestId"], u32::MAX);
    assert_eq!(constants["initialCreditBytes"], INITIAL_CREDIT);
    assert_eq!(constants["highestCreditBytes"], HIGHEST_CREDIT);
    let types = constants["types"].as_object().unwrap();
    assert_eq!(types.len(), 9);
    for (name, entry) in types {
        let kind = kind(name);
        assert_eq!(entry["type"], kind as u8, "{name}");
        assert_eq!(entry["limitBytes"], kind.length_range().1, "{name}");
        let senders = entry["from"].as_array().unwrap();
        assert_eq!(senders.contains(&json!("host")), kind.from_host(), "{name}");
    }
    assert_eq!(constants["evenJsonLimitBytes"], EVEN_JSON_LIMIT);
    assert_eq!(constants["mostEvenExchanges"], MOST_EVEN_EXCHANGES);
    let methods = ["methods", "guestMethods"].map(|list| constants[list].as_object().unwrap());
    for (name, method) in methods.into_iter().flatten() {
        let streams = Streams::of_method(name);
        assert_eq!(method["hostStreams"], json!(streams.from_host), "{name}");
        assert_eq!(method["guestStreams"], json!(streams.from_guest), "{name}");
    }
    let codes = [
        ErrorCode::BadRequest,
        ErrorCode::UnknownMethod,
        ErrorCode::Spawn,
        ErrorCode::Internal,
        ErrorCode::Refused,
        ErrorCode::Reset,
    ];
    assert_eq!(constants["errorCodes"], serde_json::to_value(codes).unwrap());
    for code in list(constants, "connectErrorCodes") {
        serde_json::from_value::<Refusal>(code).unwrap();
    }
}

/// The bodies that the agent writes, made by its own writers from the fields of the vector.
fn written_body(frame: &Value) -> Option<Vec<u8>> {
    let body = &frame["json"];
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    Some(match frame["type"].as_str()? {
        "EVENT" if body["event"] == "started" => {
            message::event(&Event::Started { pid: i32::try_from(body["pid"].as_i64()?).unwrap() })?
        }
        "EVENT" if body["event"] == "connected" => message::event(&Event::Connected)?,
        "REQUEST" if body["method"] == "connect" => {
            let port = u16::try_from(body["params"]["port"].as_u64()?).unwrap();
            let address = text(&body["params"]["address"]).parse().unwrap();
            message::request("connect", &message::Connect { address, port })
        }
        "REQUEST" if body["method"] == "resolve" => {
            let kind = if body["params"]["type"] == "A" { "A" } else { "AAAA" };
            message::request("resolve", &message::Resolve { name: &text(&body["params"]["name"]), kind })
        }
        "EVENT" => message::event(&Event::Result { data: &text(&body["data"]) })?,
        "RESPONSE" if body.get("result").is_some() => message::response(&Ok(&body["result"])),
        "RESPONSE" => {
            let code = if body["error"]["code"] == "spawn" { ErrorCode::Spawn } else { ErrorCode::Refused };
            message::response::<Value>(&Err(RequestError::new(code, text(&body["error"]["message"]))))
        }
        _ => return None,
    })
}

/// What the host says in exchanges of the guest is understood.
fn assert_answer(frame: &Frame, body: &Value) {
    if frame.kind == FrameType::Event {
        assert_eq!(exec_sandbox_agent::wire::answer::parse_event(&frame.payload), Ok(()));
    } else if frame.kind == FrameType::Response {
        match Answer::parse(&frame.payload).unwrap() {
            Answer::Error(code) => assert_eq!(serde_json::from_value(body["error"]["code"].clone()).ok(), Some(code)),
            Answer::Result(text) if body["result"].get("status").is_some() => {
                let resolved: Resolved = serde_json::from_str(&text).unwrap();
                assert_eq!(json!(resolved.addresses), body["result"]["addresses"]);
                assert_eq!(json!(resolved.ttl_s), body["result"]["ttlS"]);
            }
            Answer::Result(text) => assert_eq!(text, "{}"),
        }
    }
}

#[test]
fn frames_of_the_host_decode_and_frames_of_the_agent_encode() {
    for entry in list(&vectors(), "frames") {
        let name = &entry["name"];
        let wire = bytes(&entry["hex"]);
        let expected = &entry["frame"];
        let kind = kind(expected["type"].as_str().unwrap());
        let stream = u8::try_from(expected["stream"].as_u64().unwrap()).unwrap();
        let id = u32::try_from(expected["id"].as_u64().unwrap()).unwrap();
        if names(&entry, "decodedBy") {
            let mut decoder = Decoder::new();
            let frames = decode(&mut decoder, &wire).unwrap();
            assert!(decoder.at_border(), "{name}");
            let [frame] = frames.as_slice() else { panic!("{name}: {} frames", frames.len()) };
            assert_eq!((frame.kind, frame.stream, frame.id), (kind, stream, id), "{name}");
            if let Some(payload) = expected.get("payload") {
                assert_eq!(frame.payload, bytes(payload), "{name}");
            }
            if let Some(credit) = expected.get("credit") {
                assert_eq!(json!(u32::from_le_bytes(frame.payload.as_slice().try_into().unwrap())), *credit, "{name}");
            }
            if let Some(body) = expected.get("json") {
                assert_eq!(serde_json::from_slice::<Value>(&frame.payload).unwrap(), *body, "{name}");
                assert_answer(frame, body);
            }
        }
        if matches!(&entry["decodedBy"], Value::Array(sides) if sides == &[json!("guest")]) {
            continue;
        }
        if let Some(body) = written_body(expected) {
            assert_eq!(serde_json::from_slice::<Value>(&body).unwrap(), expected["json"], "{name}");
        } else if let Some(body) = expected.get("json") {
            let hello: Value = serde_json::from_slice(&message::hello()).unwrap();
            assert_eq!(hello["generation"], body["generation"], "{name}");
        } else {
            let payload = match expected.get("credit") {
                Some(credit) => u32::try_from(credit.as_u64().unwrap()).unwrap().to_le_bytes().to_vec(),
                None => expected.get("payload").map(bytes).unwrap_or_default(),
            };
            assert_eq!(Frame::encode(kind, stream, id, &payload), wire, "{name}");
        }
    }
}

#[test]
fn headers_at_their_limits_are_waited_for() {
    for entry in list(&vectors(), "headers").iter().filter(|entry| names(entry, "decodedBy")) {
        let wire = bytes(&entry["hex"]);
        let header = Header::parse(wire.as_slice().try_into().unwrap()).unwrap();
        assert_eq!(json!(header.length), entry["header"]["length"], "{}", entry["name"]);
        assert_eq!(header.kind, kind(entry["header"]["type"].as_str().unwrap()));
        assert_eq!(decode(&mut Decoder::new(), &wire).unwrap(), [], "{}", entry["name"]);
    }
}

#[test]
fn sequences_decode_the_same_however_they_are_cut() {
    let vectors = vectors();
    let frames = list(&vectors, "frames");
    for sequence in list(&vectors, "sequences").iter().filter(|entry| names(entry, "decodedBy")) {
        let parts = sequence["frames"].as_array().unwrap().iter();
        let wire: Vec<u8> =
            parts.flat_map(|name| bytes(&frames.iter().find(|frame| frame["name"] == *name).unwrap()["hex"])).collect();
        let whole = decode(&mut Decoder::new(), &wire).unwrap();
        assert_eq!(whole.len(), sequence["frames"].as_array().unwrap().len());
        for cut in 0..=wire.len() {
            let mut decoder = Decoder::new();
            let mut frames = decode(&mut decoder, &wire[..cut]).unwrap();
            frames.extend(decode(&mut decoder, &wire[cut..]).unwrap());
            assert_eq!(frames, whole, "cut at {cut}");
        }
        let mut decoder = Decoder::new();
        let singles: Vec<Frame> = wire.iter().flat_map(|byte| decode(&mut decoder, &[*byte]).unwrap()).collect();
        assert_eq!(singles, whole);
    }
}

#[test]
fn what_breaks_a_rule_is_refused_at_its_stage() {
    let mut seen = 0;
    for entry in list(&vectors(), "rejections").iter().filter(|entry| names(entry, "rejectedBy")) {
        let name = &entry["name"];
        let wire = bytes(&entry["hex"]);
        let mut decoder = Decoder::new();
        if entry["stage"] == "header" {
            assert!(decode(&mut decoder, &wire[..HEADER_BYTES]).is_err(), "{name}");
        } else {
            let frames = decode(&mut decoder, &wire).unwrap();
            let [frame] = frames.as_slice() else { panic!("{name}: {} frames", frames.len()) };
            let mut conversation = Conversation::new();
            if frame.kind != FrameType::Welcome {
                welcome(&mut conversation);
                if frame.kind != FrameType::Request {
                    conversation.open(frame.id, Streams::of_method("exec")).unwrap();
                }
            }
            assert!(conversation.accept(frame.clone()).is_err(), "{name}");
        }
        seen += 1;
    }
    assert!(seen > 50, "only {seen} rejections");
}

fn welcome(conversation: &mut Conversation) {
    let payload = br#"{"generation":2}"#.to_vec();
    let frame = Frame { kind: FrameType::Welcome, stream: 0, id: 0, payload };
    assert_eq!(conversation.accept(frame).unwrap(), Incoming::Welcome);
}

/// Plays an entry; gives what was said to each part.
fn play(entry: &Value) -> Vec<Result<(), WireError>> {
    let mut conversation = Conversation::new();
    if let Some(open) = entry["open"].as_array() {
        welcome(&mut conversation);
        for exchange in open {
            let id = u32::try_from(exchange["id"].as_u64().unwrap()).unwrap();
            conversation.open(id, Streams::of_method(exchange["method"].as_str().unwrap())).unwrap();
        }
    }
    let mut decoder = Decoder::new();
    let mut answers = Vec::new();
    for part in entry["parts"].as_array().unwrap() {
        let mut wire = bytes(&part["hex"]);
        if let Some(count) = part.get("payloadBytes") {
            let byte = bytes(&part["payloadByte"])[0];
            wire.extend(vec![byte; usize::try_from(count.as_u64().unwrap()).unwrap()]);
        }
        for _ in 0..part.get("times").and_then(Value::as_u64).unwrap_or(1) {
            let frames = decode(&mut decoder, &wire).unwrap();
            answers.push(frames.into_iter().try_for_each(|frame| conversation.accept(frame).map(drop)));
        }
    }
    answers
}

#[test]
fn conversations_break_at_their_last_part() {
    for entry in list(&vectors(), "conversations").iter().filter(|entry| names(entry, "rejectedBy")) {
        let answers = play(entry);
        let (last, before) = answers.split_last().unwrap();
        assert!(last.is_err(), "{}", entry["name"]);
        assert!(before.iter().all(Result::is_ok), "{}", entry["name"]);
    }
}

#[test]
fn tolerated_conversations_live_on() {
    for entry in list(&vectors(), "tolerated").iter().filter(|entry| names(entry, "acceptedBy")) {
        assert!(play(entry).iter().all(Result::is_ok), "{}", entry["name"]);
    }
}

#[test]
fn requests_of_the_vectors_have_the_parameters_of_their_methods() {
    for entry in list(&vectors(), "frames") {
        if entry["frame"]["type"] != "REQUEST" {
            continue;
        }
        let wire = bytes(&entry["hex"]);
        let request = Request::parse(&wire[HEADER_BYTES..]).unwrap();
        let checked = match request.method.as_str() {
            "resume" => request.params::<request::Resume>().map(drop),
            "start" => request.params::<request::Start>().map(drop),
            "run" => request.params::<request::Run>().map(drop),
            "exec" => request.params::<request::Exec>().map(drop),
            "signal" => request.params::<request::Signal>().map(drop),
            "network" => request.params::<request::Network>().map(drop),
            "dial" => request.params::<request::Dial>().map(drop),
            "connect" | "resolve" => continue,
            _ => request.params::<request::Ping>().map(drop),
        };
        assert_eq!(checked, Ok(()), "{}", entry["name"]);
    }
}
