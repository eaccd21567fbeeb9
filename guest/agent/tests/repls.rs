//! `start`, `run` and `resume` with a real REPL process, well-behaved and not. The REPL's programs are bash.
#![allow(clippy::unwrap_used)]

// The host can do more than this file asks of it.
#[allow(dead_code)]
mod host;

use exec_sandbox_agent::wire::FrameType;
use host::{Heard, Host};
use serde_json::{json, Value};

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn run_request(host: &mut Host, context: &str, code: &str, timeout_ms: u64) -> u32 {
    let params = json!({
        "language": "python", "context": context, "code": code, "env": {}, "timeoutMs": timeout_ms,
        "stdoutLimit": 1_000_000, "stderrLimit": 100_000,
    });
    host.request("run", &params)
}

fn run(host: &mut Host, code: &str) -> (Heard, Value) {
    let id = run_request(host, "main", code, 0);
    host.result(id)
}

fn ending(result: &Value) -> (u64, &str, &str) {
    let text = |name: &str| result[name].as_str().unwrap();
    (result["exitCode"].as_u64().unwrap(), text("reason"), text("state"))
}

#[test]
fn state_is_kept_and_only_the_first_run_pays_for_the_start() {
    let mut host = Host::start();
    let (heard, first) = run(&mut host, "x=41; echo out; echo err >&2; status=3");
    assert_eq!((text(&heard.stdout), text(&heard.stderr)), ("out\n", "err\n"));
    assert_eq!(ending(&first), (3, "exit", "kept"));
    assert!(first["spawnMs"].as_f64().unwrap() > 0.0);
    assert!(first["peakBytes"].as_u64().unwrap() > 100_000);
    let (heard, second) = run(&mut host, "echo $((x + 1))");
    assert_eq!(text(&heard.stdout), "42\n");
    assert_eq!(second["spawnMs"], 0.0);
    host.close();
}

#[test]
fn start_brings_a_repl_up_and_says_when_it_was_there_already() {
    let mut host = Host::start();
    let params = json!({ "language": "python", "context": "main" });
    let (first, second) = (host.request("start", &params), host.request("start", &params));
    let (_, first) = host.result(first);
    assert!(first["spawnMs"].as_f64().unwrap() > 0.0);
    assert_eq!(host.result(second).1["pid"], first["pid"]);
    let third = host.request("start", &params);
    assert_eq!(host.result(third).1, json!({ "pid": first["pid"], "spawnMs": 0.0 }));
    let (heard, _) = run(&mut host, "echo $$");
    assert_eq!(text(&heard.stdout).trim(), first["pid"].to_string());
    host.close();
}

#[test]
fn a_repl_that_cannot_start_is_a_spawn_error_for_all_who_wait() {
    let mut host = Host::start();
    let missing = host.request("start", &json!({ "language": "javascript", "context": "main" }));
    let error = host.finish(missing).response.unwrap()["error"].clone();
    assert_eq!(error["code"], "spawn");
    assert!(error["message"].as_str().unwrap().contains("No such file"), "{error}");

    let refuse = host.exec("touch ~/refuse-to-start");
    host.result(refuse);
    let start = host.request("start", &json!({ "language": "python", "context": "main" }));
    let waiting = run_request(&mut host, "main", "echo", 0);
    for id in [start, waiting] {
        let error = host.finish(id).response.unwrap()["error"].clone();
        assert_eq!(error["code"], "spawn");
        assert!(error["message"].as_str().unwrap().contains("exited with 9 before it was ready: not today"), "{error}");
    }
    let allow = host.exec("rm ~/refuse-to-start");
    host.result(allow);
    assert_eq!(text(&run(&mut host, "echo again").0.stdout), "again\n");
    host.close();
}

#[test]
fn runs_of_one_context_take_turns_and_contexts_are_apart() {
    let mut host = Host::start();
    let first = run_request(&mut host, "main", "mkfifo ~/gate; read -r line < ~/gate; echo first", 0);
    let second = run_request(&mut host, "main", "echo second", 0);
    let beside = run_request(&mut host, "other", "until [ -p ~/gate ]; do :; done; echo > ~/gate; echo beside", 0);
    assert_eq!(text(&host.result(beside).0.stdout), "beside\n");
    assert_eq!(text(&host.result(first).0.stdout), "first\n");
    assert_eq!(text(&host.result(second).0.stdout), "second\n");
    host.close();
}

#[test]
fn the_environment_of_a_call_holds_for_that_call() {
    let mut host = Host::start();
    let params = json!({
        "language": "python", "context": "main", "code": "echo \"<$CALL>\"", "env": { "CALL": "a=b\nc" },
        "stdoutLimit": 1000, "stderrLimit": 1000,
    });
    let id = host.request("run", &params);
    assert_eq!(text(&host.result(id).0.stdout), "<a=b\nc>\n");
    assert_eq!(text(&run(&mut host, "echo \"<$CALL>\"").0.stdout), "<>\n");
    host.close();
}

#[test]
fn output_of_any_size_belongs_to_its_run() {
    let mut host = Host::start();
    for size in [0, 65_535, 65_536, 65_537, 999_000] {
        let (heard, result) = run(&mut host, &format!("head -c {size} /dev/zero"));
        assert_eq!(heard.stdout.len(), size);
        assert_eq!(result["stdoutTruncated"], false);
    }
    let (heard, result) = run(&mut host, "head -c 1000001 /dev/zero; head -c 100001 /dev/zero >&2");
    assert_eq!((heard.stdout.len(), heard.stderr.len()), (1_000_000, 100_000));
    assert_eq!((&result["stdoutTruncated"], &result["stderrTruncated"]), (&json!(true), &json!(true)));
    host.close();
}

#[test]
fn what_a_child_prints_between_runs_belongs_to_the_next() {
    let mut host = Host::start();
    let code = "mkfifo ~/gate; (read -r line < ~/gate; echo late; echo > ~/gate) & echo early";
    assert_eq!(text(&run(&mut host, code).0.stdout), "early\n");
    let id = host.exec("echo > ~/gate; read -r line < ~/gate");
    host.result(id);
    assert_eq!(text(&run(&mut host, "echo next").0.stdout), "late\nnext\n");
    host.close();
}

#[test]
fn an_interrupt_that_is_enough_keeps_the_state() {
    let mut host = Host::start();
    let code = "echo begun; until [ -n \"$interrupted\" ]; do :; done; x=7; status=130";
    let id = run_request(&mut host, "main", code, 200);
    let (heard, result) = host.result(id);
    assert_eq!(text(&heard.stdout), "begun\n");
    assert_eq!(ending(&result), (124, "timeout", "kept"));

    let id = run_request(&mut host, "main", code, 0);
    host.listen_until(id, |heard| !heard.stdout.is_empty());
    host.cancel(id);
    let (_, result) = host.result(id);
    assert_eq!(ending(&result), (130, "cancelled", "kept"));
    assert_eq!(text(&run(&mut host, "echo $x").0.stdout), "7\n");
    host.close();
}

#[test]
fn a_program_that_ignores_every_plea_is_killed_and_the_next_run_works() {
    let mut host = Host::start();
    let id = run_request(&mut host, "main", "trap '' TERM; while :; do :; done", 100);
    let (_, result) = host.result(id);
    assert_eq!(ending(&result), (124, "timeout", "reset"));
    assert!(result["executeMs"].as_f64().unwrap() >= 5_100.0, "the ladder was climbed too fast: {result}");
    let (heard, result) = run(&mut host, "echo again");
    assert_eq!(text(&heard.stdout), "again\n");
    assert!(result["spawnMs"].as_f64().unwrap() > 0.0);
    host.close();
}

#[test]
fn a_hard_exit_is_the_result_with_all_that_was_printed() {
    let mut host = Host::start();
    let (heard, result) = run(&mut host, "head -c 60000 /dev/zero; exit 42");
    assert_eq!(heard.stdout.len(), 60_000);
    assert_eq!(ending(&result), (42, "exit", "reset"));
    let (heard, result) = run(&mut host, "echo last; kill -SEGV $$; sleep 300");
    assert_eq!(text(&heard.stdout), "last\n");
    assert_eq!(ending(&result), (139, "signal", "reset"));
    assert_eq!(text(&run(&mut host, "echo ok").0.stdout), "ok\n");
    host.close();
}

#[test]
fn a_repl_lost_between_two_runs_is_told_once() {
    let mut host = Host::start();
    run(&mut host, "kept=1");
    let start = host.request("start", &json!({ "language": "python", "context": "main" }));
    let pid = host.finish(start).response.unwrap()["result"]["pid"].clone();
    // Until it is reaped it can still be signalled.
    let kill = host.exec(&format!("kill -KILL {pid}; while kill -0 {pid} 2>/dev/null; do :; done"));
    host.result(kill);
    let (heard, result) = run(&mut host, "echo \"<$kept>\"");
    assert_eq!((text(&heard.stdout), &result["state"]), ("<>\n", &json!("reset")));
    assert_eq!(run(&mut host, "echo again").1["state"], "kept");
    host.close();
}

#[test]
fn a_repl_that_breaks_the_protocol_is_killed() {
    let mut host = Host::start();
    for code in [
        "printf 'Q\\0\\0\\0\\0' >&3; sleep 300",
        "printf 'O\\xff\\xff\\xff\\xff' >&3; sleep 300",
        "emit D ${mark}999; sleep 300",
        "emit D 0123456789abcdef0; sleep 300",
        "emit X 0123456789abcdef; sleep 300",
        "emit R ''; sleep 300",
        "exec 3>&-; exec sleep 300",
    ] {
        let (_, result) = run(&mut host, code);
        assert_eq!(ending(&result), (137, "signal", "reset"), "{code}");
    }
    assert_eq!(text(&run(&mut host, "echo ok").0.stdout), "ok\n");
    host.close();
}

#[test]
fn displayed_values_and_the_error_are_passed_on_within_bounds() {
    let mut host = Host::start();
    let (heard, result) =
        run(&mut host, "emit O $mark'{\"text/plain\":\"1\"}'; emit X $mark'{\"name\":\"E\"}'; status=1");
    assert_eq!(heard.events, [json!({ "event": "result", "data": "{\"text/plain\":\"1\"}" })]);
    assert_eq!(result["error"], "{\"name\":\"E\"}");
    let (heard, result) = run(&mut host, "for i in {1..300}; do emit O $mark$i; done");
    assert_eq!(heard.events.len(), 256);
    assert!(result.get("error").is_none());
    host.close();
}

#[test]
fn what_a_program_forges_counts_for_its_own_run_alone() {
    let mut host = Host::start();
    // The program's own end comes after the forged one, when the next run waits or has begun.
    let (_, forged) = run(&mut host, "emit D ${mark}7; mkfifo ~/gate; read -r line < ~/gate; echo late");
    assert_eq!(ending(&forged).0, 7);
    let next = run_request(&mut host, "main", "echo next; sleep 300", 0);
    let open = host.exec("until [ -p ~/gate ]; do :; done; echo > ~/gate");
    host.result(open);
    let (heard, result) = host.result(next);
    assert_eq!((text(&heard.stdout), ending(&result)), ("late\n", (137, "signal", "reset")));
    host.close();
}

#[test]
fn what_displays_after_its_run_is_not_seen_and_harms_nothing() {
    let mut host = Host::start();
    let (heard, _) = run(&mut host, "mkfifo ~/gate; (read -r line < ~/gate; emit O ${mark}1; echo > ~/gate) & x=5");
    assert!(heard.events.is_empty());
    let between = host.exec("echo > ~/gate; read -r line < ~/gate");
    host.result(between);
    run(&mut host, "(read -r line < ~/gate; emit O ${mark}1; echo > ~/gate) & :");
    let (heard, result) = run(&mut host, "echo > ~/gate; read -r line < ~/gate; echo $x");
    assert_eq!((text(&heard.stdout), ending(&result)), ("5\n", (0, "exit", "kept")));
    assert!(heard.events.is_empty());
    host.close();
}

#[test]
fn a_run_that_waits_can_be_cancelled() {
    let mut host = Host::start();
    let first = run_request(&mut host, "main", "echo begun; until [ -n \"$interrupted\" ]; do :; done", 0);
    host.listen_until(first, |heard| !heard.stdout.is_empty());
    let second = run_request(&mut host, "main", "echo never", 0);
    host.cancel(second);
    let (heard, result) = host.result(second);
    assert_eq!(ending(&result), (130, "cancelled", "kept"));
    assert!(heard.stdout.is_empty());
    let signal = host.request("signal", &json!({ "target": first, "signal": 2 }));
    assert_eq!(host.result(signal).1["delivered"], true);
    let (_, result) = host.result(first);
    assert_eq!(ending(&result), (0, "exit", "kept"));
    host.close();
}

fn resume_request(host: &mut Host, env: &Value) -> u32 {
    let entropy = "p6enp6enp6enp6enp6enp6enp6enp6enp6enp6enp6enp6enp6enp6enp6enp6enp6enp6enp6enp6enp6enpw==";
    host.request("resume", &json!({ "unixTimeNs": "1", "entropy": entropy, "hostname": "h", "env": env }))
}

#[test]
fn resume_reseeds_live_repls_with_the_new_environment_any_number_of_times() {
    let mut host = Host::start();
    run(&mut host, ":");
    for env in [json!({ "A": "1", "B": "2" }), json!({ "A": "3" }), json!({})] {
        let id = resume_request(&mut host, &env);
        host.result(id);
        let each = env.as_object().unwrap().iter().map(|(name, value)| format!("{name}={}", value.as_str().unwrap()));
        let expected: Vec<_> = each.collect();
        assert_eq!(text(&run(&mut host, "echo $reseeded").0.stdout).trim_end(), expected.join(" "));
    }
    host.close();
}

#[test]
fn a_run_that_follows_a_resume_without_waiting_finds_it_done() {
    let mut host = Host::start();
    run(&mut host, ":");
    let resume = resume_request(&mut host, &json!({ "A": "1" }));
    let program = run_request(&mut host, "main", "echo $reseeded", 0);
    assert_eq!(text(&host.result(program).0.stdout), "A=1\n");
    host.result(resume);
    host.close();
}

#[test]
fn nothing_runs_after_a_resume_that_failed_until_one_succeeds() {
    let mut host = Host::start();
    run(&mut host, ":");
    let resume = host.request("resume", &json!({ "hostname": "h" }));
    let program = run_request(&mut host, "main", "echo never", 0);
    let mut code = |id| host.finish(id).response.unwrap()["error"]["code"].as_str().unwrap().to_owned();
    assert_eq!((code(resume), code(program)), ("bad-request".to_owned(), "internal".to_owned()));
    let resume = resume_request(&mut host, &json!({}));
    host.result(resume);
    assert_eq!(text(&run(&mut host, "echo again").0.stdout), "again\n");
    host.close();
}

#[test]
fn a_busy_repl_does_not_hold_a_resume_and_takes_it_over_before_its_next_run() {
    let mut host = Host::start();
    let busy = run_request(
        &mut host,
        "main",
        "echo begun; until [ -n \"$interrupted\" ]; do :; done; echo \"[$reseeded]\"",
        0,
    );
    host.listen_until(busy, |heard| !heard.stdout.is_empty());
    let next = run_request(&mut host, "main", "echo \"[$reseeded]\"", 0);
    let resume = resume_request(&mut host, &json!({ "A": "1" }));
    host.result(resume);
    let signal = host.request("signal", &json!({ "target": busy, "signal": 2 }));
    host.result(signal);
    assert_eq!(text(&host.result(busy).0.stdout), "begun\n[]\n");
    assert_eq!(text(&host.result(next).0.stdout), "[A=1 ]\n");
    host.close();
}

#[test]
fn a_repl_that_ends_meanwhile_does_not_hold_a_resume() {
    let mut host = Host::start();
    let pid = text(&run(&mut host, "echo $$").0.stdout).trim().to_owned();
    // Stopped, so that it cannot answer; then killed.
    let stop = host.exec(&format!("kill -STOP {pid}"));
    host.result(stop);
    let resume = resume_request(&mut host, &json!({ "A": "1" }));
    let kill = host.exec(&format!("kill -KILL {pid}"));
    host.result(kill);
    host.result(resume);
    let (heard, result) = run(&mut host, "echo $A");
    assert_eq!((text(&heard.stdout), ending(&result)), ("1\n", (0, "exit", "reset")));
    host.close();
}

#[test]
fn a_program_that_its_repl_never_read_runs_in_a_new_one() {
    let mut host = Host::start();
    let pid = text(&run(&mut host, "kept=1; echo $$").0.stdout).trim().to_owned();
    // The helpers of this REPL read for it: without them, and stopped, it reads nothing.
    let stop = format!("kill -STOP {pid}; pgrep -g {pid} | grep -vx {pid} | xargs -r kill -KILL");
    let gone = format!("until [ -z \"$(pgrep -g {pid} -r S,R,D)\" ]; do :; done");
    let stop = host.exec(&format!("{stop}; {gone}"));
    host.result(stop);
    let program = run_request(&mut host, "main", "echo \"[$kept]\"", 0);
    let kill = host.exec(&format!("kill -KILL {pid}"));
    host.result(kill);
    let (heard, result) = host.result(program);
    assert_eq!((text(&heard.stdout), ending(&result)), ("[]\n", (0, "exit", "reset")), "{heard:?}");
    host.close();
}

#[test]
fn an_environment_that_takes_several_messages_arrives_whole() {
    let mut host = Host::start();
    run(&mut host, ":");
    let env: serde_json::Map<_, _> = (0..100).map(|n| (format!("N{n:03}"), json!("v".repeat(32_768)))).collect();
    let resume = resume_request(&mut host, &Value::Object(env));
    host.result(resume);
    // The REPL of these tests keeps the last message only.
    let last: usize = text(&run(&mut host, "echo ${#reseeded}").0.stdout).trim().parse().unwrap();
    let entry = "N000=".len() + 32_768 + "\0".len();
    let first_message = (2_097_152 - 32) / entry;
    assert_eq!(last, (100 - first_message) * entry);
    host.close();
}

#[test]
fn what_comes_between_two_runs_waits_for_the_next_one() {
    let mut host = Host::start();
    run(&mut host, "mkfifo gate; (read -r line < gate; echo late; echo done > gate) & :");
    // The second line comes when the first has been written to the pipe that nobody reads.
    let id = host.exec("echo go > gate; cat gate");
    assert_eq!(text(&host.result(id).0.stdout), "done\n");
    assert_eq!(text(&run(&mut host, ":").0.stdout), "late\n");
    assert_eq!(text(&run(&mut host, "echo more").0.stdout), "more\n");
    host.close();
}

#[test]
fn a_program_that_names_its_interpreter_runs_under_it() {
    let mut host = Host::start();
    let mut script = |code: &str| {
        let params = json!({
            "language": "bash", "context": "main", "code": code, "env": { "CALL": "yes" }, "timeoutMs": 0,
            "stdoutLimit": 1000, "stderrLimit": 1000,
        });
        let id = host.request("run", &params);
        host.result(id)
    };
    let (heard, result) = script("#!/bin/sh -e\necho $CALL; false; echo never");
    assert_eq!(text(&heard.stdout), "yes\n");
    assert_eq!(ending(&result), (1, "exit", "kept"));
    let (heard, result) = script("#!/no/such/interpreter\n");
    assert!(text(&heard.stderr).starts_with("/no/such/interpreter: No such file"), "{}", text(&heard.stderr));
    assert_eq!(ending(&result), (127, "exit", "kept"));
    host.close();
}

#[test]
fn nothing_is_left_of_a_hundred_runs_that_end_their_repl() {
    let mut host = Host::start();
    let count = |host: &mut Host| {
        let id = host.exec("read -r; ls /proc/$PPID/fd | wc -l; cat /proc/$PPID/task/*/children | wc -w");
        // With this event the agent has closed the descriptor that tells of a start.
        host.listen_until(id, |heard| !heard.events.is_empty());
        host.send(FrameType::Data, 0, id, b"\n");
        text(&host.result(id).0.stdout).to_owned()
    };
    let before = count(&mut host);
    for _ in 0..100 {
        let (_, result) = run(&mut host, "exit 1");
        assert_eq!(ending(&result), (1, "exit", "reset"));
    }
    assert_eq!(count(&mut host), before);
    host.close();
}
