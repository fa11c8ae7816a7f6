//! Passwords delay nothing else.

use std::sync::mpsc;
use std::thread;

use tidegate_testkit::wait_until;
use tokio::task::JoinHandle;

use super::*;

/// Keeps a thread of the pool until it is dropped.
struct Held(#[allow(dead_code)] mpsc::Sender<()>, JoinHandle<Result<thread::ThreadId, Busy>>);

fn hold(hashing: &Arc<Hashing>) -> Held {
    let (release, released) = mpsc::channel::<()>();
    let hashing = hashing.clone();
    let work = move || {
        let _ = released.recv();
        thread::current().id()
    };
    Held(release, tokio::spawn(async move { hashing.pool().run(work).await }))
}

async fn busy(hashing: &Arc<Hashing>, busy: usize, waiting: usize) {
    wait_until("busy", || hashing.pool().load() == (busy, waiting)).await;
}

#[tokio::test]
async fn a_password_is_compared_off_the_runtime() {
    let hashing = Hashing::new(2, 4);
    let hash = hashing.hash("correct horse").await.expect("room");
    assert!(hashing.verify("correct horse", &hash).await.expect("room"));
    assert!(!hashing.verify("correct house", &hash).await.expect("room"));
    let there = hashing.pool().run(|| thread::current().id()).await.expect("room");
    assert_ne!(there, thread::current().id());
}

#[tokio::test]
async fn the_same_letters_are_the_same_password() {
    let hashing = Hashing::new(1, 4);
    let hash = hashing.hash("cafe\u{301}").await.expect("room");
    assert!(hashing.verify("caf\u{e9}", &hash).await.expect("room"));
    assert!(!hashing.verify("cafe", &hash).await.expect("room"));
}

/// One thread serves everything here: were a password hashed on it, nothing could be answered meanwhile.
#[tokio::test]
async fn others_are_served_while_all_threads_are_busy_and_the_queue_is_full() {
    let hashing = Arc::new(Hashing::new(1, 2));
    let first = hold(&hashing);
    busy(&hashing, 1, 0).await;
    let (second, third) = (hold(&hashing), hold(&hashing));
    busy(&hashing, 1, 2).await;
    let logins = (0..200).map(|_| hashing.verify("correct horse", "$2b$"));
    let answers = futures_util::future::join_all(logins).await;
    assert!(answers.iter().all(|answer| *answer == Err(Busy)));
    assert_eq!(hashing.pool().refused(), 200);
    let mut threads = Vec::new();
    for Held(release, result) in [first, second, third] {
        drop(release);
        threads.push(result.await.expect("joined").expect("its turn"));
    }
    assert!(threads.iter().all(|thread| *thread == threads[0]), "one thread did all");
    assert_eq!(hashing.pool().run(|| 1).await, Ok(1), "there is room again");
}

#[tokio::test]
async fn who_gives_up_is_not_worked_for_and_leaves_the_queue() {
    let hashing = Arc::new(Hashing::new(1, 1));
    let first = hold(&hashing);
    busy(&hashing, 1, 0).await;
    let given_up = hold(&hashing);
    busy(&hashing, 1, 1).await;
    given_up.1.abort();
    assert!(given_up.1.await.expect_err("aborted").is_cancelled());
    // Its place is free at once. Were its work begun, this would wait for ever: nobody lets it go.
    let next = tokio::spawn({
        let hashing = hashing.clone();
        async move { hashing.pool().run(|| "next").await }
    });
    drop(first);
    assert_eq!(next.await.expect("joined"), Ok("next"));
    drop(given_up.0);
}

#[tokio::test]
async fn a_panic_costs_its_own_request_alone() {
    let hashing = Hashing::new(1, 1);
    assert_eq!(hashing.pool().run(|| panic!("on purpose")).await, Err::<(), _>(Busy));
    assert_eq!(hashing.pool().run(|| 1).await, Ok(1));
}

#[tokio::test]
async fn the_threads_end_with_the_pool() {
    let hashing = Hashing::new(2, 4);
    assert_eq!(hashing.pool().run(|| 1).await, Ok(1));
    let threads = hashing.pool().threads();
    assert_eq!(Arc::strong_count(&threads), 3, "the pool, one thread, this test");
    drop(hashing);
    wait_until("ended", || Arc::strong_count(&threads) == 1).await;
}

#[tokio::test]
async fn a_reload_keeps_the_threads_unless_there_are_to_be_others() {
    use tidegate_core::{Clock, Metrics, Retained, Stores};
    let (clock, metrics, stores) = (Clock::system(), Metrics::new(), Stores::default());
    let build = |yaml: &str, before: Option<&Retained>, kept: &Retained| {
        let config = serde_yaml::from_str(yaml).expect("rules");
        let mut tasks = Vec::new();
        let mut cx = BuildCx::new("auth", &clock, &metrics, &stores, (kept, before), &mut tasks);
        Hashing::build(&config, "here", &mut cx).expect("good rules")
    };
    let (first, second, third) = (Retained::new(), Retained::new(), Retained::new());
    let before = build("{ workers: 1 }", None, &first);
    let same = build("{ workers: 1, cost: 10, min: 8 }", Some(&first), &second);
    let other = build("{ workers: 2 }", Some(&second), &third);
    assert!(Arc::ptr_eq(&before.pool, &same.pool) && !Arc::ptr_eq(&before.pool, &other.pool));
    let threads = other.pool().threads();
    assert_eq!(Arc::strong_count(&threads), 2, "none is started before there is something to do");
    assert!(half() >= 1);
}

/// The configuration says what new hashes cost, and accounts have whatever it said before.
#[tokio::test]
async fn a_lowered_cost_makes_no_account_cheaper_to_guess_at_than_another() {
    use tidegate_core::{Metrics, Retained, Stores};
    let (clock, metrics, stores) = (Clock::system(), Metrics::new(), Stores::default());
    let build = |yaml: &str, before: Option<&Retained>, kept: &Retained| {
        let config = serde_yaml::from_str(yaml).expect("rules");
        let mut tasks = Vec::new();
        let mut cx = BuildCx::new("auth", &clock, &metrics, &stores, (kept, before), &mut tasks);
        Hashing::build(&config, "here", &mut cx).expect("good rules")
    };
    let kinds = |hashing: &Hashing| {
        let now = Millis::of(clock.wall());
        hashing.seen().kinds(now).into_iter().map(|(kind, _)| kind).collect::<Vec<_>>()
    };
    let (first, second, third) = (Retained::new(), Retained::new(), Retained::new());
    build("{ cost: 12 }", None, &first);
    let lowered = build("{ cost: 10 }", Some(&first), &second);
    assert_eq!(kinds(&lowered), [Kind::Bcrypt(10), Kind::Bcrypt(12)]);
    assert_eq!(Kind::of(&lowered.hash("correct horse").await.expect("room")), Some(Kind::Bcrypt(10)));
    let other = build("{ algorithm: argon2id, argon2id: { memory: 7MiB, passes: 5 } }", Some(&second), &third);
    let argon = Kind::Argon2id(Effort { memory: 7168, passes: 5, lanes: 1 });
    assert_eq!(kinds(&other), [Kind::Bcrypt(10), Kind::Bcrypt(12), argon]);
    assert!(other.is_outdated(&Kind::Bcrypt(10).dummy()) && !other.is_outdated(&other.dummy()));
    // One that an older program made, before anybody kept a record of it.
    assert!(!lowered.verify("x", &Kind::Bcrypt(4).dummy()).await.expect("room"));
    assert!(kinds(&lowered).contains(&Kind::Bcrypt(4)));
}
