//! State that outlives a reload.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

type Key = (&'static str, String, TypeId);
type Entry = Arc<dyn Any + Send + Sync>;

/// What plugins keep from one configuration to the next: counters of limits, caches, keys.
///
/// A build takes what it finds from the configuration before it. What it doesn't ask for again goes when
/// that configuration goes; a build that fails leaves everything as it was.
#[derive(Default)]
pub struct Retained(Mutex<HashMap<Key, Entry>>);

impl Retained {
    /// Nothing kept yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The value under `plugin` and `key` in `self`, else the one in `before`, else a new one.
    pub(crate) fn entry<T: Send + Sync + 'static>(
        &self,
        before: Option<&Retained>,
        plugin: &'static str,
        key: &str,
        make: impl FnOnce() -> T,
    ) -> Arc<T> {
        let id = (plugin, key.to_owned(), TypeId::of::<T>());
        let mut kept = self.0.lock();
        let found = kept.get(&id).cloned().or_else(|| before.and_then(|before| before.0.lock().get(&id).cloned()));
        let entry = found.unwrap_or_else(|| Arc::new(make()));
        kept.insert(id, entry.clone());
        entry.downcast().unwrap_or_else(|_| unreachable!("the type is part of the key"))
    }
}

impl std::fmt::Debug for Retained {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Retained({} entries)", self.0.lock().len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_survives_into_the_next_build_and_one_not_asked_for_does_not() {
        let first = Retained::new();
        let kept = first.entry(None, "p", "a", || 1_u32);
        first.entry(None, "p", "b", || 2_u32);
        let second = Retained::new();
        assert!(Arc::ptr_eq(&kept, &second.entry(Some(&first), "p", "a", || 9_u32)));
        let third = Retained::new();
        assert_eq!(*third.entry(Some(&second), "p", "b", || 7_u32), 7);
    }

    #[test]
    fn plugins_and_types_do_not_meet() {
        let kept = Retained::new();
        kept.entry(None, "p", "a", || 1_u32);
        assert_eq!(*kept.entry(None, "q", "a", || 2_u32), 2);
        assert_eq!(*kept.entry(None, "p", "a", || 3_u64), 3);
    }
}
