//! What programs may hold of the network at each other's cost, with real programs, the kernel's own TCP and a real TUN device in a network namespace of the
//! agent's. Where namespaces are forbidden only the tests in a VM see this.
#![allow(clippy::unwrap_used)]

// The host can do more than this file asks of it.
#[allow(dead_code)]
mod host;
// Nor has each file a use for all of this.
#[allow(dead_code)]
mod network_host;

use exec_sandbox_agent::wire::FrameType;
use host::Host;
use network_host::{next_connect, python, refuse, say_connected, start, stdout, WINDOW};
use serde_json::json;

#[test]
fn programs_that_give_up_without_a_word_make_room_for_others() {
    let Some(mut host) = start() else { return };
    let body = "ss = [socket.socket() for _ in range(512)]\n\
        for s in ss: s.setblocking(False); s.connect_ex(('1.2.3.4', 80))\n\
        print('all', flush=True); sys.stdin.readline(); [s.close() for s in ss[:500]]; print('gone', flush=True)\n\
        sys.stdin.readline()";
    let program = python(&mut host, body);
    let asked: Vec<u32> = (0..512).map(|_| next_connect(&mut host).0).collect();
    let another = python(&mut host, "print(attempt(connect))");
    assert_eq!(stdout(&mut host, another), "ECONNREFUSED\n", "all places are taken");
    host.send(FrameType::Data, 0, program, b"\n");
    host.listen_until(program, |heard| heard.stdout.ends_with(b"gone\n"));
    // Not more often than a few times a second is it looked who has gone.
    let another = python(
        &mut host,
        "time.sleep(0.3); s = socket.socket(socket.AF_INET6)\nprint(attempt(lambda: s.connect(('::ffff:9.9.9.9', 9))))",
    );
    let (id, params) = next_connect(&mut host);
    assert_eq!(params, json!({ "address": "9.9.9.9", "port": 9 }));
    let cancelled = asked.iter().filter(|id| host.heard(**id).cancelled).count();
    assert_eq!(cancelled, 500);
    say_connected(&mut host, id);
    refuse(&mut host, id, "reset");
    stdout(&mut host, another);
    host.send(FrameType::End, 0, program, &[]);
    host.result(program);
    host.close();
}

#[test]
fn programs_that_leave_connections_behind_make_room_for_others() {
    let Some(mut host) = start() else { return };
    // More than the credit of the host that takes none of it, so not even the end gets through; and an end that does.
    let body = "ss = [connect() for _ in range(512)]; print('all', flush=True); sys.stdin.readline()\n\
        for s in ss[:50]:\n\
        \x20   s.setblocking(False)\n\
        \x20   while attempt(lambda: s.send(bytes(65536))) != 'EAGAIN': pass\n\
        for s in ss[:500]: s.close()\n\
        print('left', flush=True); sys.stdin.readline()";
    let program = python(&mut host, body);
    let mut asked = Vec::new();
    for _ in 0..512 {
        let (id, _) = next_connect(&mut host);
        say_connected(&mut host, id);
        asked.push(id);
    }
    host.listen_until(program, |heard| heard.stdout == b"all\n");
    host.send(FrameType::Data, 0, program, b"\n");
    host.listen_until(program, |heard| heard.stdout.ends_with(b"left\n"));
    let another = python(&mut host, "print(attempt(connect))");
    assert_eq!(stdout(&mut host, another), "ECONNREFUSED\n", "all places are taken");
    let another = python(
        &mut host,
        "first = time.monotonic()\n\
        while attempt(connect) == 'ECONNREFUSED' and time.monotonic() < first + 60: time.sleep(0.3)",
    );
    let (id, _) = next_connect(&mut host);
    let cancelled = |host: &Host, ids: &[u32]| ids.iter().filter(|id| host.heard(**id).cancelled).count();
    assert_eq!((cancelled(&host, &asked[..500]), cancelled(&host, &asked[500..])), (500, 0));
    say_connected(&mut host, id);
    refuse(&mut host, id, "reset");
    stdout(&mut host, another);
    host.send(FrameType::End, 0, program, &[]);
    host.result(program);
    host.close();
}

#[test]
fn programs_that_fetch_nothing_do_not_fill_the_agent() {
    let Some(mut host) = start() else { return };
    let program =
        python(&mut host, "ss = [connect() for _ in range(8)]; print('all', flush=True); sys.stdin.readline()");
    let mut flows = Vec::new();
    for _ in 0..8 {
        let (id, _) = next_connect(&mut host);
        say_connected(&mut host, id);
        flows.push((id, 0_u64));
    }
    host.listen_until(program, |heard| heard.stdout == b"all\n");
    // Everything that the credit allows, until it is too much for the agent and one flow goes. Four windows are more than it may
    // hold.
    while !flows.iter().any(|(id, _)| host.heard(*id).cancelled) {
        let mut sent_now = false;
        for (id, sent) in &mut flows {
            if !host.heard(*id).cancelled && WINDOW + host.heard(*id).credit >= *sent + 65_536 {
                host.send(FrameType::Data, 1, *id, &vec![9; 65_536]);
                *sent += 65_536;
                sent_now = true;
            }
        }
        if !sent_now {
            host.listen();
        }
        while host.listens_within(std::time::Duration::ZERO) {}
    }
    let cancelled = flows.iter().filter(|(id, _)| host.heard(*id).cancelled).count();
    assert!((1..=4).contains(&cancelled), "{cancelled} of 8 went");
    // The others and everybody else live on.
    let other = host.exec("echo beside");
    assert_eq!(host.result(other).0.stdout, b"beside\n");
    host.close();
}

#[test]
fn what_one_program_does_not_fetch_costs_no_other_its_connection() {
    let Some(mut host) = start() else { return };
    let body = "ss = [connect() for _ in range(11)]; print('all', flush=True); sys.stdin.readline()";
    let program = python(&mut host, body);
    let mut flows = Vec::new();
    for _ in 0..11 {
        let (id, _) = next_connect(&mut host);
        say_connected(&mut host, id);
        flows.push(id);
    }
    host.listen_until(program, |heard| heard.stdout == b"all\n");
    let late = flows.split_off(8);
    // All that the credit allows, of the first ones and then of the last. Five of them are more than the agent may hold.
    for ids in [&flows, &late] {
        let mut sent = vec![0_u64; ids.len()];
        loop {
            let mut sent_now = false;
            for (id, sent) in ids.iter().zip(&mut sent) {
                if !host.heard(*id).cancelled && WINDOW + host.heard(*id).credit >= *sent + 65_536 {
                    host.send(FrameType::Data, 1, *id, &vec![9; 65_536]);
                    *sent += 65_536;
                    sent_now = true;
                }
            }
            // Whatever has become of it has been said before this answer.
            let ping = host.request("ping", &json!({}));
            host.result(ping);
            if !sent_now {
                break;
            }
        }
    }
    let gone = flows.iter().filter(|id| host.heard(**id).cancelled).count();
    assert!(gone >= 6, "{gone} of 8 went");
    assert!(late.iter().all(|id| !host.heard(*id).cancelled), "others went first");
    host.close();
}

#[test]
fn a_dial_to_a_port_where_nobody_listens_does_not_meet_itself() {
    let Some(mut host) = start() else { return };
    // One port is left to choose from: that which is dialled.
    let narrow = host.exec("echo '40001 40001' > /proc/sys/net/ipv4/ip_local_port_range");
    assert_eq!(host.result(narrow).0.stderr, b"");
    for _ in 0..3 {
        let dial = host.request("dial", &json!({ "port": 40001 }));
        let heard = host.finish(dial);
        assert_eq!((heard.response.unwrap()["error"]["code"].as_str(), heard.events.len()), (Some("refused"), 0));
    }
    // Nor does it keep the server from its port.
    let server = python(&mut host, "s = socket.socket(); s.bind(('127.0.0.1', 40001)); print('bound')");
    assert_eq!(stdout(&mut host, server), "bound\n");
    host.close();
}
