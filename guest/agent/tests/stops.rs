//! `stop`: the host ends what a context has. The REPL's programs are bash.
#![allow(clippy::unwrap_used)]

// The host can do more than this file asks of it.
#[allow(dead_code)]
mod host;

use host::Host;
use serde_json::{json, Value};

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn run_request(host: &mut Host, context: &str, code: &str) -> u32 {
    let params =
        json!({ "language": "python", "context": context, "code": code, "stdoutLimit": 1_000, "stderrLimit": 1_000 });
    host.request("run", &params)
}

fn ending(result: &Value) -> (u64, &str, &str) {
    let field = |name: &str| result[name].as_str().unwrap();
    (result["exitCode"].as_u64().unwrap(), field("reason"), field("state"))
}

fn stop(host: &mut Host, context: &str) -> Value {
    let id = host.request("stop", &json!({ "language": "python", "context": context }));
    host.finish(id).response.unwrap()["result"]["stopped"].clone()
}

#[test]
fn a_repl_that_the_host_stops_is_gone_and_others_are_not() {
    let mut host = Host::start();
    assert_eq!(stop(&mut host, "main"), false, "there is none yet");
    for context in ["main", "other"] {
        let id = run_request(&mut host, context, "kept=5");
        host.finish(id);
    }
    assert_eq!(stop(&mut host, "main"), true);
    let id = run_request(&mut host, "main", "echo \"[$kept]\"");
    let heard = host.finish(id);
    assert_eq!(text(&heard.stdout), "[]\n");
    assert_eq!(heard.response.unwrap()["result"]["state"], "kept", "nobody lost what he did not mean to lose");
    let id = run_request(&mut host, "other", "echo \"[$kept]\"");
    assert_eq!(text(&host.finish(id).stdout), "[5]\n");
    host.close();
}

#[test]
fn stopping_ends_the_run_and_those_that_wait_get_a_new_repl() {
    let mut host = Host::start();
    let running = run_request(&mut host, "main", "echo up; sleep 60");
    host.listen_until(running, |heard| heard.stdout == b"up\n");
    let waiting = run_request(&mut host, "main", "echo next");
    assert_eq!(stop(&mut host, "main"), true);
    let result = host.finish(running).response.unwrap()["result"].clone();
    assert_eq!(ending(&result), (137, "signal", "reset"));
    assert_eq!(text(&host.finish(waiting).stdout), "next\n");
    host.close();
}

#[test]
fn stopping_ends_a_program_that_named_its_interpreter_too() {
    let mut host = Host::start();
    let params = json!({ "language": "bash", "context": "main", "code": "#!/bin/bash\necho up; sleep 60",
        "stdoutLimit": 1000, "stderrLimit": 1000 });
    let running = host.request("run", &params);
    host.listen_until(running, |heard| heard.stdout == b"up\n");
    let id = host.request("stop", &json!({ "language": "bash", "context": "main" }));
    assert_eq!(host.finish(id).response.unwrap()["result"]["stopped"], true);
    let result = host.finish(running).response.unwrap()["result"].clone();
    assert_eq!((result["exitCode"].as_u64(), result["reason"].as_str()), (Some(137), Some("signal")));
    host.close();
}

#[test]
fn a_run_that_waits_behind_an_ending_repl_gets_its_own_output() {
    let mut host = Host::start();
    for _ in 0..20 {
        let first = run_request(&mut host, "main", "echo first");
        host.finish(first);
        // The stop and the runs arrive together: the runs wait while the old REPL goes.
        let stop = host.request("stop", &json!({ "language": "python", "context": "main" }));
        let second = run_request(&mut host, "main", "echo second");
        let third = run_request(&mut host, "main", "echo third");
        assert_eq!(text(&host.finish(second).stdout), "second\n");
        assert_eq!(text(&host.finish(third).stdout), "third\n");
        host.finish(stop);
    }
    host.close();
}

#[test]
fn a_repl_stopped_while_it_starts_fails_no_run() {
    let mut host = Host::start();
    let start = host.request("start", &json!({ "language": "python", "context": "main" }));
    let waiting = run_request(&mut host, "main", "echo next");
    assert_eq!(stop(&mut host, "main"), true);
    assert_eq!(host.finish(start).response.unwrap()["error"]["code"], "spawn");
    assert_eq!(text(&host.finish(waiting).stdout), "next\n");
    host.close();
}
