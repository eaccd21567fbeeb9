//! `exec` and what belongs to it, with real processes and the real event loop, outside a VM.
#![allow(clippy::unwrap_used)]

// The host can do more than this file asks of it.
#[allow(dead_code)]
mod host;

use exec_sandbox_agent::wire::FrameType;
use host::Host;
use serde_json::json;

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn a_program_starts_writes_to_both_streams_and_ends_with_its_code() {
    let mut host = Host::start();
    let id = host.exec("echo out; echo err >&2; exit 7");
    let (heard, result) = host.result(id);
    assert_eq!((text(&heard.stdout), text(&heard.stderr)), ("out\n", "err\n"));
    assert_eq!(heard.events.len(), 1);
    assert_eq!(heard.events[0]["event"], "started");
    assert!(heard.events[0]["pid"].as_i64().unwrap() > 1);
    assert_eq!(result["exitCode"], 7);
    assert_eq!(result["reason"], "exit");
    assert_eq!(result["stdoutTruncated"], false);
    assert!(result.get("state").is_none());
    assert!(result["spawnMs"].as_f64().unwrap() > 0.0);
    assert!(result["peakBytes"].as_u64().unwrap() > 100_000);
    assert!(host.close().contains("closed the channel"));
}

#[test]
fn a_program_that_cannot_be_started_ends_as_in_a_shell() {
    let mut host = Host::start();
    for (argv, cwd, code, part) in [
        (json!(["no-such-program"]), "/", 127, "no-such-program: No such file"),
        (json!(["/etc"]), "/", 126, "/etc: Permission denied"),
        (json!(["true"]), "/no/such/place", 126, "cannot enter /no/such/place"),
    ] {
        let id = host.request("exec", &json!({ "argv": argv, "cwd": cwd }));
        let heard = host.finish(id);
        let result = heard.response.unwrap()["result"].clone();
        assert_eq!((result["exitCode"].as_u64(), result["reason"].as_str()), (Some(code), Some("exit")), "{result}");
        assert!(String::from_utf8_lossy(&heard.stderr).contains(part), "{:?}", heard.stderr);
        assert_eq!(heard.events.len(), 1, "the pid is told all the same");
    }
    host.close();
}

#[test]
fn bad_requests_are_answered_and_harm_nobody() {
    let mut host = Host::start();
    let bad = [
        ("exec", json!({ "argv": [] })),
        ("exec", json!({ "argv": [""] })),
        ("exec", json!({ "argv": ["a\0b"] })),
        ("exec", json!({ "argv": ["true"], "env": { "A=B": "" } })),
        ("exec", json!({ "argv": ["true"], "timeoutMs": -1 })),
        ("exec", json!({ "argv": ["true"], "timeoutMs": 0.5 })),
        ("exec", json!([])),
        ("run", json!({ "language": "cobol", "context": "a", "code": "", "stdoutLimit": 1, "stderrLimit": 1 })),
        ("run", json!({ "language": "bash", "context": "a b", "code": "", "stdoutLimit": 1, "stderrLimit": 1 })),
        ("signal", json!({ "target": 1, "signal": 65 })),
        ("start", json!({ "language": "bash" })),
        ("resume", json!({ "unixTimeNs": "-1", "entropy": "", "hostname": "a" })),
    ];
    for (method, params) in bad {
        let id = host.request(method, &params);
        assert_eq!(host.finish(id).response.unwrap()["error"]["code"], "bad-request", "{method} {params}");
    }
    let id = host.request("reboot", &json!({}));
    assert_eq!(host.finish(id).response.unwrap()["error"]["code"], "unknown-method");
    let id = host.request("ping", &json!({}));
    assert!(host.result(id).1["guestMs"].as_f64().unwrap() > 0.0);
    host.close();
}

#[test]
fn standard_input_flows_with_credit_until_its_end() {
    let mut host = Host::start();
    let id = host.request("exec", &json!({ "argv": ["/bin/sh", "-c", "cat | wc -c"] }));
    let (mut sent, total) = (0_u64, 1_000_000_u64);
    while sent < total {
        host.listen_until(id, |heard| sent < 262_144 + heard.credit);
        let chunk = (total - sent).min(10_000);
        host.listen_until(id, |heard| sent + chunk <= 262_144 + heard.credit);
        host.send(FrameType::Data, 0, id, &vec![b'x'; usize::try_from(chunk).unwrap()]);
        sent += chunk;
    }
    host.send(FrameType::End, 0, id, &[]);
    let (heard, _) = host.result(id);
    assert_eq!(text(&heard.stdout).trim(), "1000000");
    host.close();
}

#[test]
fn input_that_nobody_reads_is_taken_and_dropped() {
    let mut host = Host::start();
    let id = host.exec("exec 0<&-; echo closed; sleep 300");
    host.listen_until(id, |heard| heard.stdout == b"closed\n");
    for _ in 0..4 {
        host.send(FrameType::Data, 0, id, &vec![0; 65_536]);
    }
    host.listen_until(id, |heard| heard.credit == 262_144);
    host.send(FrameType::End, 0, id, &[]);
    host.cancel(id);
    host.result(id);
    host.close();
}

#[test]
fn output_is_exact_at_any_size_and_cut_at_its_limit() {
    let mut host = Host::start();
    for size in [0, 1, 65_535, 65_536, 65_537, 999_000, 3_000_001] {
        let id = host.exec(&format!("head -c {size} /dev/zero | tr '\\0' x"));
        let (heard, result) = host.result(id);
        assert_eq!(heard.stdout.len(), size);
        assert_eq!(result["stdoutTruncated"], false);
    }
    for (size, limit) in [(1_000, 1_000), (1_001, 1_000), (2_000_000, 100_000)] {
        let command = format!("head -c {size} /dev/zero");
        let params = json!({ "argv": ["/bin/bash", "-c", command], "stdoutLimit": limit });
        let id = host.request("exec", &params);
        let (heard, result) = host.result(id);
        assert_eq!(heard.stdout.len(), size.min(limit));
        assert_eq!(result["stdoutTruncated"], size > limit);
    }
    host.close();
}

#[test]
fn without_credit_output_stops_and_nothing_else_does() {
    let mut host = Host::start();
    let flood = host.exec("head -c 2000000 /dev/zero");
    host.withheld.push(flood);
    host.listen_until(flood, |heard| heard.stdout.len() == 262_144);
    // The flood stands still; requests beside it are answered.
    let ping = host.request("ping", &json!({}));
    host.result(ping);
    let other = host.exec("echo beside");
    assert_eq!(text(&host.result(other).0.stdout), "beside\n");
    host.withheld.clear();
    host.send(FrameType::Credit, 1, flood, &2_000_000_u32.to_le_bytes());
    assert_eq!(host.result(flood).0.stdout.len(), 2_000_000);
    host.close();
}

#[test]
fn a_cancel_ends_a_program_whose_output_nobody_takes() {
    let mut host = Host::start();
    let flood = host.exec("trap 'echo late; exit 3' INT; while :; do echo y; done");
    host.withheld.push(flood);
    host.listen_until(flood, |heard| heard.stdout.len() == 262_144);
    host.cancel(flood);
    let (heard, result) = host.result(flood);
    assert_eq!(heard.stdout.len(), 262_144);
    assert_eq!((&result["reason"], &result["exitCode"]), (&json!("cancelled"), &json!(3)));
    assert_eq!(result["stdoutTruncated"], true);
    host.close();
}

#[test]
fn a_time_out_interrupts_first_and_takes_the_whole_group() {
    let mut host = Host::start();
    let command = "trap '' INT; sleep 300 & echo $!; trap 'exit 5' TERM; wait; sleep 300; sleep 300";
    let id = host.request("exec", &json!({ "argv": ["/bin/bash", "-c", command], "timeoutMs": 300 }));
    let (heard, result) = host.result(id);
    assert_eq!((&result["reason"], &result["exitCode"]), (&json!("timeout"), &json!(124)));
    assert!(result["executeMs"].as_f64().unwrap() >= 2_200.0, "SIGTERM came too early: {result}");
    let child = text(&heard.stdout).trim().to_owned();
    assert_group_member_is_gone(&child);
    host.close();
}

/// The process has ended or is about to: it was killed with its group, and the agent reaps it as its orphan.
fn assert_group_member_is_gone(pid: &str) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while std::path::Path::new("/proc").join(pid).exists() {
        assert!(std::time::Instant::now() < deadline, "process {pid} lives on");
        std::thread::yield_now();
    }
}

#[test]
fn signals_reach_the_group_of_the_target() {
    let mut host = Host::start();
    let id = host.exec("echo up; sleep 300");
    host.listen_until(id, |heard| !heard.stdout.is_empty());
    let signal = host.request("signal", &json!({ "target": id, "signal": 15 }));
    assert_eq!(host.result(signal).1["delivered"], true);
    let (_, result) = host.result(id);
    assert_eq!((&result["reason"], &result["exitCode"]), (&json!("signal"), &json!(143)));
    let signal = host.request("signal", &json!({ "target": id, "signal": 15 }));
    assert_eq!(host.result(signal).1["delivered"], false);
    host.close();
}

#[test]
fn children_in_the_background_do_not_keep_a_program_from_ending() {
    let mut host = Host::start();
    let id = host.exec("sleep 300 & echo $!");
    let (heard, result) = host.result(id);
    assert_eq!(result["exitCode"], 0);
    let pid = text(&heard.stdout).trim().to_owned();
    assert!(std::path::Path::new("/proc").join(&pid).exists());
    let kill = host.exec(&format!("kill -9 {pid}"));
    host.result(kill);
    assert_group_member_is_gone(&pid);
    host.close();
}

#[test]
fn the_environment_of_the_sandbox_holds_for_all_and_a_calls_own_comes_on_top() {
    let mut host = Host::start();
    let entropy = "p6enp6enp6enp6enp6enp6enp6enp6enp6enp6enp6enp6enp6enp6enp6enp6enp6enp6enp6enp6enp6enpw==";
    let params = json!({ "unixTimeNs": "1763754000123456789", "entropy": entropy, "hostname": "h", "env": { "A": "1", "B": "1" } });
    let id = host.request("resume", &params);
    host.result(id);
    let argv = json!(["/bin/sh", "-c", "echo $A $B $HOME"]);
    let id = host.request("exec", &json!({ "argv": argv, "env": { "B": "2" } }));
    let (heard, _) = host.result(id);
    assert!(text(&heard.stdout).starts_with("1 2 /"), "{}", text(&heard.stdout));
    host.close();
}

#[test]
fn a_hundred_programs_at_a_time_are_kept_apart() {
    let mut host = Host::start();
    let ids: Vec<u32> = (0..100).map(|number| host.exec(&format!("echo {number}; exit {number}"))).collect();
    for (number, id) in ids.into_iter().enumerate() {
        let (heard, result) = host.result(id);
        assert_eq!(text(&heard.stdout), format!("{number}\n"));
        assert_eq!(result["exitCode"], number);
    }
    host.close();
}

#[test]
fn a_host_out_of_step_ends_the_agent_with_the_reason() {
    let mut host = Host::start();
    host.send(FrameType::Welcome, 0, 0, br#"{"generation":2}"#);
    assert!(host.close().contains("out of step"));
}
