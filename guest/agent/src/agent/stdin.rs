//! What the host sends to a program's standard input. The credit window bounds what waits here; a program that does not
//! read stops the host and nobody else.

use rustix::io::Errno;

use super::inflow::Inflow;
use super::poller::{Interest, Watched};
use super::port::Port;
use super::room::PipeRoom;

const STREAM: u8 = 0;

pub struct StdinPipe {
    /// Gone when all has been written after END, or when the program has closed its end.
    pipe: Option<Watched>,
    inflow: Inflow,
    room: PipeRoom,
}

impl StdinPipe {
    #[must_use]
    pub fn new(pipe: Watched) -> Self {
        Self { pipe: Some(pipe), inflow: Inflow::default(), room: PipeRoom::default() }
    }

    /// Takes what the host sent: straight into the pipe, as far as there is room and nothing waits before it.
    pub fn accept(&mut self, bytes: &[u8]) {
        let Self { pipe, inflow, room } = self;
        inflow.accept(bytes, |bytes| write(pipe, room, bytes));
    }

    pub fn end(&mut self) {
        self.inflow.end();
    }

    /// Writes what the pipe takes, gives credit back, and closes the pipe when there will be nothing more.
    pub fn pump(&mut self, id: u32, port: &mut Port) {
        let Self { pipe, inflow, room } = self;
        inflow.push(|bytes| write(pipe, room, bytes));
        if self.pipe.is_none() {
            self.inflow.discard();
        }
        if self.inflow.is_over() {
            self.pipe = None;
        }
        self.inflow.grant(id, STREAM, port);
    }

    pub fn update_interest(&mut self) -> std::io::Result<()> {
        let interest = if self.inflow.waiting_bytes() == 0 { Interest::default() } else { Interest::WRITE };
        self.pipe.as_mut().map_or(Ok(()), |pipe| pipe.want(interest))
    }
}

/// Writes what the pipe takes now.
fn write(pipe: &mut Option<Watched>, room: &mut PipeRoom, bytes: &[u8]) -> usize {
    let mut written = 0;
    while let Some(open) = pipe {
        let rest = bytes.get(written..).unwrap_or_default();
        if rest.is_empty() {
            break;
        }
        match rustix::io::write(&*open, rest) {
            Ok(length) => written += length,
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) if room.widen(&*open) => {}
            Err(Errno::AGAIN) => break,
            // The program does not want more: what comes is taken and dropped, so that the host can finish.
            Err(_) => *pipe = None,
        }
    }
    written
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::os::fd::OwnedFd;

    use rustix::pipe::{pipe_with, PipeFlags};

    use super::{StdinPipe, STREAM};
    use crate::agent::poller::{Owner, Part, Poller};
    use crate::agent::port::Port;
    use crate::wire::conversation::Streams;

    const ID: u32 = 1;

    /// A pipe as a program has it, and a port to nobody.
    fn stdin() -> (StdinPipe, OwnedFd, Port, OwnedFd) {
        let poller = Poller::new().unwrap();
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let mut port = Port::open(ours.into(), &poller).unwrap();
        port.conversation.open(ID, Streams::of_method("exec")).unwrap();
        let (reader, writer) = pipe_with(PipeFlags::NONBLOCK).unwrap();
        let pipe = poller.watch(writer, Owner::Exchange(ID), Part::Stdin);
        (StdinPipe::new(pipe), reader, port, theirs.into())
    }

    #[test]
    fn content_of_any_cut_arrives_in_order_whether_or_not_there_is_room() {
        let (mut stdin, reader, mut port, _host) = stdin();
        let content: Vec<u8> = (0..600_000_u32).flat_map(u32::to_le_bytes).collect();
        let mut reader = std::fs::File::from(reader);
        let mut arrived = Vec::new();
        for (index, piece) in content.chunks(60_001).enumerate() {
            stdin.accept(piece);
            stdin.pump(ID, &mut port);
            if index % 7 == 6 {
                // Ends with `WouldBlock` once the pipe is empty.
                let _ = reader.read_to_end(&mut arrived);
            }
        }
        stdin.end();
        while stdin.pipe.is_some() {
            let _ = reader.read_to_end(&mut arrived);
            stdin.pump(ID, &mut port);
        }
        reader.read_to_end(&mut arrived).unwrap();
        assert!(arrived == content, "bytes differ");
    }

    #[test]
    fn a_program_that_has_closed_its_end_does_not_hold_back_the_host() {
        let (mut stdin, reader, mut port, _host) = stdin();
        drop(reader);
        stdin.accept(&vec![7; 100_000]);
        stdin.pump(ID, &mut port);
        assert!(stdin.pipe.is_none() && stdin.inflow.waiting_bytes() == 0);
        assert!(!port.outbox.is_empty(), "no credit was given back on stream {STREAM}");
    }
}
