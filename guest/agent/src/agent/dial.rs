//! `dial`: the host connects to a server in the guest, over the loopback interface.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use rustix::io::Errno;
use rustix::net::{connect, getpeername, getsockname, socket_with, sockopt, AddressFamily, SocketFlags, SocketType};
use serde::Serialize;

use super::poller::{Event, Interest, Owner, Part, Poller, Watched};
use super::port::Port;
use super::splice::{self, Splice, StreamNumbers};
use super::{Agent, Exchange};
use crate::wire::message::{self, ErrorCode, RequestError};
use crate::wire::request;

const STREAMS: StreamNumbers = StreamNumbers { to_host: 1, from_host: 0 };

#[derive(Serialize)]
struct Ended {}

enum Phase {
    /// On the way to an address; the others come after it.
    Connecting {
        socket: Watched,
        then: Option<SocketAddr>,
    },
    Connected,
    Refused(String),
}

pub struct Dial {
    id: u32,
    phase: Phase,
    splice: Splice,
}

impl Dial {
    fn new(id: u32, port: u16, poller: &Poller, channel: &mut Port) -> Self {
        let first = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let then = Some(SocketAddr::from((Ipv6Addr::LOCALHOST, port)));
        let mut dial = Self { id, phase: Phase::Refused(String::new()), splice: Splice::new(id, STREAMS) };
        dial.try_address(first, then, poller, channel);
        dial
    }

    fn try_address(&mut self, address: SocketAddr, then: Option<SocketAddr>, poller: &Poller, channel: &mut Port) {
        let begun = begin_connect(address);
        match begun {
            Ok((socket, connected)) => {
                let mut socket = poller.watch(socket, Owner::Exchange(self.id), Part::Socket);
                if connected {
                    self.arrived(socket, then, poller, channel);
                } else {
                    // Should the list not take it, the host's deadline ends the exchange.
                    let _ = socket.want(Interest::WRITE);
                    self.phase = Phase::Connecting { socket, then };
                }
            }
            Err(error) => self.failed(error, then, poller, channel),
        }
    }

    fn failed(&mut self, error: Errno, then: Option<SocketAddr>, poller: &Poller, channel: &mut Port) {
        match then {
            Some(next) => self.try_address(next, None, poller, channel),
            None => self.phase = Phase::Refused(error.to_string()),
        }
    }

    /// The socket is connected: to a server, unless it has found itself.
    fn arrived(&mut self, socket: Watched, then: Option<SocketAddr>, poller: &Poller, channel: &mut Port) {
        if is_connected_to_itself(&socket) {
            // By a reset, or its port would stay taken for a minute, and the server is yet to come.
            splice::reset(socket);
            return self.failed(Errno::CONNREFUSED, then, poller, channel);
        }
        self.splice.join(socket);
        self.phase = Phase::Connected;
        channel.event(self.id, &message::Event::Connected);
    }

    pub fn handle(&mut self, event: &Event, poller: &Poller, channel: &mut Port) {
        if matches!(self.phase, Phase::Connected) {
            return self.splice.handle(event, channel);
        }
        let phase = std::mem::replace(&mut self.phase, Phase::Refused(String::new()));
        match phase {
            Phase::Connecting { socket, then } => match sockopt::socket_error(&socket) {
                Ok(Ok(())) if event.write => self.arrived(socket, then, poller, channel),
                Ok(Ok(())) => self.phase = Phase::Connecting { socket, then },
                Ok(Err(error)) | Err(error) => {
                    drop(socket);
                    self.failed(error, then, poller, channel);
                }
            },
            other => self.phase = other,
        }
    }

    pub fn accept(&mut self, bytes: &[u8], channel: &mut Port) {
        self.splice.accept(bytes);
        self.splice.pump_to_program(channel);
    }

    pub fn end(&mut self, channel: &mut Port) {
        self.splice.end();
        self.splice.pump_to_program(channel);
    }

    pub fn cancel(&mut self) {
        self.phase = Phase::Connected;
        self.splice.reset();
    }

    #[must_use]
    pub fn is_finished(&self) -> bool {
        match &self.phase {
            Phase::Connecting { .. } => false,
            Phase::Connected => self.splice.is_done() || self.splice.is_broken(),
            Phase::Refused(_) => true,
        }
    }

    pub fn update_interest(&mut self, channel: &Port) -> std::io::Result<()> {
        self.splice.update_interest(channel)
    }

    /// Tells the host. Called once, when finished.
    pub fn respond(mut self, channel: &mut Port) {
        let error = match &self.phase {
            Phase::Refused(why) => Some(RequestError::new(ErrorCode::Refused, why.as_str())),
            _ if self.splice.is_broken() => Some(RequestError::new(ErrorCode::Reset, "the connection was reset")),
            _ => None,
        };
        if let Some(error) = error {
            self.splice.reset();
            return channel.respond_behind_data::<Ended>(self.id, &Err(error));
        }
        channel.respond_behind_data(self.id, &Ok(Ended {}));
    }
}

/// Whether both ends are the same: where nobody listens, the kernel may choose the very port that is asked for as the
/// connection's own, and TCP then joins the socket with itself (RFC 9293, 3.5, simultaneous open).
fn is_connected_to_itself(socket: &Watched) -> bool {
    matches!((getsockname(socket), getpeername(socket)), (Ok(own), Ok(Some(peer))) if own == peer)
}

/// A socket on its way; true when it has arrived. Over the loopback interface that is the rule.
fn begin_connect(address: SocketAddr) -> Result<(std::os::fd::OwnedFd, bool), Errno> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket_with(family, SocketType::STREAM, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC, None)?;
    match connect(&socket, &address) {
        Ok(()) => Ok((socket, true)),
        Err(Errno::INPROGRESS) => Ok((socket, false)),
        Err(error) => Err(error),
    }
}

impl Agent {
    pub(super) fn dial(&mut self, id: u32, request: &request::Dial) {
        let dial = Dial::new(id, request.port, &self.poller, &mut self.port);
        self.exchanges.insert(id, Exchange::Dial(Box::new(dial)));
    }
}
