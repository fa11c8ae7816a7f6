//! Counters, small values, signing keys.

use super::{Any, at_once, count, millis, now, secs};
use crate::id::{Id, Millis};
use crate::store::{Counted, Counter, StoreError};

fn counter(window: u64) -> Counter {
    Counter { key: Id::random(), window: secs(window) }
}

async fn counted(store: &Any, counter: Counter, by: u32, now: Millis) -> Counted {
    let all = store.count(&[counter], by, now).await.expect("an answer");
    assert_eq!(all.len(), 1);
    all[0]
}

pub(super) async fn counters_count_in_windows(store: Any) {
    let (t, one) = (now(), counter(900));
    let reset = t.plus(secs(900));
    assert_eq!(counted(&store, one, 1, t).await, Counted { count: 1, reset });
    assert_eq!(counted(&store, one, 2, t.plus(secs(1))).await, Counted { count: 3, reset });
    let last = Millis(reset.0 - 1);
    assert_eq!(counted(&store, one, 1, last).await, Counted { count: 4, reset });
    let next = reset.plus(secs(900));
    assert_eq!(counted(&store, one, 1, reset).await, Counted { count: 1, reset: next }, "a new window");
    assert_eq!(counted(&store, one, u32::MAX, reset).await.count, u32::MAX);
    // Several in one, each its own.
    let (a, b) = (counter(10), counter(20));
    let both = store.count(&[a, b], 1, t).await.expect("an answer");
    let expected = [Counted { count: 1, reset: t.plus(secs(10)) }, Counted { count: 1, reset: t.plus(secs(20)) }];
    assert_eq!(both, expected);
    assert_eq!(store.count(&[b, a], 1, t).await.expect("an answer").map_counts(), [2, 2]);
    assert_eq!(store.count(&[], 1, t).await.expect("an answer"), []);
}

pub(super) async fn looking_counts_nothing(store: Any) {
    let (t, one) = (now(), counter(900));
    assert_eq!(counted(&store, one, 0, t).await.count, 0);
    assert_eq!(counted(&store, one, 1, t.plus(secs(5))).await, Counted { count: 1, reset: t.plus(secs(905)) });
    assert_eq!(counted(&store, one, 0, t.plus(secs(6))).await, Counted { count: 1, reset: t.plus(secs(905)) });
    assert_eq!(counted(&store, one, 0, t.plus(secs(905))).await.count, 0);
}

pub(super) async fn counters_are_forgotten(store: Any) {
    let (t, a, b) = (now(), counter(900), counter(900));
    store.count(&[a, b], 3, t).await.expect("an answer");
    store.forget(&[a.key, Id::random()]).await.expect("an answer");
    assert_eq!(store.count(&[a, b], 1, t).await.expect("an answer").map_counts(), [1, 4]);
    store.forget(&[]).await.expect("an answer");
}

pub(super) async fn many_count_at_once(store: Any) {
    let (t, one) = (now(), counter(900));
    let all = at_once(200, |_| {
        let store = store.clone();
        async move { store.count(&[one], 1, t).await }
    });
    let mut counts = all.await.concat().map_counts();
    counts.sort_unstable();
    assert_eq!(counts, (1..=200).collect::<Vec<_>>());
}

pub(super) async fn values_are_put_until_a_time(store: Any) {
    let (t, key) = (now(), Id::random());
    let until = t.plus(secs(60));
    assert_eq!(store.get(key, t).await.expect("an answer"), None);
    let bytes = b"\0 \r\n\xff 1".as_slice();
    assert!(store.put(key, bytes, until, true, t).await.expect("an answer"));
    assert_eq!(store.get(key, t).await.expect("an answer").as_deref(), Some(bytes));
    assert!(!store.put(key, b"other", until, true, t).await.expect("an answer"));
    assert_eq!(store.get(key, t).await.expect("an answer").as_deref(), Some(bytes));
    assert!(store.put(key, b"", until.plus(secs(1)), false, t).await.expect("an answer"));
    assert_eq!(store.get(key, until).await.expect("an answer").as_deref(), Some(&b""[..]));
    let over = until.plus(secs(1));
    assert_eq!(store.get(key, over).await.expect("an answer"), None);
    assert!(store.put(key, b"new", over.plus(secs(1)), true, over).await.expect("an answer"), "it was over");
    assert_eq!(store.get(key, over).await.expect("an answer").as_deref(), Some(&b"new"[..]));
}

pub(super) async fn one_of_many_is_first(store: Any) {
    let (t, key) = (now(), Id::random());
    let first = at_once(1000, |turn| {
        let store = store.clone();
        async move { store.put(key, &turn.to_be_bytes(), t.plus(secs(60)), true, t).await }
    });
    let first = first.await;
    assert_eq!(count(&first), 1);
    let winner = first.iter().position(|first| *first).expect("one of them");
    assert_eq!(store.get(key, t).await.expect("an answer").as_deref(), Some(&winner.to_be_bytes()[..]));
}

pub(super) async fn large_values_are_refused(store: Any) {
    let (t, key) = (now(), Id::random());
    let most = vec![7; 64 << 10];
    assert!(store.put(key, &most, t.plus(secs(60)), true, t).await.expect("an answer"));
    assert_eq!(store.get(key, t).await.expect("an answer"), Some(most.clone()));
    let more = [most.as_slice(), &[7]].concat();
    assert!(matches!(store.put(key, &more, t.plus(millis(1)), false, t).await, Err(StoreError::Full(_))));
}

pub(super) async fn keys_are_swapped_by_version(store: Any) {
    assert_eq!(store.keys().await.expect("an answer"), None);
    assert!(!store.swap_keys(1, b"x").await.expect("an answer"));
    assert!(store.swap_keys(0, b"first \0\xff").await.expect("an answer"));
    assert_eq!(store.keys().await.expect("an answer"), Some((1, b"first \0\xff".to_vec())));
    assert!(!store.swap_keys(0, b"x").await.expect("an answer"));
    assert!(store.swap_keys(1, b"second").await.expect("an answer"));
    assert_eq!(store.keys().await.expect("an answer"), Some((2, b"second".to_vec())));
}

pub(super) async fn one_of_many_swaps_keys(store: Any) {
    let swapped = at_once(50, |turn| {
        let store = store.clone();
        async move { store.swap_keys(0, &turn.to_be_bytes()).await }
    });
    assert_eq!(count(&swapped.await), 1);
    assert_eq!(store.keys().await.expect("an answer").map(|(version, _)| version), Some(1));
}

trait Counts {
    fn map_counts(&self) -> Vec<u32>;
}

impl Counts for Vec<Counted> {
    fn map_counts(&self) -> Vec<u32> {
        self.iter().map(|counted| counted.count).collect()
    }
}
