//! The guest's own connections, with real programs, the kernel's own TCP and a real TUN device in a network namespace of the
//! agent's. Where namespaces are forbidden only the tests in a VM see this.
#![allow(clippy::unwrap_used)]

// The host can do more than this file asks of it.
#[allow(dead_code)]
mod host;
// Nor has each file a use for all of this.
#[allow(dead_code)]
mod network_host;

use exec_sandbox_agent::wire::FrameType;
use network_host::{next_connect, python, refuse, say_connected, start, stdout, WINDOW};
use serde_json::json;

#[test]
fn a_program_talks_to_a_server_that_the_host_has_reached() {
    let Some(mut host) = start() else { return };
    let program =
        python(&mut host, "s = connect(); s.sendall(b'ping'); print(s.recv(9), s.getpeername(), s.recv(9)); s.close()");
    let (id, params) = next_connect(&mut host);
    assert_eq!(params, json!({ "address": "93.184.216.34", "port": 443 }));
    say_connected(&mut host, id);
    host.listen_until(id, |heard| heard.stdout == b"ping");
    host.send(FrameType::Data, 1, id, b"pong");
    host.send(FrameType::End, 1, id, &[]);
    host.listen_until(id, |heard| heard.ended == [0]);
    host.answer(id, &json!({ "result": {} }));
    assert_eq!(stdout(&mut host, program), "b'pong' ('93.184.216.34', 443) b''\n");
    host.close();
}

#[test]
fn connect_tells_what_the_host_says() {
    let Some(mut host) = start() else { return };
    for (code, told) in [
        ("refused", "ECONNREFUSED"),
        ("connection-refused", "ECONNREFUSED"),
        ("busy", "ECONNREFUSED"),
        ("reset", "ECONNREFUSED"),
        ("unreachable", "EHOSTUNREACH"),
        ("timed-out", "EHOSTUNREACH"),
    ] {
        let program = python(&mut host, "print(attempt(lambda: connect('10.1.2.3', 81)))");
        let (id, params) = next_connect(&mut host);
        assert_eq!(params, json!({ "address": "10.1.2.3", "port": 81 }));
        refuse(&mut host, id, code);
        assert_eq!(stdout(&mut host, program), format!("{told}\n"), "{code}");
    }
    host.close();
}

#[test]
fn what_the_host_says_before_the_handshake_is_over_is_not_lost() {
    let Some(mut host) = start() else { return };
    let program = python(&mut host, "s = connect(); print(s.makefile('rb').read()); s.close()");
    let (id, _) = next_connect(&mut host);
    say_connected(&mut host, id);
    host.send(FrameType::Data, 1, id, b"at once, ");
    host.send(FrameType::Data, 1, id, b"and more");
    host.send(FrameType::End, 1, id, &[]);
    host.listen_until(id, |heard| heard.ended == [0]);
    host.answer(id, &json!({ "result": {} }));
    assert_eq!(stdout(&mut host, program), "b'at once, and more'\n");
    host.close();
}

#[test]
fn the_last_bytes_are_the_programs_although_the_exchange_is_over() {
    let Some(mut host) = start() else { return };
    let body = "s = connect(); s.shutdown(socket.SHUT_WR); sys.stdin.readline(); print(len(s.makefile('rb').read()))";
    let program = python(&mut host, body);
    let (id, _) = next_connect(&mut host);
    say_connected(&mut host, id);
    let mut sent = 0_u64;
    // Until neither the program's socket nor the agent's takes more.
    while WINDOW + host.heard(id).credit >= sent + 65_536 || host.listens_within(std::time::Duration::from_millis(500))
    {
        if WINDOW + host.heard(id).credit >= sent + 65_536 {
            host.send(FrameType::Data, 1, id, &vec![5; 65_536]);
            sent += 65_536;
        }
    }
    host.send(FrameType::End, 1, id, &[]);
    host.listen_until(id, |heard| heard.ended == [0]);
    host.answer(id, &json!({ "result": {} }));
    host.send(FrameType::Data, 0, program, b"\n");
    assert_eq!(stdout(&mut host, program), format!("{sent}\n"));
    host.close();
}

#[test]
fn megabytes_go_up_and_come_back_unchanged() {
    let Some(mut host) = start() else { return };
    let body = "s = connect(); data = os.urandom(8_000_000)\n\
        threading.Thread(target=lambda: (s.sendall(data), s.shutdown(socket.SHUT_WR))).start()\n\
        back = s.makefile('rb').read(); print(back == data)";
    let program = python(&mut host, body);
    let (id, _) = next_connect(&mut host);
    say_connected(&mut host, id);
    let mut echoed = 0;
    loop {
        let heard = host.heard(id);
        let room = usize::try_from(WINDOW + heard.credit).unwrap() - echoed;
        let waiting = heard.stdout.len() - echoed;
        let length = waiting.min(room).min(65_536);
        if length > 0 {
            let piece = heard.stdout[echoed..echoed + length].to_vec();
            host.send(FrameType::Data, 1, id, &piece);
            echoed += length;
        } else if heard.ended == [0] && waiting == 0 {
            break;
        } else {
            host.listen();
        }
    }
    host.send(FrameType::End, 1, id, &[]);
    host.answer(id, &json!({ "result": {} }));
    assert_eq!(stdout(&mut host, program), "True\n");
    host.close();
}

#[test]
fn resets_are_passed_on_in_both_directions() {
    let Some(mut host) = start() else { return };
    let body = "s = connect(); print(s.recv(1), flush=True); print(attempt(lambda: s.recv(1)))";
    let program = python(&mut host, body);
    let (id, _) = next_connect(&mut host);
    say_connected(&mut host, id);
    host.send(FrameType::Data, 1, id, b"x");
    host.listen_until(program, |heard| heard.stdout == b"b'x'\n");
    refuse(&mut host, id, "reset");
    assert_eq!(stdout(&mut host, program), "b'x'\nECONNRESET\n");

    let body =
        "s = connect(); s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\\1\\0\\0\\0\\0\\0\\0\\0'); s.close()";
    let program = python(&mut host, body);
    let (id, _) = next_connect(&mut host);
    say_connected(&mut host, id);
    host.listen_until(id, |heard| heard.cancelled);
    // What crosses the CANCEL harms nobody.
    host.send(FrameType::Data, 1, id, b"late");
    refuse(&mut host, id, "reset");
    stdout(&mut host, program);
    host.close();
}

#[test]
fn a_program_that_has_gone_before_it_was_connected_is_told_of() {
    let Some(mut host) = start() else { return };
    let program = python(&mut host, "s = socket.socket(); s.setblocking(False); s.connect_ex(('9.9.9.9', 9))");
    let (id, _) = next_connect(&mut host);
    stdout(&mut host, program);
    say_connected(&mut host, id);
    host.listen_until(id, |heard| heard.cancelled);
    refuse(&mut host, id, "reset");
    host.close();
}

#[test]
fn more_connections_than_there_may_be_are_refused_at_once() {
    let Some(mut host) = start() else { return };
    let body = "import select\n\
        ss = [socket.socket() for _ in range(600)]\n\
        for s in ss: s.setblocking(False); s.connect_ex(('1.2.3.4', 80))\n\
        p = select.poll(); [p.register(s, select.POLLOUT) for s in ss]\n\
        done = set()\n\
        while len(done) < 88:\n\
        \x20   for f, _ in p.poll(): p.unregister(f); done.add(f)\n\
        print(len(done), {attempt(lambda: s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)) for s in ss if s.fileno() in done} == {errno.ECONNREFUSED}, flush=True)\n\
        sys.stdin.read()";
    let program = python(&mut host, body);
    host.listen_until(program, |heard| heard.stdout.ends_with(b"\n"));
    assert_eq!(String::from_utf8_lossy(&host.heard(program).stdout), "88 True\n");
    let asked: Vec<u32> = (0..512).map(|_| next_connect(&mut host).0).collect();
    assert!(host.asked.is_empty());
    for id in asked {
        refuse(&mut host, id, "unreachable");
    }
    // There is room again. Repeated requests of the others may still have been on their way.
    let another = python(&mut host, "print(attempt(connect))");
    loop {
        let (id, params) = next_connect(&mut host);
        refuse(&mut host, id, "refused");
        if params["port"] == 443 {
            break;
        }
    }
    assert_eq!(stdout(&mut host, another), "ECONNREFUSED\n");
    host.send(FrameType::End, 0, program, &[]);
    host.result(program);
    host.close();
}

/// A question about a name, as a resolver asks it.
const ASK: &str = "import struct\n\
    def ask(name, kind=1, port=53):\n\
    \x20   s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(20); s.connect(('100.64.0.1', port))\n\
    \x20   labels = b''.join(bytes([len(l)]) + l.encode() for l in name.split('.') if l) + b'\\0'\n\
    \x20   s.send(struct.pack('>6H', 7, 0x100, 1, 0, 0, 0) + labels + struct.pack('>2H', kind, 1))\n\
    \x20   m = s.recv(9999); i, f, q, a, n, x = struct.unpack('>6H', m[:12])\n\
    \x20   assert i == 7 and f & 0x8180 == 0x8180\n\
    \x20   return f & 15, [socket.inet_ntoa(m[len(m) - 16 * k - 4:][:4]) for k in reversed(range(a))]\n";

#[test]
fn names_are_resolved_by_the_host() {
    let Some(mut host) = start() else { return };
    for (status, addresses, told) in [
        ("ok", json!(["1.2.3.4", "5.6.7.8"]), "(0, ['1.2.3.4', '5.6.7.8'])\n"),
        ("no-data", json!([]), "(0, [])\n"),
        ("no-name", json!([]), "(3, [])\n"),
        ("refused", json!([]), "(3, [])\n"),
        ("failed", json!([]), "(2, [])\n"),
    ] {
        let program = python(&mut host, &format!("{ASK}print(ask('Example.com'))"));
        let (id, asked) = host.next_asked();
        assert_eq!(asked, json!({ "method": "resolve", "params": { "name": "Example.com", "type": "A" } }));
        host.answer(id, &json!({ "result": { "status": status, "addresses": addresses, "ttlS": 60 } }));
        assert_eq!(stdout(&mut host, program), told);
    }
    // Of these the host hears nothing.
    let program = python(&mut host, &format!("{ASK}print(ask('a.b', 28), ask('a.b', 16), ask('a b', 1), ask('', 2))"));
    assert_eq!(stdout(&mut host, program), "(0, []) (0, []) (3, []) (0, [])\n");
    host.close();
}

#[test]
fn datagrams_to_anywhere_else_are_refused_at_once() {
    let Some(mut host) = start() else { return };
    let body = "for a in (('8.8.8.8', 53), ('100.64.0.1', 54), ('1.1.1.1', 443)):\n\
        \x20   u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.settimeout(20); u.connect(a); u.send(b'x')\n\
        \x20   print(attempt(lambda: u.recv(1)))\n\
        print(attempt(lambda: connect('100.64.0.1', 53)))";
    let program = python(&mut host, body);
    assert_eq!(stdout(&mut host, program), "ECONNREFUSED\n".repeat(4));
    host.close();
}

#[test]
fn nobody_reaches_the_listener_but_through_the_agent() {
    let Some(mut host) = start() else { return };
    let body = "rows = [l.split() for l in open('/proc/net/tcp')][1:]\n\
        ports = [int(r[1].split(':')[1], 16) for r in rows if r[3] == '0A']\n\
        assert len(ports) == 1\n\
        print(attempt(lambda: connect('100.64.0.2', ports[0]).recv(1)))\n\
        s = socket.socket(); s.setsockopt(socket.IPPROTO_IP, 15, 1); s.bind(('100.64.0.1', 4000))\n\
        print(attempt(lambda: s.connect(('100.64.0.2', ports[0]))))";
    let program = python(&mut host, body);
    let told = stdout(&mut host, program);
    // A socket that is bound to an address that is not the machine's (IP_FREEBIND) has no way from there.
    assert_eq!(told, "ECONNRESET\nENETUNREACH\n");
    assert!(host.asked.is_empty());
    host.close();
}

#[test]
fn packets_with_options_and_odd_segments_harm_nobody() {
    let Some(mut host) = start() else { return };
    // Record route, which any program may ask for; a tiny segment size; urgent data.
    let body = "s = socket.socket(); s.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, bytes([7, 11, 4] + [0] * 8))\n\
        print(attempt(lambda: s.connect(('1.2.3.4', 80))))\n\
        s = socket.socket(); s.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 88)\n\
        s.connect(('1.2.3.4', 80)); s.send(b'ab'); s.send(b'!', socket.MSG_OOB); s.send(b'c' * 1000)\n\
        print(len(s.recv(9))); s.close()";
    let program = python(&mut host, body);
    let (id, _) = next_connect(&mut host);
    say_connected(&mut host, id);
    host.listen_until(id, |heard| heard.stdout.len() == 1_003);
    assert!(host.heard(id).stdout.starts_with(b"ab!c"));
    host.send(FrameType::Data, 1, id, b"12345");
    host.listen_until(id, |heard| heard.ended == [0]);
    host.send(FrameType::End, 1, id, &[]);
    host.answer(id, &json!({ "result": {} }));
    assert_eq!(stdout(&mut host, program), "EHOSTUNREACH\n5\n");
    host.close();
}

#[test]
fn turned_off_nothing_of_the_network_is_left() {
    let Some(mut host) = start() else { return };
    let body = "s = connect(); print(s.recv(1), flush=True)\n\
        w = threading.Thread(target=lambda: print('waiting', attempt(lambda: connect('4.4.4.4', 4)), flush=True)); w.start()\n\
        print('open', attempt(lambda: s.recv(1)), flush=True); w.join()\n\
        print(attempt(connect), [n for _, n in socket.if_nameindex()])";
    let program = python(&mut host, body);
    let (open, _) = next_connect(&mut host);
    say_connected(&mut host, open);
    host.send(FrameType::Data, 1, open, b"x");
    let (waiting, _) = next_connect(&mut host);
    let off = host.request("network", &json!({ "enabled": false }));
    host.result(off);
    let heard = [open, waiting].map(|id| host.heard(id).cancelled);
    assert_eq!(heard, [true, true]);
    for id in [open, waiting] {
        refuse(&mut host, id, "reset");
    }
    let told = stdout(&mut host, program);
    let mut lines: Vec<&str> = told.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["ENETUNREACH ['lo']", "b'x'", "open ECONNRESET", "waiting ECONNREFUSED"]);
    let resolver = host.directory().join("resolv.conf");
    assert_eq!(std::fs::read_to_string(&resolver).unwrap(), "");

    // And on again, any number of times.
    for _ in 0..20 {
        for enabled in [true, true, false, false] {
            let id = host.request("network", &json!({ "enabled": enabled }));
            host.result(id);
        }
    }
    let on = host.request("network", &json!({ "enabled": true }));
    host.result(on);
    assert!(std::fs::read_to_string(&resolver).unwrap().starts_with("nameserver 100.64.0.1\n"));
    let program = python(&mut host, "print(attempt(connect))");
    let (id, _) = next_connect(&mut host);
    refuse(&mut host, id, "refused");
    assert_eq!(stdout(&mut host, program), "ECONNREFUSED\n");
    host.close();
}
