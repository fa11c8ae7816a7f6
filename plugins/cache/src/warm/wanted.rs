//! Which URLs are asked for most: counts of some of the requests, so that the others pay nothing.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::Mutex;

/// One of so many requests is counted.
const SAMPLE: u32 = 8;

/// How many URLs are counted for each that is wanted: those that come and go don't push out the others.
const ROOM: usize = 8;

/// Counts by URL, bounded.
#[derive(Debug)]
pub(crate) struct Wanted {
    requests: AtomicU32,
    room: usize,
    counts: Mutex<HashMap<Box<str>, u32>>,
}

impl Wanted {
    /// For the `count` most wanted.
    pub(crate) fn new(count: usize) -> Self {
        Self { requests: AtomicU32::new(0), room: count * ROOM, counts: Mutex::default() }
    }

    /// A request under this cache key.
    pub(crate) fn note(&self, key: &[u8]) {
        if !self.requests.fetch_add(1, Ordering::Relaxed).is_multiple_of(SAMPLE) {
            return;
        }
        let Some(url) = crate::purge::url_of(key) else { return };
        let mut counts = self.counts.lock();
        if let Some(count) = counts.get_mut(&*url) {
            *count = count.saturating_add(1);
            return;
        }
        if counts.len() >= self.room {
            // Who was wanted once, long ago, makes room.
            counts.retain(|_, count| {
                *count /= 2;
                *count > 0
            });
        }
        if counts.len() < self.room {
            counts.insert(url.into(), 1);
        }
    }

    /// The most wanted first.
    pub(crate) fn most(&self, count: usize) -> Vec<String> {
        let mut all: Vec<(Box<str>, u32)> = self.counts.lock().iter().map(|(url, n)| (url.clone(), *n)).collect();
        all.sort_unstable_by(|(a, n), (b, m)| m.cmp(n).then_with(|| a.cmp(b)));
        all.into_iter().take(count).map(|(url, _)| url.into()).collect()
    }
}

#[cfg(test)]
mod tests {
    use tidegate_core::cache::CacheKey;

    use super::*;

    fn key(path: &str) -> CacheKey {
        let parts = ["1", "https", "shop.example", "", "GET", path, ""];
        parts.iter().fold(CacheKey::new(), |key, part| key.part(part.as_bytes()))
    }

    #[test]
    fn the_most_wanted_are_found_among_many_that_are_wanted_once() {
        let wanted = Wanted::new(2);
        for n in 0..20_000 {
            // Of each eight that follow one another one is counted.
            let path = if n % 16 < 8 { "/home".to_owned() } else { format!("/once/{n}") };
            wanted.note(key(&path).as_bytes());
        }
        assert_eq!(wanted.most(1), ["https://shop.example/home"]);
        assert!(wanted.counts.lock().len() <= 16);
    }
}
