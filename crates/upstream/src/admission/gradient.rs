//! How many requests an upstream can take, told by how long its answers take.

use crate::config;

/// Over how many windows the usual time is averaged.
const LONG: f64 = 600.0;
/// The first windows count alike, so that the usual time is known soon.
const WARM_UP: f64 = 10.0;
/// How much of the way to a new limit is gone at a time.
const SMOOTHING: f64 = 0.2;
/// How many windows the limit may be held down before the usual time is measured anew.
const HELD_DOWN: u32 = 64;
/// How many windows may pass until no more than half of the limit are in flight.
const DRAINING: u32 = 8;

/// The Gradient2 limit of Netflix's concurrency-limits: the limit times the ratio of the usual time of an answer to
/// the present one, and room for a queue of its square root.
///
/// Gradient2 takes whatever goes on for long for the usual time. Under a load that always fills the limit the usual
/// time would grow with the queue that the limit allows, and the limit with it, without end. So time that was measured
/// while the limit was held down is not averaged. Instead, now and then, the limit is halved until the queue is gone,
/// and the answers of one more window tell how long the upstream takes without it (as BBR does for networks).
#[derive(Debug)]
pub(super) struct Gradient {
    min: f64,
    max: f64,
    tolerance: f64,
    limit: f64,
    /// The usual time of an answer, in nanoseconds, and how many windows it is averaged over.
    usual: f64,
    windows: f64,
    /// How many windows the limit was held down since the usual time was measured.
    held_down: u32,
    measuring: Measuring,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Measuring {
    No,
    /// The limit is halved; answers still come to requests that were sent before. Counts the windows.
    Draining(u32),
    /// The answers of this window count.
    Yes,
}

impl Gradient {
    pub(super) fn new(config: &config::Adaptive) -> Self {
        let min = f64::from(config.min.max(1));
        let max = f64::from(config.max).max(min);
        let tolerance = if config.tolerance.is_finite() { config.tolerance.max(1.0) } else { 1.0 };
        let limit = f64::from(config.initial).clamp(min, max);
        Self { min, max, tolerance, limit, usual: 0.0, windows: 0.0, held_down: 0, measuring: Measuring::No }
    }

    /// How many requests may be in flight.
    pub(super) fn limit(&self) -> u32 {
        let limit = match self.measuring {
            Measuring::No => self.limit,
            Measuring::Draining(_) | Measuring::Yes => (self.limit / 2.0).max(self.min),
        };
        // At most `max`, which is one.
        limit as u32
    }

    /// A window is over. Its answers took `took` nanoseconds on average, and there were never more than `busiest`
    /// requests in flight.
    pub(super) fn learn(&mut self, took: f64, busiest: u32) {
        match self.measuring {
            // Streams may never end.
            Measuring::Draining(windows) if busiest > self.limit() && windows < DRAINING => {
                self.measuring = Measuring::Draining(windows + 1);
            }
            Measuring::Draining(_) => self.measuring = Measuring::Yes,
            Measuring::Yes => self.measured(took),
            Measuring::No => self.adjust(took.max(1.0), busiest),
        }
    }

    fn measured(&mut self, took: f64) {
        // An upstream that hangs at this moment is not to be taken for one that always does.
        self.usual = took.clamp(1.0, 2.0 * self.usual.max(1.0));
        self.held_down = 0;
        self.measuring = Measuring::No;
    }

    fn adjust(&mut self, took: f64, busiest: u32) {
        let busy = f64::from(busiest) >= self.limit / 2.0;
        let gradient = match self.windows > 0.0 {
            true => (self.tolerance * self.usual / took).clamp(0.5, 1.0),
            false => 1.0,
        };
        let held_down = busy && gradient < 1.0;
        if !held_down {
            self.average(took);
        }
        if !busy {
            // The upstream could take more than it is asked: nothing is known of the limit.
            return;
        }
        let wanted = self.limit * gradient + self.limit.sqrt();
        let limit = self.limit * (1.0 - SMOOTHING) + wanted * SMOOTHING;
        self.limit = limit.clamp(self.min, self.max);
        self.held_down += u32::from(held_down);
        if self.held_down >= HELD_DOWN {
            self.measuring = Measuring::Draining(1);
        }
    }

    fn average(&mut self, took: f64) {
        self.windows += 1.0;
        let share = if self.windows <= WARM_UP { 1.0 / self.windows } else { 2.0 / (LONG + 1.0) };
        self.usual += (took - self.usual) * share;
        // An upstream that has become much faster is known as such soon.
        if self.usual > 2.0 * took {
            self.usual *= 0.95;
        }
    }
}
