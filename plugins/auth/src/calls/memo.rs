//! Answers that are remembered, and asked for once however many want them.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared};
use parking_lot::Mutex;
use siphasher::sip128::SipHasher13;
use tidegate_core::Clock;

use crate::cache::{Keyed, Remembered};

/// Values by keyed hashes of what was asked: bounded, each for its time, and one call at a time for each.
///
/// A value is whatever a call comes to, a failure as well; how long it is kept says the call, and what is kept for no
/// time is given only to those who were waiting for it.
pub(crate) struct Memo<V> {
    key: Keyed,
    values: Remembered<V>,
    under_way: Mutex<AllUnderWay<V>>,
    clock: Clock,
    /// Times are counted from here: the time of day may jump.
    begun: Instant,
}

struct AllUnderWay<V> {
    calls: HashMap<u128, UnderWay<V>>,
    last: u64,
}

/// A call that somebody is waiting for.
struct UnderWay<V> {
    number: u64,
    /// Whoever waits keeps it going. When nobody does any more, it ends.
    call: WeakShared<BoxFuture<'static, V>>,
}

impl<V: Clone + Send + Sync + 'static> Memo<V> {
    /// Room for so many values.
    pub(crate) fn new(clock: &Clock, entries: usize) -> Arc<Self> {
        Arc::new(Self {
            key: Keyed::new(),
            values: Remembered::new(entries),
            under_way: Mutex::new(AllUnderWay { calls: HashMap::new(), last: 0 }),
            clock: clock.clone(),
            begun: clock.now(),
        })
    }

    /// The key of a text.
    pub(crate) fn key(&self, text: &[u8]) -> u128 {
        self.key.hash(0, text)
    }

    /// For keys of several parts.
    pub(crate) fn hasher(&self) -> SipHasher13 {
        self.key.hasher()
    }

    /// What is remembered. Allocates nothing.
    pub(crate) fn get(&self, key: u128) -> Option<V> {
        self.values.get(key, self.now())
    }

    /// How many values are remembered.
    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    /// What is remembered, or what `call` comes to, which says how long it is kept. Who asks while a call is under way
    /// gets what that comes to. A call goes on as long as one of those is there who wait for it.
    pub(crate) async fn get_or<F, Fut>(self: &Arc<Self>, key: u128, call: F) -> V
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = (V, Duration)> + Send + 'static,
    {
        match self.join(key, call) {
            Ok(value) => value,
            Err(call) => call.await,
        }
    }

    fn join<F, Fut>(self: &Arc<Self>, key: u128, call: F) -> Result<V, Shared<BoxFuture<'static, V>>>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = (V, Duration)> + Send + 'static,
    {
        let mut under_way = self.under_way.lock();
        // A call is taken from the list after its value is remembered: what isn't in the list is looked for here.
        if let Some(value) = self.get(key) {
            return Ok(value);
        }
        if let Some(call) = under_way.calls.get(&key).and_then(|before| before.call.upgrade()) {
            return Err(call);
        }
        under_way.last += 1;
        let number = under_way.last;
        let landing = Landing { memo: self.clone(), key, number };
        let call = call();
        let call = async move { landing.reached(call.await) }.boxed().shared();
        // Not yet polled, so that it can't be done already.
        if let Some(weak) = call.downgrade() {
            under_way.calls.insert(key, UnderWay { number, call: weak });
        }
        Err(call)
    }

    #[cfg(test)]
    pub(super) fn under_way_is_empty(&self) -> bool {
        self.under_way.lock().calls.is_empty()
    }

    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + self.clock.now().saturating_duration_since(self.begun)
    }
}

/// Takes a call from the list when it is done, or when nobody waits for it any more.
struct Landing<V> {
    memo: Arc<Memo<V>>,
    key: u128,
    number: u64,
}

impl<V: Clone + Send + Sync + 'static> Landing<V> {
    fn reached(self, (value, keep): (V, Duration)) -> V {
        let now = self.memo.now();
        let until = now.checked_add(keep).filter(|until| *until > now);
        if let Some(until) = until {
            self.memo.values.put(self.key, value.clone(), until, now);
        }
        value
    }
}

impl<V> Drop for Landing<V> {
    fn drop(&mut self) {
        let mut under_way = self.memo.under_way.lock();
        // Another call may have begun between the end of this one's last waiter and now.
        if under_way.calls.get(&self.key).is_some_and(|now| now.number == self.number) {
            under_way.calls.remove(&self.key);
        }
    }
}
