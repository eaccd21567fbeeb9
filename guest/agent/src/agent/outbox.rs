//! What waits to be sent. Control frames overtake DATA; END, and RESPONSE after it, stand in the queue of the DATA.

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsFd;

use rustix::io::Errno;

/// What one write to a virtio-serial port takes at most (drivers/char/virtio_console.c). Each write is an exit to
/// QEMU, so frames are gathered up to this.
pub const WRITE_BYTES: usize = 32_768;
/// DATA that may wait. A control frame stands behind one write at most; this bounds memory.
const DATA_ROOM: usize = 131_072;
/// Control frames that may wait before the agent stops asking for more.
const CONTROL_ROOM: usize = 2_097_152;

#[derive(Debug, Default)]
pub struct Outbox {
    control: VecDeque<Vec<u8>>,
    control_bytes: usize,
    data: VecDeque<Vec<u8>>,
    data_bytes: usize,
    /// What is being written, and how much of it has been.
    chunk: Vec<u8>,
    written: usize,
}

impl Outbox {
    /// Queues a frame that may overtake DATA.
    pub fn push_control(&mut self, frame: Vec<u8>) {
        self.control_bytes += frame.len();
        self.control.push_back(frame);
    }

    /// Queues a frame that keeps its place.
    pub fn push_data(&mut self, frame: Vec<u8>) {
        self.data_bytes += frame.len();
        self.data.push_back(frame);
    }

    /// Sends a frame that keeps its place, at once if nothing waits. A write that fails is told by the next one.
    pub fn send_data(&mut self, frame: &[u8], descriptor: impl AsFd) {
        if !self.is_empty() {
            return self.push_data(frame.to_vec());
        }
        let written = rustix::io::write(descriptor, frame).unwrap_or(0);
        // Nothing may come between the parts of a frame.
        self.chunk = frame.get(written..).unwrap_or_default().to_vec();
        self.written = 0;
    }

    #[must_use]
    pub fn has_data_room(&self) -> bool {
        self.data_bytes < DATA_ROOM
    }

    #[must_use]
    pub fn has_control_room(&self) -> bool {
        self.control_bytes < CONTROL_ROOM
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.written == self.chunk.len() && self.control.is_empty() && self.data.is_empty()
    }

    /// Writes until everything is gone or the descriptor takes no more.
    pub fn write_to(&mut self, descriptor: impl AsFd) -> io::Result<()> {
        loop {
            if self.written == self.chunk.len() && !self.gather() {
                return Ok(());
            }
            let rest = self.chunk.get(self.written..).unwrap_or_default();
            match rustix::io::write(&descriptor, rest) {
                Ok(0) | Err(Errno::AGAIN) => return Ok(()),
                Ok(length) => self.written += length,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Fills the chunk with the next frames; false when there are none.
    fn gather(&mut self) -> bool {
        self.chunk.clear();
        self.written = 0;
        while self.chunk.len() < WRITE_BYTES {
            let Some(frame) = self.pop(self.chunk.len()) else {
                break;
            };
            if self.chunk.is_empty() {
                self.chunk = frame;
            } else {
                self.chunk.extend_from_slice(&frame);
            }
        }
        !self.chunk.is_empty()
    }

    /// The next frame, unless it would make a gathered chunk longer than one write.
    fn pop(&mut self, gathered: usize) -> Option<Vec<u8>> {
        let fits = |frame: &Vec<u8>| gathered == 0 || gathered + frame.len() <= WRITE_BYTES;
        if let Some(first) = self.control.front() {
            if !fits(first) {
                return None;
            }
            let frame = self.control.pop_front()?;
            self.control_bytes -= frame.len();
            return Some(frame);
        }
        if !fits(self.data.front()?) {
            return None;
        }
        let frame = self.data.pop_front()?;
        self.data_bytes -= frame.len();
        Some(frame)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::Outbox;

    fn sent(outbox: &mut Outbox) -> Vec<u8> {
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        outbox.write_to(&writer).unwrap();
        drop(writer);
        let mut bytes = Vec::new();
        std::fs::File::from(reader).read_to_end(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn control_overtakes_data_and_both_keep_their_order() {
        let mut outbox = Outbox::default();
        for (control, frame) in [(false, b"d1"), (false, b"d2"), (true, b"c1"), (true, b"c2")] {
            if control {
                outbox.push_control(frame.to_vec());
            } else {
                outbox.push_data(frame.to_vec());
            }
        }
        assert_eq!(sent(&mut outbox), b"c1c2d1d2");
        assert!(outbox.is_empty());
    }

    #[test]
    fn a_frame_that_leaves_at_once_stays_whole_and_in_its_place() {
        let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::NONBLOCK).unwrap();
        let mut outbox = Outbox::default();
        outbox.send_data(&vec![1; 100_000], &writer);
        outbox.send_data(&[2; 10], &writer);
        outbox.push_control(vec![3; 10]);
        let mut received = vec![0; 65_536];
        assert_eq!(rustix::io::read(&reader, &mut received).unwrap(), 65_536);
        received.extend(sent(&mut outbox));
        assert!(received == [vec![1; 100_000], vec![3; 10], vec![2; 10]].concat(), "bytes differ");
    }

    #[test]
    fn a_full_descriptor_keeps_the_rest_for_later() {
        let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::NONBLOCK).unwrap();
        let mut outbox = Outbox::default();
        for index in 0..40_u8 {
            outbox.push_data(vec![index; 10_000]);
        }
        assert!(!outbox.has_data_room());
        let mut received = Vec::new();
        let mut buffer = vec![0; 65_536];
        while !outbox.is_empty() {
            outbox.write_to(&writer).unwrap();
            let length = rustix::io::read(&reader, &mut buffer).unwrap();
            received.extend_from_slice(&buffer[..length]);
        }
        while let Ok(length) = rustix::io::read(&reader, &mut buffer) {
            received.extend_from_slice(&buffer[..length]);
        }
        let expected: Vec<u8> = (0..40_u8).flat_map(|index| vec![index; 10_000]).collect();
        assert!(received == expected, "bytes differ");
    }
}
