//! How a program is ended: SIGINT, two seconds later SIGTERM, three seconds later SIGKILL. Pure: time comes in, signals
//! come out.

use std::time::Duration;

pub const SIGINT: i32 = 2;
pub const SIGKILL: i32 = 9;
pub const SIGTERM: i32 = 15;

/// After SIGINT, the language's own interrupt.
const BEFORE_TERM: Duration = Duration::from_secs(2);
/// After SIGTERM.
const BEFORE_KILL: Duration = Duration::from_secs(3);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    Timeout,
    Cancelled,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rung {
    /// The time-out, if there is one.
    Waiting(Option<Duration>),
    Interrupted(Duration),
    Terminated(Duration),
    Killed,
}

#[derive(Debug)]
pub struct Ladder {
    rung: Rung,
    cause: Option<Cause>,
}

impl Ladder {
    /// For a program that starts at `now`; a time-out of 0 means none.
    #[must_use]
    pub fn new(now: Duration, timeout_ms: u64) -> Self {
        let timeout = (timeout_ms > 0).then(|| now.saturating_add(Duration::from_millis(timeout_ms)));
        Self { rung: Rung::Waiting(timeout), cause: None }
    }

    /// What set the ladder off; the first cause stays.
    #[must_use]
    pub fn cause(&self) -> Option<Cause> {
        self.cause
    }

    #[must_use]
    pub fn was_cancelled(&self) -> bool {
        self.cause == Some(Cause::Cancelled)
    }

    /// The host asks for the end: the signal to send now, if the ladder has not been set off before.
    pub fn cancel(&mut self, now: Duration) -> Option<i32> {
        let Rung::Waiting(_) = self.rung else {
            return None;
        };
        self.cause = Some(Cause::Cancelled);
        self.rung = Rung::Interrupted(now + BEFORE_TERM);
        Some(SIGINT)
    }

    /// When `climb` has something to do next.
    #[must_use]
    pub fn due(&self) -> Option<Duration> {
        match self.rung {
            Rung::Waiting(due) => due,
            Rung::Interrupted(due) | Rung::Terminated(due) => Some(due),
            Rung::Killed => None,
        }
    }

    /// The signal that is due at `now`.
    pub fn climb(&mut self, now: Duration) -> Option<i32> {
        if self.due().is_none_or(|due| now < due) {
            return None;
        }
        let (rung, signal) = match self.rung {
            Rung::Waiting(_) => {
                self.cause = Some(Cause::Timeout);
                (Rung::Interrupted(now + BEFORE_TERM), SIGINT)
            }
            Rung::Interrupted(_) => (Rung::Terminated(now + BEFORE_KILL), SIGTERM),
            Rung::Terminated(_) | Rung::Killed => (Rung::Killed, SIGKILL),
        };
        self.rung = rung;
        Some(signal)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::{Cause, Ladder, SIGINT, SIGKILL, SIGTERM};

    const fn at(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn a_time_out_climbs_two_and_three_seconds_apart() {
        let mut ladder = Ladder::new(at(100), 1_000);
        assert_eq!(ladder.climb(at(1_099)), None);
        assert_eq!(ladder.climb(at(1_100)), Some(SIGINT));
        assert_eq!(ladder.cause(), Some(Cause::Timeout));
        assert_eq!(ladder.climb(at(3_099)), None);
        assert_eq!(ladder.climb(at(3_100)), Some(SIGTERM));
        assert_eq!(ladder.climb(at(6_099)), None);
        assert_eq!(ladder.climb(at(6_100)), Some(SIGKILL));
        assert_eq!(ladder.due(), None);
        assert_eq!(ladder.climb(at(60_000)), None);
    }

    #[test]
    fn a_cancel_begins_at_once_and_the_first_cause_stays() {
        let mut ladder = Ladder::new(at(0), 5_000);
        assert_eq!(ladder.cancel(at(10)), Some(SIGINT));
        assert_eq!(ladder.cancel(at(11)), None);
        assert_eq!(ladder.climb(at(2_010)), Some(SIGTERM));
        assert_eq!(ladder.cause(), Some(Cause::Cancelled));

        let mut ladder = Ladder::new(at(0), 1);
        assert_eq!(ladder.climb(at(1)), Some(SIGINT));
        assert_eq!(ladder.cancel(at(2)), None);
        assert_eq!(ladder.cause(), Some(Cause::Timeout));
    }

    #[test]
    fn without_time_out_nothing_is_due() {
        assert_eq!(Ladder::new(at(7), 0).due(), None);
    }

    proptest! {
        /// However late and often the clock is looked at: each signal once, in order, with the pauses kept.
        #[test]
        fn signals_come_once_in_order_and_spaced(timeout in 1_u64..10_000, steps in prop::collection::vec(0_u64..4_000, 1..40)) {
            let mut ladder = Ladder::new(at(0), timeout);
            let mut now = 0;
            let mut sent = Vec::new();
            for step in steps {
                now += step;
                if let Some(signal) = ladder.climb(at(now)) {
                    sent.push((now, signal));
                }
            }
            let expected = [SIGINT, SIGTERM, SIGKILL];
            prop_assert!(sent.iter().map(|(_, signal)| *signal).eq(expected.into_iter().take(sent.len())));
            for (pair, pause) in sent.windows(2).zip([2_000, 3_000]) {
                prop_assert!(pair[1].0 - pair[0].0 >= pause);
            }
            if let Some((first, _)) = sent.first() {
                prop_assert!(*first >= timeout);
            }
        }
    }
}
