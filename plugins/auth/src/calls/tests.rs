use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use tidegate_core::Clock;
use tidegate_testkit::{manual_clock, wait_until};
use tokio::sync::Notify;

use super::*;

const SECOND: Duration = Duration::from_secs(1);
/// As good as for ever, by the machine's own clock.
const HOUR: Duration = Duration::from_secs(3600);

/// A call that waits to be let go.
#[derive(Clone, Default)]
struct Slow {
    begun: Arc<AtomicUsize>,
    go: Arc<Notify>,
}

impl Slow {
    async fn call(self, value: u32, keep: Duration) -> (u32, Duration) {
        self.begun.fetch_add(1, Relaxed);
        self.go.notified().await;
        (value, keep)
    }
}

#[tokio::test]
async fn a_thousand_who_ask_at_once_make_one_call() {
    let memo = Memo::new(&Clock::system(), 10);
    let slow = Slow::default();
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..1000 {
        let (memo, slow) = (memo.clone(), slow.clone());
        waiting.spawn(async move { memo.get_or(1, || slow.call(7, HOUR)).await });
    }
    wait_until("the call", || slow.begun.load(Relaxed) == 1).await;
    // Whoever isn't waiting by now finds what is remembered.
    slow.go.notify_one();
    assert!(waiting.join_all().await.iter().all(|value| *value == 7));
    assert_eq!(slow.begun.load(Relaxed), 1);
    assert_eq!(memo.get(1), Some(7));
    assert!(memo.under_way_is_empty());
}

#[tokio::test]
async fn a_call_goes_on_when_whoever_began_it_is_gone_and_ends_when_all_are() {
    let memo = Memo::new(&Clock::system(), 10);
    let slow = Slow::default();
    let ask = || {
        let (memo, slow) = (memo.clone(), slow.clone());
        tokio::spawn(async move { memo.get_or(1, || slow.call(7, HOUR)).await })
    };
    let first = ask();
    wait_until("the call", || slow.begun.load(Relaxed) == 1).await;
    let second = ask();
    tokio::task::yield_now().await;
    first.abort();
    assert!(first.await.is_err());
    slow.go.notify_one();
    assert_eq!(second.await.expect("an answer"), 7);

    let (other, slow) = (Memo::new(&Clock::system(), 10), Slow::default());
    let alone = {
        let (memo, slow) = (other.clone(), slow.clone());
        tokio::spawn(async move { memo.get_or(1, || slow.call(7, HOUR)).await })
    };
    wait_until("the call", || slow.begun.load(Relaxed) == 1).await;
    alone.abort();
    assert!(alone.await.is_err());
    assert!(other.under_way_is_empty(), "nobody waits, and nothing is left of it");
    assert_eq!(other.get(1), None);
}

#[tokio::test]
async fn a_value_is_kept_for_its_time_whatever_the_time_of_day_does() {
    let clock = manual_clock();
    let memo = Memo::new(&Clock::new(clock.clone()), 10);
    assert_eq!(memo.get_or(1, || async { (7, 10 * SECOND) }).await, 7);
    clock.advance(9 * SECOND);
    clock.set_wall(std::time::SystemTime::UNIX_EPOCH);
    assert_eq!(memo.get_or(1, || async { (8, SECOND) }).await, 7);
    clock.advance(SECOND);
    assert_eq!(memo.get(1), None);
    assert_eq!(memo.get_or(1, || async { (8, SECOND) }).await, 8);
}

#[tokio::test]
async fn what_is_kept_for_no_time_is_asked_for_again() {
    let memo = Memo::new(&Clock::system(), 10);
    for value in 0..3 {
        assert_eq!(memo.get_or(1, || async move { (value, Duration::ZERO) }).await, value);
    }
    assert_eq!((memo.len(), memo.under_way_is_empty()), (0, true));
}

#[test]
fn a_url_that_is_asked_has_no_secrets_in_it() {
    assert!(target("https://a.test/x?y=1").is_ok() && target("http://a.test").is_ok());
    for bad in ["", "a.test", "/x", "ftp://a.test/", "https://u:hunter2@a.test/", "https://a.test/#x", "http://", "a b"]
    {
        let error = target(bad).expect_err(bad).to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }
}
