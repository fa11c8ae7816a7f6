//! What is counted of one target, and how often it was left out.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::compare::Sample;
use super::seen::Seen;
use super::{Cause, nanos};
use crate::config::Outlier;

/// What is counted of one target. Times are nanoseconds on the pool's clock.
#[derive(Debug, Default)]
pub(crate) struct Record {
    /// Failures and answers of 5xx in a row.
    failures: AtomicU32,
    /// Failures to get any answer in a row.
    unanswered: AtomicU32,
    /// Since targets were last compared.
    window: Window,
    /// How often in a row it was left out.
    times: AtomicU32,
    /// Until when it is left out.
    until: AtomicU64,
    /// When it was last restored.
    restored: AtomicU64,
}

#[derive(Debug, Default)]
struct Window {
    tries: AtomicU32,
    good: AtomicU32,
    answers: AtomicU32,
    answer_nanos: AtomicU64,
}

impl Record {
    /// Counts one more try; `Some` if that was one too many.
    pub(super) fn hear(&self, seen: Seen, config: &Outlier) -> Option<Cause> {
        let failures = match seen {
            Seen::Good => reset(&self.failures),
            Seen::Bad | Seen::Nothing => fills(&self.failures, config.consecutive_5xx),
        };
        let unanswered = match seen {
            Seen::Good | Seen::Bad => reset(&self.unanswered),
            Seen::Nothing => fills(&self.unanswered, config.consecutive_connect),
        };
        // The one that says more comes first.
        match (unanswered, failures) {
            (true, _) => Some(Cause::Unanswered(config.consecutive_connect)),
            (false, true) => Some(Cause::Failures(config.consecutive_5xx)),
            (false, false) => None,
        }
    }

    /// Counts for the next comparison with others.
    pub(super) fn count(&self, seen: Seen, first_byte: Option<Duration>) {
        self.window.tries.fetch_add(1, Relaxed);
        if seen == Seen::Good {
            self.window.good.fetch_add(1, Relaxed);
        }
        if let Some(took) = first_byte {
            self.window.answers.fetch_add(1, Relaxed);
            self.window.answer_nanos.fetch_add(nanos(took), Relaxed);
        }
    }

    /// What was counted since the last time.
    pub(super) fn take(&self) -> Sample {
        Sample {
            tries: self.window.tries.swap(0, Relaxed),
            good: self.window.good.swap(0, Relaxed),
            answers: self.window.answers.swap(0, Relaxed),
            answer_nanos: self.window.answer_nanos.swap(0, Relaxed),
        }
    }

    /// It is left out from now on; returns for how long. Only with the pool's registry held.
    pub(super) fn eject(&self, now: u64, config: &Outlier) -> Duration {
        let base = nanos(config.base_ejection.into());
        let longest = nanos(config.max_ejection.into()).max(base);
        let times = self.times_left(now, base).saturating_add(1);
        let lasts = base.saturating_mul(times.into()).min(longest);
        // Not counted beyond the longest time, or it would take as long to be forgiven.
        let most = u32::try_from(longest.div_ceil(base.max(1))).unwrap_or(u32::MAX);
        self.times.store(times.min(most), Relaxed);
        self.until.store(now.saturating_add(lasts), Relaxed);
        Duration::from_nanos(lasts)
    }

    /// How often in a row it was left out: each `base` that it has served since makes up for one.
    fn times_left(&self, now: u64, base: u64) -> u32 {
        let served = now.saturating_sub(self.restored.load(Relaxed)) / base.max(1);
        self.times.load(Relaxed).saturating_sub(u32::try_from(served).unwrap_or(u32::MAX))
    }

    /// It serves again. What it had counted would leave it out again too soon.
    pub(super) fn restore(&self, now: u64) {
        self.until.store(0, Relaxed);
        self.restored.store(now, Relaxed);
        self.failures.store(0, Relaxed);
        self.unanswered.store(0, Relaxed);
    }

    /// How often in a row it was left out, as of the last time.
    pub(crate) fn times(&self) -> u32 {
        self.times.load(Relaxed)
    }

    /// Until when it is left out, on the pool's clock; 0: it isn't.
    pub(crate) fn until(&self) -> u64 {
        self.until.load(Relaxed)
    }
}

/// Back to zero. Written only if it isn't there already, for that is every request of a target that is well.
fn reset(count: &AtomicU32) -> bool {
    if count.load(Relaxed) != 0 {
        count.store(0, Relaxed);
    }
    false
}

/// Whether this one fills it up, which empties it: of many threads exactly one is told so, and when the target can't
/// be left out, nobody asks again before as many more have failed. With a `limit` of 0 it never fills.
fn fills(count: &AtomicU32, limit: u32) -> bool {
    if limit == 0 {
        return false;
    }
    let next = |count: u32| if count >= limit - 1 { 0 } else { count + 1 };
    let before = count.fetch_update(Relaxed, Relaxed, |count| Some(next(count)));
    before.is_ok_and(|before| next(before) == 0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use Seen::{Bad, Good, Nothing};

    fn config(consecutive_5xx: u32, consecutive_connect: u32) -> Outlier {
        Outlier { consecutive_5xx, consecutive_connect, ..Outlier::default() }
    }

    fn hear_all(config: &Outlier, all: &[Seen]) -> Vec<Option<Cause>> {
        let record = Record::default();
        all.iter().map(|seen| record.hear(*seen, config)).collect()
    }

    #[test]
    fn the_fifth_5xx_in_a_row_is_too_many() {
        let last = hear_all(&config(5, 3), &[Bad; 6]);
        assert_eq!(last, [None, None, None, None, Some(Cause::Failures(5)), None]);
    }

    #[test]
    fn the_third_failure_to_get_an_answer_is_too_many() {
        assert_eq!(hear_all(&config(5, 3), &[Nothing; 3]), [None, None, Some(Cause::Unanswered(3))]);
    }

    #[test]
    fn failures_without_an_answer_count_with_those_of_5xx() {
        let mixed = [Bad, Nothing, Bad, Nothing, Bad];
        assert_eq!(hear_all(&config(5, 3), &mixed), [None, None, None, None, Some(Cause::Failures(5))]);
    }

    #[test]
    fn a_good_answer_starts_the_count_anew() {
        for pattern in [[Bad, Bad, Bad, Bad, Good], [Nothing, Nothing, Good, Bad, Good]] {
            assert!(hear_all(&config(5, 3), &pattern.repeat(10)).iter().all(Option::is_none));
        }
    }

    #[test]
    fn any_answer_ends_a_row_without_one() {
        let pattern = [Nothing, Nothing, Bad].repeat(10);
        assert!(hear_all(&config(0, 3), &pattern).iter().all(Option::is_none));
    }

    #[test]
    fn zero_never_is_too_many() {
        assert!(hear_all(&config(0, 0), &[Nothing; 100]).iter().all(Option::is_none));
        assert_eq!(hear_all(&config(1, 0), &[Nothing]), [Some(Cause::Failures(1))]);
    }

    #[test]
    fn of_many_threads_one_for_each_five_is_told() {
        let (record, config) = (Record::default(), config(5, 0));
        let told = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1_000 {
                        told.fetch_add(u32::from(record.hear(Bad, &config).is_some()), Relaxed);
                    }
                });
            }
        });
        assert_eq!(told.into_inner(), 800);
    }

    const SECOND: u64 = 1_000_000_000;

    /// Leaves it out at `at` seconds, restores it when that is over, and says when that is.
    fn eject(record: &Record, at: u64) -> u64 {
        let lasts = record.eject(at * SECOND, &Outlier::default());
        assert_eq!(record.until(), (at + lasts.as_secs()) * SECOND);
        record.restore(record.until());
        at + lasts.as_secs()
    }

    #[test]
    fn the_nth_time_in_a_row_lasts_n_times_as_long_but_never_longer_than_the_longest() {
        let record = Record::default();
        let mut now = 1;
        for n in 1..=20 {
            let end = eject(&record, now);
            assert_eq!(end - now, (n * 30).min(300), "time {n}");
            now = end;
        }
        assert_eq!(record.until(), 0);
    }

    #[test]
    fn each_base_time_that_it_serves_makes_up_for_one() {
        let record = Record::default();
        let now = (0..4).fold(1, |now, _| eject(&record, now));
        let lasts = |nanos| record.eject(nanos, &Outlier::default()).as_secs();
        // A time that is not yet over makes up for none.
        assert_eq!(lasts(now * SECOND + 29_999_999_999), 150);
        record.restore(1_000 * SECOND);
        assert_eq!(lasts(1_030 * SECOND), 150);
        record.restore(2_000 * SECOND);
        assert_eq!(lasts(2_089 * SECOND), 120);
        record.restore(3_000 * SECOND);
        assert_eq!(lasts(4_000 * SECOND), 30);
    }

    #[test]
    fn what_was_long_ago_is_forgiven_as_fast_after_a_hundred_times() {
        let record = Record::default();
        let end = (0..100).fold(1, |now, _| eject(&record, now));
        assert_eq!(eject(&record, end + 300) - (end + 300), 30);
    }

    #[test]
    fn one_that_is_restored_counts_from_zero() {
        let (record, config) = (Record::default(), config(5, 3));
        assert_eq!([Bad; 4].map(|seen| record.hear(seen, &config)), [None; 4]);
        assert_eq!([Nothing; 2].map(|seen| record.hear(seen, &self::config(0, 3))), [None; 2]);
        record.restore(1);
        assert_eq!([Nothing, Nothing, Bad, Bad].map(|seen| record.hear(seen, &config)), [None; 4]);
    }

    #[test]
    fn what_is_taken_is_counted_no_more() {
        let record = Record::default();
        record.count(Good, Some(Duration::from_nanos(5)));
        record.count(Bad, Some(Duration::from_nanos(7)));
        record.count(Nothing, None);
        let sample = record.take();
        assert_eq!((sample.tries, sample.good, sample.answers, sample.answer_nanos), (3, 1, 2, 12));
        assert_eq!(record.take(), Sample::default());
    }

    proptest! {
        #[test]
        fn a_time_is_never_shorter_than_the_base_nor_longer_than_the_longest(
            base in 1u64..1_000, longest in 0u64..1_000, waits in proptest::collection::vec(0u64..100, 1..50),
        ) {
            let config = Outlier {
                base_ejection: Duration::from_secs(base).into(),
                max_ejection: Duration::from_secs(longest).into(),
                ..Outlier::default()
            };
            let (record, mut now) = (Record::default(), 1);
            for wait in waits {
                now += wait * SECOND;
                let lasts = record.eject(now, &config);
                prop_assert!(lasts.as_secs() >= base && lasts.as_secs() <= longest.max(base));
                now = record.until();
                record.restore(now);
            }
        }
    }
}
