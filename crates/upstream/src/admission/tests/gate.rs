//! Limits and the queue.

use std::sync::atomic::{AtomicU32, Ordering};

use proptest::prelude::*;

use super::*;

type Entering = Pin<Box<dyn Future<Output = Result<Place, Overloaded>> + Send>>;

fn gate(limit: u32, queue: u32) -> Arc<Gate> {
    Gate::new(limit, queue, Arc::default())
}

/// A request that has come to the gate.
fn come(gate: &Arc<Gate>, clock: &HandClock) -> Entering {
    let (gate, clock) = (gate.clone(), clock.clock());
    Box::pin(async move { gate.enter(&clock, SECOND).await })
}

/// One that waits in the queue.
fn wait(gate: &Arc<Gate>, clock: &HandClock) -> Entering {
    let mut entering = come(gate, clock);
    assert!(poll(&mut entering).is_pending(), "there is room");
    entering
}

fn place(entering: &mut Entering) -> Option<Place> {
    match poll(entering) {
        Poll::Ready(result) => Some(result.expect("a place")),
        Poll::Pending => None,
    }
}

fn counts(gate: &Gate) -> (u32, u32) {
    (gate.inside(), gate.waiting())
}

#[test]
fn who_waits_is_let_in_by_turns_and_one_at_a_time() {
    let (gate, clock) = (gate(1, 3), HandClock::new());
    let mut inside = gate.try_enter().expect("room");
    let mut queue: Vec<_> = (0..3).map(|_| wait(&gate, &clock)).collect();
    assert_eq!(counts(&gate), (1, 3));
    while !queue.is_empty() {
        drop(inside);
        inside = place(&mut queue.remove(0)).expect("the first one's turn");
        assert!(queue.iter_mut().all(|later| place(later).is_none()));
    }
    drop(inside);
    assert_eq!(counts(&gate), (0, 0));
}

#[test]
fn nobody_slips_past_the_queue() {
    let (gate, clock) = (gate(1, 3), HandClock::new());
    let inside = gate.try_enter().expect("room");
    let mut waiting = wait(&gate, &clock);
    drop(inside);
    // The place has been given away, though its new holder doesn't know yet.
    assert!(gate.try_enter().is_none());
    assert!(place(&mut waiting).is_some());
}

#[test]
fn beyond_the_queue_a_request_is_refused_at_once() {
    for queue in [0, 2] {
        let (gate, clock) = (gate(1, queue), HandClock::new());
        let _inside = gate.try_enter().expect("room");
        let _waiting: Vec<_> = (0..queue).map(|_| wait(&gate, &clock)).collect();
        assert_eq!(at_once(come(&gate, &clock)).expect_err("no room"), Overloaded::Full);
        assert_eq!(counts(&gate), (1, queue));
    }
}

#[test]
fn a_request_waits_just_as_long_as_it_may() {
    let (gate, clock) = (gate(1, 1), HandClock::new());
    let inside = gate.try_enter().expect("room");
    let mut waiting = wait(&gate, &clock);
    clock.advance(SECOND - Duration::from_nanos(1));
    assert!(poll(&mut waiting).is_pending());
    clock.advance(Duration::from_nanos(1));
    assert!(matches!(poll(&mut waiting), Poll::Ready(Err(Overloaded::QueueTimeout))));
    assert_eq!(counts(&gate), (1, 0));
    drop(inside);
    assert!(gate.try_enter().is_some());
}

#[test]
fn a_place_that_comes_free_at_the_last_moment_is_taken() {
    let (gate, clock) = (gate(1, 1), HandClock::new());
    let inside = gate.try_enter().expect("room");
    let mut waiting = wait(&gate, &clock);
    drop(inside);
    clock.advance(SECOND);
    assert!(place(&mut waiting).is_some());
}

#[test]
fn who_goes_away_leaves_the_queue_at_once() {
    let (gate, clock) = (gate(1, 1), HandClock::new());
    let inside = gate.try_enter().expect("room");
    drop(wait(&gate, &clock));
    assert_eq!(counts(&gate), (1, 0));
    let mut next = wait(&gate, &clock);
    drop(inside);
    assert!(place(&mut next).is_some());
}

#[test]
fn the_place_of_one_who_went_away_with_it_goes_to_the_next() {
    let (gate, clock) = (gate(1, 2), HandClock::new());
    let inside = gate.try_enter().expect("room");
    let (gone, mut next) = (wait(&gate, &clock), wait(&gate, &clock));
    drop(inside);
    assert_eq!(counts(&gate), (1, 1));
    drop(gone);
    assert!(place(&mut next).is_some());
    drop(next);
    assert_eq!(counts(&gate), (0, 0));
}

#[test]
fn a_higher_limit_lets_in_as_many_as_it_is_higher() {
    let (gate, clock) = (gate(1, 3), HandClock::new());
    let _inside = gate.try_enter().expect("room");
    let mut queue: Vec<_> = (0..3).map(|_| wait(&gate, &clock)).collect();
    gate.set_limit(3);
    let places: Vec<_> = queue.iter_mut().map(place).collect();
    assert_eq!(places.iter().map(Option::is_some).collect::<Vec<_>>(), [true, true, false]);
    assert_eq!(counts(&gate), (3, 1));
}

#[test]
fn below_a_lower_limit_requests_come_in_again() {
    let gate = gate(3, 0);
    let mut inside: Vec<_> = (0..3).map(|_| gate.try_enter().expect("room")).collect();
    gate.set_limit(1);
    for _ in 0..2 {
        inside.pop();
        assert!(gate.try_enter().is_none());
    }
    inside.pop();
    assert!(gate.try_enter().is_some());
}

#[derive(Debug, Clone)]
enum Act {
    Come,
    /// One of those that are in leaves.
    Leave(usize),
    /// One of those that wait goes away.
    GiveUp(usize),
    Limit(u32),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => Just(Act::Come),
        3 => any::<usize>().prop_map(Act::Leave),
        1 => any::<usize>().prop_map(Act::GiveUp),
        1 => (1..6_u32).prop_map(Act::Limit),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_nobody_is_overlooked_and_no_bound_is_passed(
        acts in proptest::collection::vec(act(), 1..200),
        queue in 0..5_u32,
    ) {
        let (gate, clock) = (gate(2, queue), HandClock::new());
        let (mut inside, mut waiting) = (Vec::new(), Vec::<Entering>::new());
        for act in acts {
            let before = inside.len();
            match act {
                Act::Come => {
                    let mut entering = come(&gate, &clock);
                    match poll(&mut entering) {
                        Poll::Ready(Ok(place)) => {
                            prop_assert!(waiting.is_empty(), "past the queue");
                            inside.push(place);
                        }
                        Poll::Ready(Err(_)) => prop_assert_eq!(waiting.len(), queue as usize),
                        Poll::Pending => waiting.push(entering),
                    }
                }
                Act::Leave(nth) if !inside.is_empty() => drop(inside.swap_remove(nth % inside.len())),
                Act::GiveUp(nth) if !waiting.is_empty() => drop(waiting.remove(nth % waiting.len())),
                Act::Limit(limit) => gate.set_limit(limit),
                Act::Leave(_) | Act::GiveUp(_) => {}
            }
            // Those at the head of the queue are in, the others are not.
            while let Some(place) = waiting.first_mut().and_then(place) {
                drop(waiting.remove(0));
                inside.push(place);
            }
            prop_assert!(waiting.iter_mut().all(|later| place(later).is_none()));
            prop_assert_eq!(counts(&gate), (inside.len() as u32, waiting.len() as u32));
            prop_assert!(inside.len() <= before.max(gate.limit() as usize));
            prop_assert!(waiting.len() <= queue as usize);
            prop_assert!(waiting.is_empty() || inside.len() >= gate.limit() as usize, "room, and somebody waits");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn with_threads_there_are_never_more_in_than_may_be_and_nobody_waits_for_ever() {
    const LIMIT: u32 = 3;
    let (gate, clock) = (gate(LIMIT, 20), Clock::system());
    let (now, most) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let clients: Vec<_> = (0..16_u32)
        .map(|nth| {
            let (gate, clock, now, most) = (gate.clone(), clock.clone(), now.clone(), most.clone());
            tokio::spawn(async move {
                for round in 0..500_u32 {
                    let entering = gate.enter(&clock, Duration::from_secs(600));
                    // Some go away again, in the queue or with a place that they never hear of.
                    if (nth + round) % 5 == 0 {
                        tokio::select! { biased; _ = entering => {}, () = tokio::task::yield_now() => {} }
                        continue;
                    }
                    let _place = entering.await.expect("a place: the queue has room for all");
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    tokio::task::yield_now().await;
                    now.fetch_sub(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    for client in clients {
        client.await.expect("no panic");
    }
    assert_eq!(counts(&gate), (0, 0));
    assert_eq!(most.load(Ordering::SeqCst), LIMIT);
}
