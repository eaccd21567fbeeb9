//! A host for the tests: it starts the agent with its end of a socket pair, and speaks the protocol's other side.
#![allow(clippy::unwrap_used)]

use std::collections::{HashMap, VecDeque};
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use exec_sandbox_agent::wire::frame::HEADER_BYTES;
use exec_sandbox_agent::wire::{Frame, FrameType};
use serde_json::{json, Value};

/// No single answer takes this long, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(50);

/// What the agent has said about one exchange.
#[derive(Debug, Default)]
pub struct Heard {
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    pub events: Vec<Value>,
    pub credit: u64,
    pub ended: Vec<u8>,
    pub response: Option<Value>,
    /// The agent has given up an exchange that it began.
    pub cancelled: bool,
}

pub struct Host {
    agent: Child,
    channel: UnixStream,
    directory: PathBuf,
    next_id: u32,
    heard: HashMap<u32, Heard>,
    /// Exchanges whose output is not acknowledged.
    pub withheld: Vec<u32>,
    /// Exchanges that the agent has begun and nobody has looked at, with what it asks for.
    pub asked: VecDeque<(u32, Value)>,
}

impl Host {
    pub fn start() -> Self {
        Self::start_by(Command::new, &[])
    }

    /// The agent in a network namespace of its own, where it may make a device; `None` where namespaces are forbidden.
    pub fn start_with_network() -> Option<Self> {
        let unshare = || {
            let mut command = Command::new("unshare");
            command.args(["--user", "--map-root-user", "--net", "--"]);
            command
        };
        let works = unshare().args(["test", "-w", "/dev/net/tun"]).status().is_ok_and(|status| status.success());
        works.then(|| {
            Self::start_by(
                |program| {
                    let mut command = unshare();
                    command.arg(program);
                    command
                },
                &["--own-network"],
            )
        })
    }

    fn start_by(command: impl Fn(PathBuf) -> Command, more: &[&str]) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let directory = std::env::temp_dir().join(format!("agent-test-{}-{count}", std::process::id()));
        std::fs::create_dir_all(directory.join("home")).unwrap();
        let repls = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/host");
        let (channel, theirs) = UnixStream::pair().unwrap();
        channel.set_read_timeout(Some(PATIENCE)).unwrap();
        // Cargo builds examples before it runs tests, next to the directory of the test's own program.
        let program = std::env::current_exe().unwrap().parent().unwrap().with_file_name("examples").join("serve");
        let agent = command(program)
            .args([&directory.join("home"), &repls, &directory, &directory.join("resolv.conf")])
            .args(more)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut host = Self {
            agent,
            channel,
            directory,
            next_id: 1,
            heard: HashMap::new(),
            withheld: Vec::new(),
            asked: VecDeque::new(),
        };
        let hello = host.read_frame();
        assert_eq!((hello.kind, hello.id), (FrameType::Hello, 0));
        host.send(FrameType::Welcome, 0, 0, br#"{"generation":2}"#);
        host
    }

    pub fn send(&mut self, kind: FrameType, stream: u8, id: u32, payload: &[u8]) {
        self.channel.write_all(&Frame::encode(kind, stream, id, payload)).unwrap();
    }

    pub fn request(&mut self, method: &str, params: &Value) -> u32 {
        let id = self.next_id;
        self.next_id += 2;
        self.heard.insert(id, Heard::default());
        let body = serde_json::to_vec(&json!({ "method": method, "params": params })).unwrap();
        self.send(FrameType::Request, 0, id, &body);
        id
    }

    pub fn exec(&mut self, command: &str) -> u32 {
        self.request("exec", &json!({ "argv": ["/bin/bash", "-c", command], "env": {} }))
    }

    pub fn cancel(&mut self, id: u32) {
        self.send(FrameType::Cancel, 0, id, &[]);
    }

    fn read_frame(&mut self) -> Frame {
        let mut header = [0; HEADER_BYTES];
        self.channel.read_exact(&mut header).unwrap();
        let word = |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().unwrap());
        assert_eq!(&header[..2], b"XS");
        let kind = FrameType::from_byte(header[2]).unwrap();
        assert!(word(8) <= kind.length_range().1, "{kind:?} of {} bytes", word(8));
        let mut payload = vec![0; word(8) as usize];
        self.channel.read_exact(&mut payload).unwrap();
        Frame { kind, stream: header[3], id: word(4), payload }
    }

    /// Reads a frame and notes it, with the order that the protocol demands.
    pub fn listen(&mut self) -> u32 {
        let frame = self.read_frame();
        let id = frame.id;
        if frame.kind == FrameType::Request {
            assert!(id % 2 == 0 && frame.payload.len() <= 4_096);
            assert!(self.heard.insert(id, Heard::default()).is_none(), "id {id} is used again");
            self.asked.push_back((id, serde_json::from_slice(&frame.payload).unwrap()));
            return id;
        }
        let heard = self.heard.get_mut(&id).unwrap_or_else(|| panic!("{:?} for exchange {id}", frame.kind));
        assert!(heard.response.is_none(), "{:?} after RESPONSE", frame.kind);
        match frame.kind {
            FrameType::Data => {
                assert!(!heard.ended.contains(&frame.stream), "DATA after END");
                let output = if frame.stream == 2 { &mut heard.stderr } else { &mut heard.stdout };
                output.extend_from_slice(&frame.payload);
                if !self.withheld.contains(&id) {
                    let grant = u32::try_from(frame.payload.len()).unwrap().to_le_bytes();
                    self.send(FrameType::Credit, frame.stream, id, &grant);
                }
            }
            FrameType::End => heard.ended.push(frame.stream),
            FrameType::Event => heard.events.push(serde_json::from_slice(&frame.payload).unwrap()),
            FrameType::Credit => heard.credit += u64::from(u32::from_le_bytes(frame.payload[..].try_into().unwrap())),
            FrameType::Response => heard.response = Some(serde_json::from_slice(&frame.payload).unwrap()),
            FrameType::Cancel => {
                assert!(!std::mem::replace(&mut heard.cancelled, true), "a second CANCEL");
            }
            other => panic!("{other:?} from the agent"),
        }
        id
    }

    pub fn listen_until(&mut self, id: u32, condition: impl Fn(&Heard) -> bool) {
        while !condition(&self.heard[&id]) {
            self.listen();
        }
    }

    /// What the agent asks for next.
    pub fn next_asked(&mut self) -> (u32, Value) {
        loop {
            if let Some(asked) = self.asked.pop_front() {
                return asked;
            }
            self.listen();
        }
    }

    /// Answers an exchange of the agent's.
    pub fn answer(&mut self, id: u32, body: &Value) {
        self.send(FrameType::Response, 0, id, &serde_json::to_vec(body).unwrap());
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    pub fn heard(&self, id: u32) -> &Heard {
        &self.heard[&id]
    }

    /// Reads a frame if one comes within `time`; false when the agent says nothing for so long.
    pub fn listens_within(&mut self, time: Duration) -> bool {
        let timeout = rustix::event::Timespec { tv_sec: 0, tv_nsec: time.subsec_nanos().into() };
        let mut readable = [rustix::event::PollFd::new(&self.channel, rustix::event::PollFlags::IN)];
        let comes = rustix::event::poll(&mut readable, Some(&timeout)).unwrap() > 0;
        if comes {
            self.listen();
        }
        comes
    }

    /// Everything about an exchange, when its RESPONSE has come.
    pub fn finish(&mut self, id: u32) -> Heard {
        self.listen_until(id, |heard| heard.response.is_some());
        self.heard.remove(&id).unwrap()
    }

    /// Everything about an exchange that must have a result.
    pub fn result(&mut self, id: u32) -> (Heard, Value) {
        let heard = self.finish(id);
        let result = heard.response.as_ref().unwrap()["result"].clone();
        assert!(result.is_object(), "{heard:?}");
        (heard, result)
    }

    /// Closes the channel and waits for the agent to end; gives what it said about it.
    pub fn close(mut self) -> String {
        self.channel.shutdown(std::net::Shutdown::Both).unwrap();
        let mut said = String::new();
        self.agent.stdout.take().unwrap().read_to_string(&mut said).unwrap();
        assert!(self.agent.wait().unwrap().success());
        said
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // A test that failed must not leave its agent behind; one that passed has closed it.
        let _ = self.agent.kill();
        let _ = self.agent.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}
