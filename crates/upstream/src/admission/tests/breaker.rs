//! Closed, open, half-open.

use proptest::prelude::*;

use super::*;

const MS: u64 = 1_000_000;
const OK: TryOutcome = TryOutcome::Answered { status: 200, grpc: None };
const BAD: TryOutcome = TryOutcome::Answered { status: 503, grpc: None };

/// A breaker and its time.
struct Bed {
    breaker: Arc<Breaker>,
    now: u64,
}

impl Bed {
    /// Window and pause of one second, 4 requests at least, 2 probes; slow is more than 100 ms.
    fn new() -> Self {
        let config = crate::config::Breaker {
            slow: Some(tidegate_core::config::Duration::from_millis(100)),
            window: tidegate_core::config::Duration::from_secs(1),
            open: tidegate_core::config::Duration::from_secs(1),
            min_requests: 4,
            probes: 2,
            ..crate::config::Breaker::default()
        };
        Self { breaker: Breaker::new("app".into(), &config, Arc::default()), now: 1 }
    }

    fn open() -> Self {
        let mut bed = Self::new();
        (0..4).for_each(|_| bed.ends(BAD));
        bed
    }

    fn half_open() -> Self {
        let mut bed = Self::open();
        bed.pass(1_000);
        drop(bed.breaker.enter(bed.now).expect("a probe"));
        assert_eq!(bed.breaker.phase(), Phase::HalfOpen);
        bed
    }

    fn pass(&mut self, ms: u64) {
        self.now += ms * MS;
    }

    fn ends(&mut self, outcome: TryOutcome) {
        self.breaker.ended(outcome, Duration::from_millis(1), self.now, self.now);
    }

    fn ends_slowly(&mut self) {
        self.breaker.ended(OK, Duration::from_millis(101), self.now, self.now);
    }

    fn probe(&self) -> Probe {
        self.breaker.enter(self.now).expect("let through").expect("a probe")
    }

    fn phase(&self) -> Phase {
        self.breaker.phase()
    }
}

fn is_open(phase: Phase) -> bool {
    matches!(phase, Phase::Open { .. })
}

#[test]
fn it_opens_at_the_share_of_failures_and_not_below() {
    let mut bed = Bed::new();
    for outcome in [OK, OK, OK, BAD, BAD] {
        bed.ends(outcome);
        assert_eq!(bed.phase(), Phase::Closed);
    }
    bed.ends(BAD);
    assert!(is_open(bed.phase()));
}

#[test]
fn few_requests_say_nothing() {
    let mut bed = Bed::new();
    for _ in 0..3 {
        bed.ends(BAD);
        assert_eq!(bed.phase(), Phase::Closed);
    }
    bed.ends(OK);
    assert!(is_open(bed.phase()), "the fourth makes it enough");
}

#[test]
fn failures_are_forgotten_with_the_window() {
    let mut bed = Bed::new();
    (0..3).for_each(|_| bed.ends(BAD));
    bed.pass(1_000);
    (0..3).for_each(|_| bed.ends(BAD));
    assert_eq!(bed.phase(), Phase::Closed);
}

#[test]
fn slow_answers_open_it_too() {
    let mut bed = Bed::new();
    for _ in 0..2 {
        bed.ends(OK);
        bed.ends_slowly();
    }
    assert!(is_open(bed.phase()));
    let mut bed = Bed::new();
    (0..10).for_each(|_| bed.breaker.ended(OK, Duration::from_millis(100), bed.now, bed.now));
    assert_eq!(bed.phase(), Phase::Closed, "100 ms are not more than 100 ms");
    bed.pass(1);
}

#[test]
fn what_counts_as_a_failure() {
    let grpc = |grpc| TryOutcome::Answered { status: 200, grpc: Some(grpc) };
    let status = |status| TryOutcome::Answered { status, grpc: None };
    for failure in [Failure::Connect, Failure::RefusedStream, Failure::Reset, Failure::Timeout, Failure::Protocol] {
        assert!(opens(TryOutcome::Failed(failure)), "{failure:?}");
    }
    for bad in [grpc(2), grpc(4), grpc(13), grpc(14), status(500), status(599)] {
        assert!(opens(bad), "{bad:?}");
    }
    for good in [grpc(0), grpc(5), grpc(16), status(499), status(404), status(101), TryOutcome::Abandoned] {
        assert!(!opens(good), "{good:?}");
    }
}

fn opens(outcome: TryOutcome) -> bool {
    let mut bed = Bed::new();
    (0..10).for_each(|_| bed.ends(outcome));
    is_open(bed.phase())
}

#[test]
fn the_client_leaving_counts_nothing_at_all() {
    let mut bed = Bed::new();
    (0..100).for_each(|_| bed.ends(TryOutcome::Abandoned));
    (0..3).for_each(|_| bed.ends(BAD));
    assert_eq!(bed.phase(), Phase::Closed);
}

#[test]
fn open_it_lets_nobody_through_until_its_time_is_over() {
    let mut bed = Bed::open();
    bed.pass(400);
    assert_eq!(bed.breaker.enter(bed.now).expect_err("open"), Duration::from_millis(600));
    bed.pass(599);
    assert_eq!(bed.breaker.enter(bed.now).expect_err("open"), Duration::from_millis(1));
    bed.pass(1);
    bed.probe();
}

#[test]
fn so_many_probes_as_may_and_all_good_ones_close_it() {
    let mut bed = Bed::open();
    bed.pass(1_000);
    let (one, two) = (bed.probe(), bed.probe());
    assert!(bed.breaker.enter(bed.now).is_err(), "a third");
    bed.ends(OK);
    drop(one);
    assert!(bed.breaker.enter(bed.now).is_err(), "a good probe is not replaced");
    bed.ends(OK);
    assert_eq!(bed.phase(), Phase::Closed);
    assert!(bed.breaker.enter(bed.now).expect("closed").is_none());
    drop(two);
}

#[test]
fn one_failed_probe_opens_it_for_another_while() {
    let mut bed = Bed::half_open();
    bed.pass(10);
    let (_one, _two) = (bed.probe(), bed.probe());
    bed.ends(OK);
    bed.ends(BAD);
    assert_eq!(bed.phase(), Phase::Open { until: bed.now + 1_000 * MS });
}

#[test]
fn a_slow_probe_is_a_failed_one() {
    let mut bed = Bed::half_open();
    let _probe = bed.probe();
    bed.ends_slowly();
    assert!(is_open(bed.phase()));
}

#[test]
fn an_abandoned_probe_gives_its_place_back() {
    let mut bed = Bed::half_open();
    for _ in 0..20 {
        let probe = bed.probe();
        bed.ends(TryOutcome::Abandoned);
        drop(probe);
    }
    assert_eq!(bed.phase(), Phase::HalfOpen);
    let _both = (bed.probe(), bed.probe());
    assert!(bed.breaker.enter(bed.now).is_err());
}

#[test]
fn probes_that_never_end_do_not_keep_it_half_open() {
    let mut bed = Bed::half_open();
    let _stuck = (bed.probe(), bed.probe());
    bed.pass(999);
    assert_eq!(bed.breaker.enter(bed.now).expect_err("all are out"), Duration::from_millis(1));
    bed.pass(1);
    let _more = (bed.probe(), bed.probe());
    assert!(bed.breaker.enter(bed.now).is_err(), "no more than that");
    bed.ends(OK);
    bed.ends(OK);
    assert_eq!(bed.phase(), Phase::Closed);
}

#[test]
fn answers_that_go_on_close_it_after_a_while() {
    let mut bed = Bed::half_open();
    let _streams = (bed.probe(), bed.probe());
    bed.breaker.heard(bed.now);
    bed.breaker.heard(bed.now);
    assert!(bed.breaker.enter(bed.now).is_err());
    bed.pass(1_000);
    assert!(bed.breaker.enter(bed.now).expect("closed").is_none());
    assert_eq!(bed.phase(), Phase::Closed);
}

#[test]
fn answers_asked_for_before_it_opened_decide_nothing() {
    let mut bed = Bed::half_open();
    bed.breaker.ended(BAD, Duration::from_secs(1), bed.now - 500 * MS, bed.now);
    bed.breaker.ended(OK, Duration::from_secs(1), bed.now - 500 * MS, bed.now);
    assert_eq!(bed.phase(), Phase::HalfOpen);
    bed.ends(OK);
    assert_eq!(bed.phase(), Phase::HalfOpen, "the second one is missing");
    bed.ends(OK);
    assert_eq!(bed.phase(), Phase::Closed);
    // Nor afterwards.
    (0..10).for_each(|_| bed.breaker.ended(BAD, Duration::from_secs(1), bed.now - 500 * MS, bed.now));
    assert_eq!(bed.phase(), Phase::Closed);
}

#[test]
fn closed_it_begins_to_count_anew() {
    let mut bed = Bed::half_open();
    bed.ends(OK);
    bed.ends(OK);
    (0..3).for_each(|_| bed.ends(BAD));
    assert_eq!(bed.phase(), Phase::Closed, "the failures from before would make it enough");
    bed.ends(BAD);
    assert!(is_open(bed.phase()));
}

#[test]
fn a_probe_of_the_trial_before_makes_no_room_in_the_next() {
    let mut bed = Bed::half_open();
    let old = bed.probe();
    bed.ends(BAD);
    bed.pass(1_000);
    let _both = (bed.probe(), bed.probe());
    drop(old);
    assert!(bed.breaker.enter(bed.now).is_err());
}

#[test]
fn of_many_threads_only_so_many_get_through_as_probes() {
    let mut bed = Bed::open();
    bed.pass(1_000);
    let through: Vec<_> = std::thread::scope(|scope| {
        let enter = || (0..200).filter_map(|_| bed.breaker.enter(bed.now).ok()).collect::<Vec<_>>();
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(enter)).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
    });
    assert_eq!(through.len(), 2);
    assert!(through.iter().all(Option::is_some));
}

#[derive(Debug, Clone, Copy)]
enum Act {
    Pass(u64),
    Enter,
    End(bool),
    Abandon,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        (1..700_u64).prop_map(Act::Pass),
        Just(Act::Enter),
        Just(Act::Enter),
        any::<bool>().prop_map(Act::End),
        Just(Act::Abandon),
    ]
}

proptest! {
    #[test]
    fn it_goes_only_from_closed_to_open_to_half_open_and_never_gets_stuck(
        acts in proptest::collection::vec(act(), 1..300),
    ) {
        let mut bed = Bed::new();
        let mut inside = Vec::new();
        for act in acts {
            let before = bed.phase();
            match act {
                Act::Pass(ms) => bed.pass(ms),
                Act::Enter => inside.extend(bed.breaker.enter(bed.now).ok()),
                // Those that are let in end at once, or never.
                Act::End(good) => bed.ends(if good { OK } else { BAD }),
                Act::Abandon => drop(inside.pop()),
            }
            let after = bed.phase();
            let legal = match (before, after) {
                (Phase::Open { until }, Phase::HalfOpen) => until <= bed.now,
                (Phase::Open { .. }, Phase::Closed) | (Phase::Closed, Phase::HalfOpen) => false,
                _ => true,
            };
            prop_assert!(legal, "{:?} to {:?}", before, after);
        }
        // Whatever has happened, an upstream that is well again is asked again.
        for _ in 0..4 {
            bed.pass(1_000);
            let probe = bed.breaker.enter(bed.now);
            prop_assert!(probe.is_ok());
            bed.ends(OK);
            bed.ends(OK);
        }
        prop_assert_eq!(bed.phase(), Phase::Closed);
    }
}
