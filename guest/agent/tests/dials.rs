//! `dial`: connections of the host to servers in the guest, with real sockets and the real event loop, outside a VM.
#![allow(clippy::unwrap_used)]

// The host can do more than this file asks of it.
#[allow(dead_code)]
mod host;

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};

use exec_sandbox_agent::wire::FrameType;
use host::Host;
use serde_json::json;

const WINDOW: u64 = 262_144;

fn server() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// A connection, and the server's end of it.
fn dial(host: &mut Host) -> (u32, TcpStream) {
    let (listener, port) = server();
    let id = host.request("dial", &json!({ "port": port }));
    host.listen_until(id, |heard| !heard.events.is_empty());
    (id, listener.accept().unwrap().0)
}

#[test]
fn bytes_go_both_ways_and_each_direction_ends_by_itself() {
    let mut host = Host::start();
    let (id, mut server) = dial(&mut host);
    host.send(FrameType::Data, 0, id, b"question");
    host.send(FrameType::End, 0, id, &[]);
    let mut question = String::new();
    server.read_to_string(&mut question).unwrap();
    assert_eq!(question, "question");
    // The other direction is still open.
    server.write_all(b"answer").unwrap();
    host.listen_until(id, |heard| heard.stdout == b"answer");
    drop(server);
    let (heard, result) = host.result(id);
    assert_eq!((heard.events, heard.ended, result), (vec![json!({ "event": "connected" })], vec![1], json!({})));
    host.close();
}

#[test]
fn a_server_that_says_its_piece_first_may_go_on_listening() {
    let mut host = Host::start();
    let (id, mut server) = dial(&mut host);
    server.write_all(b"all of it").unwrap();
    server.shutdown(Shutdown::Write).unwrap();
    host.listen_until(id, |heard| heard.ended == [1]);
    host.send(FrameType::Data, 0, id, b"thanks");
    host.send(FrameType::End, 0, id, &[]);
    let mut thanks = String::new();
    server.read_to_string(&mut thanks).unwrap();
    assert_eq!(thanks, "thanks");
    assert_eq!(host.result(id).0.stdout, b"all of it");
    host.close();
}

#[test]
fn without_a_server_the_dial_is_refused() {
    let mut host = Host::start();
    let port = server().1;
    let id = host.request("dial", &json!({ "port": port }));
    let heard = host.finish(id);
    assert_eq!((heard.response.unwrap()["error"]["code"].as_str(), heard.events.len()), (Some("refused"), 0));
    for port in [json!(0), json!(65_536), json!("80"), json!(null)] {
        let id = host.request("dial", &json!({ "port": port }));
        assert_eq!(host.finish(id).response.unwrap()["error"]["code"], "bad-request", "{port}");
    }
    host.close();
}

#[test]
fn a_server_that_listens_on_ipv6_alone_is_found() {
    let listener = TcpListener::bind("[::1]:0").unwrap();
    let mut host = Host::start();
    let id = host.request("dial", &json!({ "port": listener.local_addr().unwrap().port() }));
    host.listen_until(id, |heard| !heard.events.is_empty());
    listener.accept().unwrap().0.write_all(b"six").unwrap();
    host.send(FrameType::End, 0, id, &[]);
    assert_eq!(host.result(id).0.stdout, b"six");
    host.close();
}

#[test]
fn megabytes_go_through_an_echo_unchanged() {
    let mut host = Host::start();
    let (id, server) = dial(&mut host);
    let echo = std::thread::spawn(move || {
        let (mut from, mut to) = (server.try_clone().unwrap(), server);
        std::io::copy(&mut from, &mut to).unwrap();
    });
    let content: Vec<u8> = (0..1_000_000_u32).flat_map(u32::to_le_bytes).collect();
    let mut sent = 0_u64;
    for piece in content.chunks(40_001) {
        let length = piece.len() as u64;
        host.listen_until(id, |heard| sent + length <= WINDOW + heard.credit);
        host.send(FrameType::Data, 0, id, piece);
        sent += length;
    }
    host.send(FrameType::End, 0, id, &[]);
    let (heard, _) = host.result(id);
    assert!(heard.stdout == content, "{} bytes came back of {}", heard.stdout.len(), content.len());
    echo.join().unwrap();
    host.close();
}

#[test]
fn a_host_that_takes_nothing_holds_back_the_server_and_nobody_else() {
    let mut host = Host::start();
    let (id, mut server) = dial(&mut host);
    host.withheld.push(id);
    let flood = std::thread::spawn(move || server.write_all(&vec![7; 20_000_000]).is_err());
    host.listen_until(id, |heard| heard.stdout.len() as u64 == WINDOW);
    let ping = host.request("ping", &json!({}));
    host.result(ping);
    host.cancel(id);
    let heard = host.finish(id);
    assert_eq!((heard.stdout.len() as u64, &heard.response.unwrap()["error"]["code"]), (WINDOW, &json!("reset")));
    assert!(flood.join().unwrap(), "the server could write 20 MB that nobody took");
    host.close();
}

#[test]
fn a_server_that_reads_nothing_holds_back_the_host() {
    let mut host = Host::start();
    let (id, mut server) = dial(&mut host);
    let mut sent = 0_u64;
    // More than the kernel's buffers take, so that the window closes.
    while sent < WINDOW + 64_000_000 {
        if host.heard(id).credit + WINDOW < sent + 65_536 && !host.listens_within(std::time::Duration::from_millis(500))
        {
            break;
        }
        if host.heard(id).credit + WINDOW >= sent + 65_536 {
            host.send(FrameType::Data, 0, id, &vec![1; 65_536]);
            sent += 65_536;
        }
    }
    assert!(sent < 64_000_000, "nothing held the host back");
    let reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        server.read_to_end(&mut bytes).unwrap();
        bytes.len() as u64
    });
    host.send(FrameType::End, 0, id, &[]);
    host.result(id);
    assert_eq!(reader.join().unwrap(), sent);
    host.close();
}

#[test]
fn resets_are_passed_on_in_both_directions() {
    let mut host = Host::start();
    let (id, mut server) = dial(&mut host);
    server.write_all(b"x").unwrap();
    host.listen_until(id, |heard| heard.stdout == b"x");
    // Closing with bytes unread makes the kernel reset the connection.
    host.send(FrameType::Data, 0, id, b"never read");
    server.peek(&mut [0]).unwrap();
    drop(server);
    assert_eq!(host.finish(id).response.unwrap()["error"]["code"], "reset");

    let (id, mut server) = dial(&mut host);
    host.cancel(id);
    assert_eq!(host.finish(id).response.unwrap()["error"]["code"], "reset");
    assert_eq!(server.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    // What crosses the response harms nobody.
    host.send(FrameType::Data, 0, id, b"late");
    let ping = host.request("ping", &json!({}));
    host.result(ping);
    host.close();
}
