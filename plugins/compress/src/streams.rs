//! How many bodies are in work at the same time: each holds memory for as long as its client takes to read.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The places there are. The count outlives a reload, as bodies do.
#[derive(Debug, Clone)]
pub(crate) struct Streams {
    taken: Arc<AtomicUsize>,
    most: usize,
}

/// A place, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place(Arc<AtomicUsize>);

impl Streams {
    pub(crate) fn new(taken: Arc<AtomicUsize>, most: usize) -> Self {
        Self { taken, most }
    }

    /// `None` when there is none left.
    pub(crate) fn take(&self) -> Option<Place> {
        let place = Place(self.taken.clone());
        // Counted before it is looked at, so that two never get the last one; the drop gives it back.
        (self.taken.fetch_add(1, Ordering::Relaxed) < self.most).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_so_many_places_and_each_comes_back() {
        let streams = Streams::new(Arc::default(), 2);
        let (first, second) = (streams.take(), streams.take());
        assert!(first.is_some() && second.is_some() && streams.take().is_none() && streams.take().is_none());
        drop(first);
        assert!(streams.take().is_some());
    }
}
