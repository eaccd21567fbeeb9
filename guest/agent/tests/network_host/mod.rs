//! What the tests of the network do with the host's side of it, and with the programs that use it.

use exec_sandbox_agent::wire::FrameType;
use serde_json::{json, Value};

use super::host::Host;

pub const WINDOW: u64 = 262_144;

/// A host and an agent with the network on; `None` where that cannot be.
pub fn start() -> Option<Host> {
    let Some(mut host) = Host::start_with_network() else {
        eprintln!("no network namespace with a TUN device: not tested here");
        return None;
    };
    let on = host.request("network", &json!({ "enabled": true }));
    host.result(on);
    Some(host)
}

/// Starts a Python program, which has `s` as a connection that `connect(address, port)` makes.
pub fn python(host: &mut Host, program: &str) -> u32 {
    let prelude = "import errno, os, socket, sys, threading, time\n\
        def connect(address='93.184.216.34', port=443):\n\
        \x20   s = socket.socket(); s.connect((address, port)); return s\n\
        def attempt(call):\n\
        \x20   try: return call()\n\
        \x20   except OSError as e: return errno.errorcode.get(e.errno, str(e))\n";
    host.request("exec", &json!({ "argv": ["python3", "-c", format!("{prelude}{program}")] }))
}

pub fn stdout(host: &mut Host, id: u32) -> String {
    let (heard, _) = host.result(id);
    assert_eq!(String::from_utf8_lossy(&heard.stderr), "");
    String::from_utf8(heard.stdout).unwrap()
}

pub fn say_connected(host: &mut Host, id: u32) {
    host.send(FrameType::Event, 0, id, br#"{"event":"connected"}"#);
}

pub fn refuse(host: &mut Host, id: u32, code: &str) {
    host.answer(id, &json!({ "error": { "code": code, "message": "for the test" } }));
}

/// The next connection that a program asks for.
pub fn next_connect(host: &mut Host) -> (u32, Value) {
    let (id, asked) = host.next_asked();
    assert_eq!(asked["method"], "connect");
    (id, asked["params"].clone())
}
