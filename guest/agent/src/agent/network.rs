//! The network of the guest while it is on: the device, the listener, the flows and the questions about names. With the
//! network off nothing of this exists.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{acceptfrom_with, SocketFlags};

use super::flow::{self, Flow, Stage};
use super::poller::{Event, Interest, Owner, Part, Poller, Watched};
use super::port::Port;
use super::splice;
use crate::clock;
use crate::error::StepError;
use crate::network::device::{self, write_packet, Frame};
use crate::network::dns::{self, Query, Question};
use crate::network::nat::{Ends, Nat};
use crate::network::openings;
use crate::network::packet::{readdress, Checksum, Content, Packet, Segment, IPV4_BYTES, RST, UDP_BYTES};
use crate::network::reply::{self, Unreachable};
use crate::network::{GATEWAY, GUEST};
use crate::wire::answer::{Refusal, Resolved};
use crate::wire::message::{Connect, Resolve};
use crate::wire::Answer;

/// Flows that may be there, waiting and open.
const FLOWS: usize = 512;
/// Questions about names that the host may have before it.
const QUESTIONS: usize = 64;
const NAME_PORT: u16 = 53;
/// Packets and connections taken between two looks at everything else.
const AT_A_TIME: usize = 64;
/// Between two looks at all sockets of the guest, which take milliseconds under emulation.
const BETWEEN_LOOKS: Duration = Duration::from_millis(250);
/// How long a connection that no program holds keeps its place, where there are no others, for what is still on its way.
const LEFT: Duration = Duration::from_secs(5);
/// How long the device stays for the resets of all flows, which are on their way inside the guest's own kernel.
const LAST_RESETS: Duration = Duration::from_millis(500);
/// More than the device's queue holds.
const LAST_PACKETS: usize = 1_024;

/// A program that waits for the addresses of a name.
struct Asking {
    question: Question,
    port: u16,
}

/// The network on its way out.
struct Closing {
    /// Flows of which the kernel has yet to say that they are reset.
    resets: BTreeSet<u16>,
    until: Duration,
}

pub struct Network {
    device: Watched,
    /// Absent once the network closes.
    listener: Option<Watched>,
    listener_address: SocketAddrV4,
    frame: Frame,
    nat: Nat,
    flows: BTreeMap<u32, Flow>,
    /// The exchange of each flow, by its number.
    exchanges: BTreeMap<u16, u32>,
    questions: BTreeMap<u32, Asking>,
    waiting_limit: usize,
    closing: Option<Closing>,
    /// Programs that have gone without a word are not looked for before.
    next_look: Duration,
}

impl Network {
    pub fn open(node: &Path, waiting_limit: usize, poller: &Poller) -> Result<Self, StepError> {
        let device = device::create(node)?;
        let (listener, port) = device::listener()?;
        Ok(Self {
            device: poller.watch(device, Owner::Network, Part::Report),
            listener: Some(poller.watch(listener, Owner::Network, Part::Socket)),
            listener_address: SocketAddrV4::new(GUEST, port),
            frame: Frame::default(),
            nat: Nat::default(),
            flows: BTreeMap::new(),
            exchanges: BTreeMap::new(),
            questions: BTreeMap::new(),
            waiting_limit,
            closing: None,
            next_look: Duration::ZERO,
        })
    }

    /// Ends every flow. The device stays until the resets have been turned round, so that programs hear of it: `is_closed`.
    pub fn close(&mut self, port: &mut Port) -> Result<(), StepError> {
        if self.closing.is_some() {
            return Ok(());
        }
        device::close_way()?;
        let mut resets = BTreeSet::new();
        for id in self.flows.keys().copied().collect::<Vec<_>>() {
            match self.flows.get(&id) {
                Some(Flow { stage: Stage::Asking { opening }, .. }) => self.refuse(opening, Refusal::Refused),
                Some(flow) => {
                    resets.insert(flow.number);
                }
                None => {}
            }
            self.give_up(id, port);
        }
        for id in std::mem::take(&mut self.questions).into_keys() {
            port.cancel(id);
        }
        // Connections that nobody has accepted yet are reset with it.
        self.listener = None;
        self.closing = Some(Closing { resets, until: clock::now() + LAST_RESETS });
        Ok(())
    }

    /// Answers what has come through the device before there was no way to it.
    pub fn drain(&mut self, port: &mut Port) {
        for _ in 0..LAST_PACKETS {
            if !self.frame.read(self.device.as_fd()) {
                break;
            }
            self.turn_round(port);
        }
    }

    /// On its way out.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.closing.is_some()
    }

    /// Nothing of it is needed any more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closing.as_ref().is_some_and(|closing| closing.resets.is_empty() || clock::now() >= closing.until)
    }

    /// An event of the device or the listener.
    pub fn handle(&mut self, event: &Event, port: &mut Port, poller: &Poller) {
        for _ in 0..AT_A_TIME {
            let more = match event.token.part {
                Part::Socket => self.accept(port, poller),
                _ => self.frame.read(self.device.as_fd()) && self.turn_round(port),
            };
            if !more {
                break;
            }
        }
    }

    /// An event of a flow's socket.
    pub fn handle_flow(&mut self, id: u32, event: &Event, port: &mut Port) {
        if let Some(flow) = self.flows.get_mut(&id) {
            flow.splice.handle(event, port);
            self.look_after(id, port);
        }
    }

    pub fn connected(&mut self, id: u32) {
        let Some(flow) = self.flows.get_mut(&id) else { return };
        let Some(mut opening) = flow.open(clock::now()) else { return };
        let from = SocketAddrV4::new(GATEWAY, flow.number);
        readdress(&mut opening, from, self.listener_address, Checksum::Whole);
        write_packet(&self.device, &opening);
    }

    pub fn data(&mut self, id: u32, bytes: &[u8], port: &mut Port) {
        let Some(flow) = self.flows.get_mut(&id) else { return };
        flow.splice.accept(bytes);
        if flow.splice.waiting_bytes() > 0 {
            self.bound_waiting(port);
        }
        self.pump(id, port);
    }

    /// Keeps what waits for programs below its limit. Whose program has fetched nothing for the longest time goes first: the
    /// others only happen to receive something now.
    fn bound_waiting(&mut self, port: &mut Port) {
        let mut waiting: usize = self.flows.values().map(|flow| flow.splice.waiting_bytes()).sum();
        while waiting > self.waiting_limit {
            let slow = self.flows.iter().filter(|(_, flow)| flow.splice.waiting_bytes() > 0);
            let Some((id, flow)) = slow.min_by_key(|(_, flow)| flow.splice.last_fetch()) else { return };
            let (id, freed) = (*id, flow.splice.waiting_bytes());
            waiting -= freed;
            self.give_up(id, port);
        }
    }

    pub fn end(&mut self, id: u32, port: &mut Port) {
        let Some(flow) = self.flows.get_mut(&id) else { return };
        flow.splice.end();
        self.pump(id, port);
    }

    /// The end of an exchange.
    pub fn answered(&mut self, id: u32, answer: &Answer, port: &mut Port) {
        if let Some(asking) = self.questions.remove(&id) {
            let resolved = match answer {
                Answer::Result(text) => serde_json::from_str(text).unwrap_or_else(|_| Resolved::failed()),
                Answer::Error(_) => Resolved::failed(),
            };
            return self.tell_name(asking.port, &dns::resolved(&asking.question, &resolved));
        }
        let Some(flow) = self.flows.get_mut(&id) else { return };
        match answer {
            Answer::Result(_) => {
                flow.answered = true;
                self.look_after(id, port);
            }
            Answer::Error(why) => {
                if let Stage::Asking { opening } = &flow.stage {
                    let number = flow.number;
                    let opening = opening.clone();
                    self.refuse(&opening, *why);
                    self.nat.forget(number);
                }
                self.drop_flow(id);
            }
        }
    }

    /// When a flow will have taken too long for its handshake.
    #[must_use]
    pub fn due(&self) -> Option<Duration> {
        let closing = self.closing.as_ref().map(|closing| closing.until);
        self.flows.values().filter_map(Flow::due).chain(closing).min()
    }

    pub fn watch_the_time(&mut self, now: Duration, port: &mut Port) {
        let late = self.flows.iter().filter(|(_, flow)| flow.due().is_some_and(|due| now >= due));
        for id in late.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.give_up(id, port);
        }
    }

    pub fn update_interest(&mut self, port: &Port) -> std::io::Result<()> {
        // What programs ask for goes into the queue of control frames.
        let listening = if port.outbox.has_control_room() { Interest::READ } else { Interest::default() };
        self.device.want(listening)?;
        if let Some(listener) = &mut self.listener {
            listener.want(Interest::READ)?;
        }
        for flow in self.flows.values_mut() {
            flow.splice.update_interest(port)?;
        }
        Ok(())
    }

    fn pump(&mut self, id: u32, port: &mut Port) {
        if let Some(flow) = self.flows.get_mut(&id) {
            flow.splice.pump_to_program(port);
            self.look_after(id, port);
        }
    }

    /// Lets a flow go when it is over.
    fn look_after(&mut self, id: u32, port: &mut Port) {
        match self.flows.get(&id) {
            Some(flow) if flow.splice.is_broken() => self.give_up(id, port),
            Some(flow) if flow.is_over() => self.forget_flow(id),
            _ => {}
        }
    }

    /// The program has gone: the host is told, and the connection ends by a reset.
    fn give_up(&mut self, id: u32, port: &mut Port) {
        self.drop_flow(id);
        port.cancel(id);
    }

    fn drop_flow(&mut self, id: u32) {
        if let Some(flow) = self.flows.get_mut(&id) {
            flow.splice.reset();
        }
        self.forget_flow(id);
    }

    fn forget_flow(&mut self, id: u32) {
        if let Some(flow) = self.flows.remove(&id) {
            self.exchanges.remove(&flow.number);
            self.nat.close(flow.number);
        }
    }

    /// Takes a connection off the listener; false when there is none.
    fn accept(&mut self, port: &mut Port, poller: &Poller) -> bool {
        let Some(listener) = &self.listener else { return false };
        let (socket, peer) = match acceptfrom_with(listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
            Ok(accepted) => accepted,
            // One that has gone again, or an interruption: there may be others.
            Err(Errno::CONNABORTED | Errno::INTR) => return true,
            Err(_) => return false,
        };
        let number = match peer.map(SocketAddr::try_from) {
            Some(Ok(SocketAddr::V4(peer))) if *peer.ip() == GATEWAY => Some(peer.port()),
            _ => None,
        };
        let id = number.and_then(|number| self.exchanges.get(&number)).copied();
        let flow = id.and_then(|id| Some((id, self.flows.get_mut(&id).filter(|flow| flow.is_opening())?)));
        let Some((id, flow)) = flow else {
            // Nobody that the agent let in, or one whose exchange has ended meanwhile.
            splice::reset(poller.watch(socket, Owner::Network, Part::Socket));
            return true;
        };
        flow.stage = Stage::Joined;
        flow.splice.join(poller.watch(socket, Owner::Exchange(id), Part::Socket));
        self.pump(id, port);
        true
    }

    /// Passes the packet in `frame` on to where it belongs. Always true: there may be more.
    fn turn_round(&mut self, port: &mut Port) -> bool {
        let Some(packet) = Packet::parse(self.frame.packet()).filter(|packet| packet.source == GUEST) else {
            return true;
        };
        match packet.content {
            Content::Tcp(segment) => self.segment(&packet, &segment, port),
            _ if packet.destination.is_multicast() || packet.destination.is_broadcast() => {}
            Content::Udp { source_port, destination_port: NAME_PORT } if packet.destination == GATEWAY => {
                self.question(&packet, source_port, port);
            }
            Content::Udp { .. } => self.unreachable(packet.source, Unreachable::Port),
            Content::Unserved => self.unreachable(packet.source, Unreachable::Prohibited),
            Content::Icmp => {}
        }
        true
    }

    fn unreachable(&self, to: Ipv4Addr, code: Unreachable) {
        write_packet(&self.device, &reply::unreachable(self.frame.packet(), to, code));
    }

    fn segment(&mut self, packet: &Packet, segment: &Segment, port: &mut Port) {
        if packet.destination == GATEWAY && segment.source_port == self.listener_address.port() {
            // From the listener's side of a flow to the program's.
            if let Some(ends) = self.nat.ends(segment.destination_port) {
                let program = SocketAddrV4::new(GUEST, ends.program_port);
                self.pass_on(ends.server, program);
                if let Some(closing) = self.closing.as_mut().filter(|_| segment.has(RST)) {
                    closing.resets.remove(&segment.destination_port);
                }
            }
            return;
        }
        let server = SocketAddrV4::new(packet.destination, segment.destination_port);
        let ends = Ends { program_port: segment.source_port, server };
        match self.nat.number(ends) {
            Some(number) if self.nat.is_open(number) || !segment.is_opening() => {
                self.program_segment(number, segment, port);
            }
            _ if segment.is_opening() && packet.destination != GATEWAY => self.ask(packet, segment, ends, port),
            _ => self.reset(packet, segment),
        }
    }

    /// A segment of a flow that is known.
    fn program_segment(&mut self, number: u16, segment: &Segment, port: &mut Port) {
        let id = self.exchanges.get(&number).copied();
        let flow = id.and_then(|id| Some((id, self.flows.get(&id)?)));
        if let Some((_, Flow { stage: Stage::Asking { .. }, .. })) = flow {
            // The program repeats what is held back.
            return;
        }
        let gone = flow.filter(|(_, flow)| flow.is_opening() && segment.has(RST)).map(|(id, _)| id);
        self.pass_on(SocketAddrV4::new(GATEWAY, number), self.listener_address);
        if let Some(id) = gone {
            self.give_up(id, port);
        }
    }

    fn pass_on(&mut self, source: SocketAddrV4, destination: SocketAddrV4) {
        let checksum = self.frame.checksum();
        readdress(self.frame.packet_mut(), source, destination, checksum);
        self.frame.write(self.device.as_fd());
    }

    fn reset(&self, packet: &Packet, segment: &Segment) {
        if let Some(answer) = reply::reset(packet, segment) {
            write_packet(&self.device, &answer);
        }
    }

    fn refuse(&self, opening: &[u8], why: Refusal) {
        if let Some(answer) = flow::refusal(opening, why) {
            write_packet(&self.device, &answer);
        }
    }

    /// A program wants a connection: the host is asked for it.
    fn ask(&mut self, packet: &Packet, segment: &Segment, ends: Ends, port: &mut Port) {
        if self.flows.len() >= FLOWS {
            self.forget_the_gone(port);
        }
        if self.flows.len() >= FLOWS || self.closing.is_some() {
            return self.reset(packet, segment);
        }
        let Some(number) = self.nat.open(ends) else { return self.reset(packet, segment) };
        let connect = Connect { address: *ends.server.ip(), port: ends.server.port() };
        let Some(id) = port.begin("connect", &connect) else {
            self.nat.forget(number);
            return self.reset(packet, segment);
        };
        let opening = reply::held_back(self.frame.packet(), packet, segment);
        self.exchanges.insert(number, id);
        self.flows.insert(id, Flow::new(id, number, opening));
    }

    /// Gives up connections whose programs wait for them no more, or have left them to a server that does not read: such a
    /// one never ends by itself, and a few hundred would leave nobody else a place.
    fn forget_the_gone(&mut self, port: &mut Port) {
        let now = clock::now();
        if now < self.next_look {
            return;
        }
        self.next_look = now + BETWEEN_LOOKS;
        let Some(openings) = openings::read() else { return };
        let mut gone = Vec::new();
        for (id, flow) in &mut self.flows {
            let ends = self.nat.ends(flow.number);
            match flow.stage {
                Stage::Asking { .. } if ends.is_none_or(|ends| !openings.waiting.contains(&ends)) => {
                    gone.push((*id, flow.number));
                }
                Stage::Joined if ends.is_none_or(|ends| !openings.held.contains(&ends)) => {
                    if now.saturating_sub(*flow.left.get_or_insert(now)) >= LEFT {
                        gone.push((*id, flow.number));
                    }
                }
                _ => flow.left = None,
            }
        }
        for (id, number) in gone {
            self.give_up(id, port);
            self.nat.forget(number);
        }
    }

    /// A program asks for the addresses of a name.
    fn question(&mut self, packet: &Packet, source_port: u16, port: &mut Port) {
        let datagram = self.frame.packet().get(IPV4_BYTES + UDP_BYTES..packet.length).unwrap_or_default();
        match dns::parse(datagram) {
            Query::Ask(question, name) => {
                let room = self.questions.len() < QUESTIONS && self.closing.is_none();
                let asked = room.then(|| port.begin("resolve", &Resolve { name: &name, kind: "A" })).flatten();
                match asked {
                    Some(id) => {
                        self.questions.insert(id, Asking { question, port: source_port });
                    }
                    None => self.tell_name(source_port, &dns::failure(&question)),
                }
            }
            Query::Answer(answer) => self.tell_name(source_port, &answer),
            Query::Nothing => {}
        }
    }

    fn tell_name(&self, to: u16, message: &[u8]) {
        let (from, to) = (SocketAddrV4::new(GATEWAY, NAME_PORT), SocketAddrV4::new(GUEST, to));
        write_packet(&self.device, &reply::datagram(from, to, message));
    }
}
