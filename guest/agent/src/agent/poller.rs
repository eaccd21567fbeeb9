//! One epoll for everything. A descriptor is watched through `Watched`, which takes it off the list when it goes:
//! a forgotten registration cannot exist.

use std::cell::RefCell;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

use rustix::event::{epoll, Timespec};

/// Whose descriptor it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    Port,
    Children,
    /// Memory runs out.
    Pressure,
    /// The device and the listener of the guest's own connections.
    Network,
    /// By exchange id, which the host never uses twice.
    Exchange(u32),
    /// By serial number, which the agent never uses twice.
    Repl(u32),
}

/// Which of the owner's descriptors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Report,
    Stdin,
    Stdout,
    Stderr,
    Socket,
}

/// What epoll keeps for us. Stale events carry ids that are no longer found, and are thereby ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    pub owner: Owner,
    pub part: Part,
}

impl Token {
    fn to_u64(self) -> u64 {
        let (kind, id) = match self.owner {
            Owner::Port => (0_u64, 0),
            Owner::Children => (1, 0),
            Owner::Exchange(id) => (2, id),
            Owner::Repl(serial) => (3, serial),
            Owner::Pressure => (4, 0),
            Owner::Network => (5, 0),
        };
        ((self.part as u64) << 40) | (kind << 32) | u64::from(id)
    }

    fn from_u64(value: u64) -> Option<Self> {
        let id = u32::try_from(value & 0xffff_ffff).ok()?;
        let owner = match (value >> 32) & 0xff {
            0 => Owner::Port,
            1 => Owner::Children,
            2 => Owner::Exchange(id),
            3 => Owner::Repl(id),
            4 => Owner::Pressure,
            5 => Owner::Network,
            _ => return None,
        };
        let part = match value >> 40 {
            0 => Part::Report,
            1 => Part::Stdin,
            2 => Part::Stdout,
            3 => Part::Stderr,
            4 => Part::Socket,
            _ => return None,
        };
        Some(Self { owner, part })
    }
}

/// What to wait for; each flag is one of epoll's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)]
pub struct Interest {
    pub read: bool,
    pub write: bool,
    pub urgent: bool,
    /// A break, which the others bring along.
    pub resets: bool,
}

impl Interest {
    pub const READ: Self = Self { read: true, write: false, urgent: false, resets: false };
    pub const WRITE: Self = Self { read: false, write: true, urgent: false, resets: false };
    pub const URGENT: Self = Self { read: false, write: false, urgent: true, resets: false };

    fn flags(self) -> epoll::EventFlags {
        let mut flags = epoll::EventFlags::empty();
        flags.set(epoll::EventFlags::IN, self.read);
        flags.set(epoll::EventFlags::OUT, self.write);
        flags.set(epoll::EventFlags::PRI, self.urgent);
        flags
    }
}

pub struct Event {
    pub token: Token,
    /// Readable, or at its end, or broken: reading tells which.
    pub read: bool,
    pub write: bool,
    pub hung_up: bool,
}

pub struct Poller {
    epoll: Rc<OwnedFd>,
    ready: RefCell<Vec<epoll::Event>>,
}

impl Poller {
    pub fn new() -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        Ok(Self { epoll: Rc::new(epoll), ready: RefCell::new(Vec::with_capacity(128)) })
    }

    /// Takes a descriptor over; nothing is waited for until `want`.
    #[must_use]
    pub fn watch(&self, descriptor: OwnedFd, owner: Owner, part: Part) -> Watched {
        let token = Token { owner, part };
        Watched { descriptor, token, epoll: Rc::clone(&self.epoll), interest: Interest::default(), paused: false }
    }

    /// Waits for events, for as long as `timeout` (for ever without one).
    pub fn wait(&self, timeout: Option<Duration>) -> io::Result<Vec<Event>> {
        let timeout = timeout.map(|time| Timespec {
            tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: time.subsec_nanos().into(),
        });
        let mut ready = self.ready.borrow_mut();
        ready.clear();
        match epoll::wait(&*self.epoll, rustix::buffer::spare_capacity(&mut *ready), timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(ready.iter().filter_map(as_event).collect())
    }
}

fn as_event(event: &epoll::Event) -> Option<Event> {
    let flags = event.flags;
    let broken = flags.intersects(epoll::EventFlags::HUP | epoll::EventFlags::ERR);
    Some(Event {
        token: Token::from_u64(event.data.u64())?,
        read: broken || flags.contains(epoll::EventFlags::IN),
        write: broken || flags.contains(epoll::EventFlags::OUT),
        hung_up: flags.contains(epoll::EventFlags::HUP),
    })
}

/// A descriptor that the poller knows.
pub struct Watched {
    descriptor: OwnedFd,
    token: Token,
    epoll: Rc<OwnedFd>,
    /// What the list says.
    interest: Interest,
    /// Nothing is waited for, whatever the list says.
    paused: bool,
}

impl Watched {
    /// Says what to wait for. Without any interest the descriptor is off the list: epoll would report its hang-up again
    /// and again.
    pub fn want(&mut self, interest: Interest) -> io::Result<()> {
        self.paused = false;
        if interest == self.interest {
            return Ok(());
        }
        let data = epoll::EventData::new_u64(self.token.to_u64());
        if interest == Interest::default() {
            epoll::delete(&*self.epoll, &self.descriptor)?;
        } else if self.interest == Interest::default() {
            epoll::add(&*self.epoll, &self.descriptor, data, interest.flags())?;
        } else {
            epoll::modify(&*self.epoll, &self.descriptor, data, interest.flags())?;
        }
        self.interest = interest;
        Ok(())
    }

    /// Waits for nothing and leaves the list as it is: usually nothing comes until more is wanted again, and then two
    /// system calls (and a grace period of the kernel's) have been saved. If something comes, `unlist_if_paused`.
    pub fn pause(&mut self) {
        self.paused = true;
    }

    /// An event came. If nobody waits for it, it must not come again and again.
    pub fn unlist_if_paused(&mut self) -> io::Result<()> {
        if self.paused {
            self.want(Interest::default())?;
            self.paused = true;
        }
        Ok(())
    }
}

impl AsFd for Watched {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // A descriptor that epoll no longer knows is what is wanted.
        let _ = self.want(Interest::default());
    }
}

#[cfg(test)]
mod tests {
    use super::{Owner, Part, Token};

    #[test]
    fn tokens_survive_the_kernel() {
        let one = [Owner::Port, Owner::Children, Owner::Pressure, Owner::Network];
        for owner in one.into_iter().chain([Owner::Exchange(u32::MAX), Owner::Repl(7)]) {
            for part in [Part::Report, Part::Stdin, Part::Stdout, Part::Stderr, Part::Socket] {
                let token = Token { owner, part };
                assert_eq!(Token::from_u64(token.to_u64()), Some(token));
            }
        }
        assert_eq!(Token::from_u64(u64::MAX), None);
    }
}
