//! `sliding_window`: exactly so many in any span of a length. The time of every request is remembered, which is why
//! its limit is bounded.

use std::collections::VecDeque;

use super::{LAST, believed, counted, fits, share};
use crate::rule::{Micros, Now, Verdict};

/// What is remembered of one key: when how much was taken, oldest first, equal times merged. The limit and window of
/// its rule are given to each call, so that a log is nothing but its entries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Log {
    entries: VecDeque<Entry>,
    total: u64,
}

/// Counts while now < `time` + window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    time: Micros,
    cost: u32,
}

impl Log {
    /// Takes `cost`, if it fits into the window that ends now. `Err` is a refusal, and nothing is taken. A cost of
    /// zero takes nothing and is allowed only while one unit could be had.
    pub(crate) fn take(&mut self, limit: u64, window: Micros, now: Now, cost: u64) -> Result<Verdict, Verdict> {
        let now = now.steady.min(LAST);
        self.forget(window, now);
        if !fits(limit, self.total, cost) {
            let retry = self.room_at(limit, window, now, cost.max(1));
            return Err(Verdict { allowed: false, retry, ..self.verdict(limit, window, now) });
        }
        self.push(most_entries(limit), now, cost);
        Ok(self.verdict(limit, window, now))
    }

    /// What [`Log::take`] would say to a cost of zero.
    pub(crate) fn look(&mut self, limit: u64, window: Micros, now: Now) -> Verdict {
        match self.take(limit, window, now, 0) {
            Ok(verdict) | Err(verdict) => verdict,
        }
    }

    /// Counts `units` whatever the limit says; negative gives back what was taken last.
    pub(crate) fn charge(&mut self, limit: u64, window: Micros, now: Now, units: i64) {
        let now = now.steady.min(LAST);
        self.forget(window, now);
        match units {
            ..0 => self.give_back(units.unsigned_abs()),
            0.. => self.push(most_entries(limit), now, units.unsigned_abs()),
        }
    }

    /// Counts without another entry: with the newest, which then counts for longer. So it refuses a little more, and
    /// never admits more.
    pub(crate) fn join_newest(&mut self, window: Micros, now: Now, units: u64) {
        let now = now.steady.min(LAST);
        self.forget(window, now);
        self.push(0, now, units);
    }

    /// Takes back a take of `cost` made at `taken_at`, or as much of it as still counts.
    pub(crate) fn undo(&mut self, taken_at: Now, cost: u64) {
        let taken_at = taken_at.steady.min(LAST);
        let first = self.entries.partition_point(|entry| entry.time < taken_at);
        let mut left = cost;
        for entry in self.entries.range_mut(first..) {
            left -= entry.shrink(left);
        }
        self.total -= cost - left;
        self.entries.retain(|entry| entry.cost > 0);
    }

    /// The steady time from which nothing here counts any more.
    pub(crate) fn fresh_at(&self, window: Micros, now: Now) -> Micros {
        self.entries.back().map_or(0, |last| believed(last.time, now.steady.min(LAST)) + window)
    }

    /// As [`crate::rule::Shape::fullness`].
    pub(crate) fn fullness(&mut self, limit: u64, window: Micros, now: Now) -> u16 {
        self.forget(window, now.steady.min(LAST));
        share(self.total, limit)
    }

    /// Memory held beyond the log itself.
    pub(crate) fn bytes(&self) -> usize {
        self.entries.capacity() * size_of::<Entry>()
    }

    /// Times and costs, oldest first.
    pub(crate) fn entries(&self) -> impl ExactSizeIterator<Item = (Micros, u32)> + '_ {
        self.entries.iter().map(|entry| (entry.time, entry.cost))
    }

    /// A log of these entries, in whatever order.
    pub(crate) fn from_entries(entries: impl IntoIterator<Item = (Micros, u32)>) -> Self {
        let mut entries: Vec<Entry> = entries.into_iter().map(|(time, cost)| Entry { time, cost }).collect();
        entries.sort_by_key(|entry| entry.time);
        let total = entries.iter().map(|entry| u64::from(entry.cost)).sum();
        Self { entries: entries.into(), total }
    }

    /// Drops what has left the window, and corrects what a clock that was ahead has written.
    fn forget(&mut self, window: Micros, now: Micros) {
        let ahead = self.entries.partition_point(|entry| believed(entry.time, now) == entry.time);
        if ahead < self.entries.len() {
            let time =
                ahead.checked_sub(1).and_then(|last| self.entries.get(last)).map_or(now, |last| last.time.max(now));
            self.entries.range_mut(ahead..).for_each(|entry| entry.time = time);
        }
        while let Some(oldest) = self.entries.front().filter(|oldest| now >= oldest.time + window) {
            self.total -= u64::from(oldest.cost);
            self.entries.pop_front();
        }
        // A key that was busy once does not keep its memory for ever.
        if self.entries.capacity() > 16 && self.entries.len() < self.entries.capacity() / 4 {
            self.entries.shrink_to(self.entries.capacity() / 2);
        }
    }

    /// Times never go back, so that the oldest is always in front. What would be one entry more than `most` joins the
    /// newest, and leaves with it.
    fn push(&mut self, most: u64, now: Micros, cost: u64) {
        let full = self.entries.len() as u64 >= most;
        let cost = u32::try_from(cost).unwrap_or(u32::MAX);
        match self.entries.back_mut() {
            _ if cost == 0 => {}
            Some(last) if last.time >= now || full => {
                let before = last.cost;
                last.time = last.time.max(now);
                last.cost = last.cost.saturating_add(cost);
                self.total += u64::from(last.cost - before);
            }
            _ => {
                self.entries.push_back(Entry { time: now, cost });
                self.total += u64::from(cost);
            }
        }
    }

    fn give_back(&mut self, units: u64) {
        let mut left = units;
        while let Some(last) = self.entries.back_mut().filter(|_| left > 0) {
            let given_back = last.shrink(left);
            left -= given_back;
            self.total -= given_back;
            if last.cost == 0 {
                self.entries.pop_back();
            }
        }
    }

    /// From `now` until so much has left that `cost` fits; a whole window if it never can.
    fn room_at(&self, limit: u64, window: Micros, now: Micros, cost: u64) -> Micros {
        let mut counted = self.total;
        let enough = self.entries.iter().find(|entry| {
            counted -= u64::from(entry.cost);
            fits(limit, counted, cost)
        });
        enough.map_or(window, |entry| entry.time + window - now)
    }

    fn verdict(&self, limit: u64, window: Micros, now: Micros) -> Verdict {
        let reset = self.entries.back().map_or(0, |last| last.time + window - now);
        counted(limit, self.total, reset)
    }
}

/// As many as there are requests, and charges after each of them, and some to spare.
fn most_entries(limit: u64) -> u64 {
    limit.saturating_mul(2).saturating_add(16)
}

impl Entry {
    /// Less by `units`, or by all there is; says by how much.
    fn shrink(&mut self, units: u64) -> u64 {
        let by = u32::try_from(units).unwrap_or(u32::MAX).min(self.cost);
        self.cost -= by;
        u64::from(by)
    }
}
