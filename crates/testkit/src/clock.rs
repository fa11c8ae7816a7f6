//! A clock that only a test turns.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;
use tidegate_core::TimeSource;

/// Time that stands still until the test [`advance`](ManualClock::advance)s it. Clones are the same clock.
#[derive(Clone)]
pub struct ManualClock(Arc<Inner>);

struct Inner {
    started: Instant,
    state: Mutex<State>,
}

struct State {
    wall_at_start: SystemTime,
    passed: Duration,
    sleepers: Vec<Sleeper>,
    last_id: u64,
}

struct Sleeper {
    id: u64,
    until: Duration,
    waker: Waker,
}

/// A clock at 2026-01-01 00:00:00 UTC.
pub fn manual_clock() -> ManualClock {
    ManualClock::at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600))
}

impl ManualClock {
    /// A clock whose time of day is `wall`.
    pub fn at(wall: SystemTime) -> Self {
        let state = State { wall_at_start: wall, passed: Duration::ZERO, sleepers: Vec::new(), last_id: 0 };
        Self(Arc::new(Inner { started: Instant::now(), state: Mutex::new(state) }))
    }

    /// Lets time pass, and wakes those whose sleep is over.
    ///
    /// Somebody who sleeps again and again wakes once: to see each of three ticks, advance three times.
    pub fn advance(&self, by: Duration) {
        let mut awake = Vec::new();
        {
            let mut state = self.0.state.lock();
            state.passed += by;
            let passed = state.passed;
            state.sleepers.retain_mut(|sleeper| {
                let asleep = sleeper.until > passed;
                if !asleep {
                    awake.push(sleeper.waker.clone());
                }
                asleep
            });
        }
        awake.into_iter().for_each(Waker::wake);
    }

    /// Moves the time of day, forwards or back, as NTP does; nobody wakes.
    pub fn set_wall(&self, wall: SystemTime) {
        let mut state = self.0.state.lock();
        state.wall_at_start = wall - state.passed;
    }

    /// How much time has passed.
    pub fn passed(&self) -> Duration {
        self.0.state.lock().passed
    }

    /// How many sleep on this clock: wait for it before [`advance`](ManualClock::advance), so that nobody falls
    /// asleep only afterwards.
    pub fn sleepers(&self) -> usize {
        self.0.state.lock().sleepers.len()
    }
}

impl TimeSource for ManualClock {
    fn now(&self) -> Instant {
        self.0.started + self.passed()
    }

    fn wall(&self) -> SystemTime {
        let state = self.0.state.lock();
        state.wall_at_start + state.passed
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let mut state = self.0.state.lock();
        state.last_id += 1;
        let (id, until) = (state.last_id, state.passed + duration);
        drop(state);
        Box::pin(Sleep { clock: self.clone(), id, until })
    }
}

impl std::fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ManualClock({:?} passed)", self.passed())
    }
}

struct Sleep {
    clock: ManualClock,
    id: u64,
    until: Duration,
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.clock.0.state.lock();
        if state.passed >= self.until {
            return Poll::Ready(());
        }
        match state.sleepers.iter_mut().find(|sleeper| sleeper.id == self.id) {
            Some(sleeper) => sleeper.waker.clone_from(cx.waker()),
            None => state.sleepers.push(Sleeper { id: self.id, until: self.until, waker: cx.waker().clone() }),
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.clock.0.state.lock().sleepers.retain(|sleeper| sleeper.id != self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wait_until;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test]
    async fn sleepers_wake_when_their_time_has_come_and_not_before() {
        let clock = manual_clock();
        let sleep = |seconds: u32| tokio::spawn(clock.sleep(seconds * SECOND));
        let (short, long) = (sleep(1), sleep(10));
        wait_until("both asleep", || clock.sleepers() == 2).await;
        clock.advance(SECOND);
        short.await.expect("awake");
        assert_eq!(clock.sleepers(), 1);
        assert!(!long.is_finished());
        long.abort();
        wait_until("the aborted one gone", || clock.sleepers() == 0).await;
    }

    #[test]
    fn both_times_move_together_and_the_time_of_day_can_jump() {
        let clock = manual_clock();
        let (now, wall) = (clock.now(), clock.wall());
        clock.advance(SECOND);
        assert_eq!(clock.now() - now, SECOND);
        assert_eq!(clock.wall().duration_since(wall).expect("later"), SECOND);
        clock.set_wall(wall - SECOND);
        assert_eq!(wall.duration_since(clock.wall()).expect("earlier"), SECOND);
        assert_eq!(clock.passed(), SECOND);
    }
}
