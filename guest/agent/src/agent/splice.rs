//! A socket of a program's on one side, the two streams of an exchange on the other: bytes with credit, half-closes and
//! resets, both ways. A `dial` of the host and a flow of the guest are the same here.

use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{shutdown, sockopt, Shutdown};

use super::inflow::Inflow;
use super::poller::{Event, Interest, Watched};
use super::port::{Port, CHUNK_BYTES};
use crate::clock;
use crate::wire::{Frame, FrameType};

/// Chunks read of one socket between two looks at everything else.
const CHUNKS_AT_A_TIME: usize = 4;

/// Numbers of the streams, as the method has them.
#[derive(Clone, Copy, Debug)]
pub struct StreamNumbers {
    pub to_host: u8,
    pub from_host: u8,
}

pub struct Splice {
    id: u32,
    streams: StreamNumbers,
    /// Absent until the connection stands.
    socket: Option<Watched>,
    inflow: Inflow,
    /// END of the stream to the host has been queued: the program sends no more.
    program_ended: bool,
    /// The program has been told that the host sends no more.
    host_ended: bool,
    broken: bool,
    /// When the program last made room for bytes of the host.
    last_fetch: Duration,
}

impl Splice {
    #[must_use]
    pub fn new(id: u32, streams: StreamNumbers) -> Self {
        let (socket, inflow) = (None, Inflow::default());
        Self {
            id,
            streams,
            socket,
            inflow,
            program_ended: false,
            host_ended: false,
            broken: false,
            last_fetch: clock::now(),
        }
    }

    /// Takes the socket of the connection, which now stands. What the host has sent meanwhile goes there with the next pump.
    pub fn join(&mut self, socket: Watched) {
        // Small writes of the host's leave at once, and an urgent byte keeps its place among the others. Neither can fail on
        // a TCP socket.
        let _ = sockopt::set_tcp_nodelay(&socket, true);
        let _ = sockopt::set_socket_oobinline(&socket, true);
        self.socket = Some(socket);
    }

    pub fn accept(&mut self, bytes: &[u8]) {
        let Self { socket, inflow, broken, last_fetch, .. } = self;
        inflow.accept(bytes, |bytes| write(socket.as_ref(), broken, last_fetch, bytes));
    }

    pub fn end(&mut self) {
        self.inflow.end();
    }

    /// Bytes of the host that the program has not taken.
    #[must_use]
    pub fn waiting_bytes(&self) -> usize {
        self.inflow.waiting_bytes()
    }

    /// When the program last made room.
    #[must_use]
    pub fn last_fetch(&self) -> Duration {
        self.last_fetch
    }

    /// The program has been given everything.
    #[must_use]
    pub fn is_delivered(&self) -> bool {
        self.host_ended
    }

    /// Both directions have ended, as their senders wished.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.program_ended && self.host_ended && !self.broken
    }

    /// The program has reset the connection.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    /// Moves what an event of the socket has made possible.
    pub fn handle(&mut self, event: &Event, port: &mut Port) {
        if event.hung_up
            && self.socket.as_ref().is_some_and(|socket| !matches!(sockopt::socket_error(socket), Ok(Ok(()))))
        {
            self.broken = true;
            return;
        }
        if event.read {
            self.pump_to_host(port);
        }
        if event.write {
            self.pump_to_program(port);
        }
    }

    /// Writes what the socket takes, gives credit back, and passes the host's half-close on.
    pub fn pump_to_program(&mut self, port: &mut Port) {
        let Self { socket, inflow, broken, last_fetch, .. } = self;
        inflow.push(|bytes| write(socket.as_ref(), broken, last_fetch, bytes));
        if self.broken {
            return;
        }
        if let Some(socket) = self.socket.as_ref().filter(|_| self.inflow.is_over() && !self.host_ended) {
            // A connection that has been reset says so when it is read.
            let _ = shutdown(socket, Shutdown::Write);
            self.host_ended = true;
        }
        self.inflow.grant(self.id, self.streams.from_host, port);
    }

    /// Bytes that may be read now.
    fn room(&self, port: &Port) -> usize {
        if self.program_ended || self.broken || !port.outbox.has_data_room() {
            return 0;
        }
        (port.conversation.credit(self.id, self.streams.to_host) as usize).min(CHUNK_BYTES)
    }

    fn pump_to_host(&mut self, port: &mut Port) {
        for _ in 0..CHUNKS_AT_A_TIME {
            let room = self.room(port);
            let Some(socket) = self.socket.as_ref().filter(|_| room > 0) else { return };
            match rustix::io::read(socket, port.content(room)) {
                Ok(0) => {
                    self.program_ended = true;
                    port.outbox.push_data(Frame::encode(FrameType::End, self.streams.to_host, self.id, &[]));
                }
                Ok(length) => {
                    port.send_data(self.id, self.streams.to_host, length);
                    port.conversation.spend(self.id, self.streams.to_host, length);
                    if length < room {
                        return;
                    }
                }
                Err(Errno::AGAIN | Errno::INTR) => return,
                Err(_) => self.broken = true,
            }
        }
    }

    pub fn update_interest(&mut self, port: &Port) -> std::io::Result<()> {
        let read = self.room(port) > 0;
        let write = self.inflow.waiting_bytes() > 0;
        // Once both directions are shut, a socket reports its hang-up without end. Before that only a reset does.
        let resets = !self.host_ended;
        match &mut self.socket {
            Some(socket) => socket.want(Interest { read, write, resets, ..Interest::default() }),
            None => Ok(()),
        }
    }

    /// Ends the connection by a reset.
    pub fn reset(&mut self) {
        if let Some(socket) = self.socket.take() {
            reset(socket);
        }
        self.broken = true;
    }
}

/// Closes a socket so that its peer sees a reset.
pub fn reset(socket: Watched) {
    // Cannot fail on a socket; without it the peer would see an end instead.
    let _ = sockopt::set_socket_linger(&socket, Some(Duration::ZERO));
    drop(socket);
}

/// Writes what the socket takes now, and notes when it took something.
fn write(socket: Option<&Watched>, broken: &mut bool, taken: &mut Duration, bytes: &[u8]) -> usize {
    let mut written = 0;
    let Some(socket) = socket.filter(|_| !*broken) else { return 0 };
    while written < bytes.len() {
        match rustix::io::write(socket, bytes.get(written..).unwrap_or_default()) {
            Ok(length) => written += length,
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => break,
            Err(_) => {
                *broken = true;
                break;
            }
        }
    }
    if written > 0 {
        *taken = clock::now();
    }
    written
}
