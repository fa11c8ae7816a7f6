//! The time of day, for who forgets for ever what is over.

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tidegate_core::Clock;

use crate::id::Millis;

/// A jump ahead counts when it has lasted so long: somebody would have noticed, and set the clock back.
const BELIEVED: Duration = Duration::from_secs(3600);
/// Clocks are set by that much all the time.
const USUAL: Duration = Duration::from_secs(60);

/// The time of day as it passes, and not as it jumps: a clock that is set far ahead, and back, makes nobody forget what
/// still counts. One that is set back is believed at once: things are kept for longer then.
#[derive(Debug, Default)]
pub(crate) struct Steady(Mutex<Option<Seen>>);

#[derive(Debug, Clone, Copy)]
struct Seen {
    time: Millis,
    at: Instant,
    /// Since when the clock is ahead of what has passed.
    ahead: Option<Instant>,
}

impl Steady {
    /// The time of day, at most.
    pub(crate) fn now(&self, clock: &Clock) -> Millis {
        self.look(Millis::of(clock.wall()), clock.now())
    }

    fn look(&self, wall: Millis, at: Instant) -> Millis {
        let mut seen = self.0.lock();
        let next = seen.map_or(Seen { time: wall, at, ahead: None }, |seen| seen.next(wall, at));
        *seen = Some(next);
        next.time
    }
}

impl Seen {
    fn next(self, wall: Millis, at: Instant) -> Self {
        let passed = self.time.plus(at.saturating_duration_since(self.at));
        if wall <= passed.plus(USUAL) {
            return Self { time: wall, at, ahead: None };
        }
        let ahead = self.ahead.unwrap_or(at);
        match at.saturating_duration_since(ahead) >= BELIEVED {
            true => Self { time: wall, at, ahead: None },
            false => Self { time: passed, at, ahead: Some(ahead) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    #[test]
    fn a_jump_ahead_counts_when_it_has_lasted() {
        let (steady, began, start) = (Steady::default(), Instant::now(), Millis(1_767_225_600_000));
        let look =
            |after: Duration, jumped: Duration| steady.look(start.plus(after).plus(jumped), began + after).since(start);
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        assert_eq!(look(minutes(0), Duration::ZERO), minutes(0));
        assert_eq!(look(minutes(9), minutes(1)), minutes(10), "as clocks are set all the time");
        assert_eq!(look(minutes(10), DAY), minutes(11));
        assert_eq!(look(minutes(40), DAY), minutes(41));
        assert_eq!(look(minutes(41), Duration::ZERO), minutes(41), "it is set back");
        assert_eq!(look(minutes(50), DAY), minutes(50), "and ahead once more");
        assert_eq!(look(minutes(109), DAY), minutes(109));
        assert_eq!(look(minutes(110), DAY), minutes(110) + DAY, "for an hour");
        assert_eq!(look(minutes(111), DAY), minutes(111) + DAY);
    }

    #[test]
    fn a_clock_that_is_set_back_is_believed() {
        let (steady, began) = (Steady::default(), Instant::now());
        steady.look(Millis(5_000_000), began);
        assert_eq!(steady.look(Millis(1_000_000), began), Millis(1_000_000));
        assert_eq!(steady.look(Millis(1_001_000), began + Duration::from_secs(1)), Millis(1_001_000));
    }
}
