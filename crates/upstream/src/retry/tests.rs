use tidegate_core::config::Percent;

use super::*;
use crate::config::{Backoff, Budget};

/// What `retry:` says, and nothing else.
fn retries(change: impl FnOnce(&mut Retry)) -> Retries {
    let mut config =
        Retry { on: all_reasons(), budget: Budget { share: Percent::new(0), min: 1_000 }, ..Retry::default() };
    change(&mut config);
    Retries { config, places: Places::default(), jitter: Jitter::seeded(1), hedges: None }
}

fn all_reasons() -> Vec<RetryOn> {
    vec![
        RetryOn::Connect,
        RetryOn::RefusedStream,
        RetryOn::Reset,
        RetryOn::Timeout,
        RetryOn::Status(503),
        RetryOn::Grpc(14),
    ]
}

/// A GET without a body, after its first try.
fn get(why: Why) -> Tried {
    Tried { why, retry: 1, sent: true, idempotent: true, replayable: true }
}

fn post(why: Why) -> Tried {
    Tried { idempotent: false, ..get(why) }
}

fn refused(retries: &Retries, tried: Tried) -> Option<NoRetry> {
    retries.permit(&tried, 0).err()
}

const FAILURES: [Failure; 5] =
    [Failure::Connect, Failure::RefusedStream, Failure::Reset, Failure::Timeout, Failure::Protocol];

#[test]
fn only_what_the_configuration_names_is_tried_again() {
    let cases = [
        (Why::Failed(Failure::Connect), RetryOn::Connect),
        (Why::Failed(Failure::RefusedStream), RetryOn::RefusedStream),
        (Why::Failed(Failure::Reset), RetryOn::Reset),
        (Why::Failed(Failure::Protocol), RetryOn::Reset),
        (Why::Failed(Failure::Timeout), RetryOn::Timeout),
        (Why::Status(503), RetryOn::Status(503)),
        (Why::Grpc(14), RetryOn::Grpc(14)),
    ];
    for (why, reason) in cases {
        let only = retries(|retry| retry.on = vec![reason]);
        assert_eq!(refused(&only, get(why)), None, "{why:?}");
        let others = retries(|retry| retry.on.retain(|on| *on != reason));
        assert_eq!(refused(&others, get(why)), Some(NoRetry::NotAsked), "{why:?}");
    }
}

#[test]
fn another_status_is_no_reason() {
    let retries = retries(|_| {});
    for why in [Why::Status(500), Why::Status(14), Why::Grpc(13), Why::Grpc(503)] {
        assert_eq!(refused(&retries, get(why)), Some(NoRetry::NotAsked), "{why:?}");
    }
}

#[test]
fn whatever_fails_before_something_was_sent_is_a_failure_to_connect() {
    let retries = retries(|retry| retry.on = vec![RetryOn::Connect]);
    for why in [Failure::Timeout, Failure::Reset].map(Why::Failed) {
        assert_eq!(refused(&retries, Tried { sent: false, ..get(why) }), None, "{why:?}");
        assert_eq!(refused(&retries, get(why)), Some(NoRetry::NotAsked), "{why:?}");
    }
    let early_answer = Tried { sent: false, ..get(Why::Status(503)) };
    assert_eq!(refused(&retries, early_answer), Some(NoRetry::NotAsked));
}

#[test]
fn a_request_is_tried_again_as_often_as_configured() {
    let retries = retries(|retry| retry.attempts = 3);
    let after = |retry| refused(&retries, Tried { retry, ..get(Why::Status(503)) });
    assert_eq!(
        [1, 2, 3, 4, u32::MAX].map(after),
        [None, None, None, Some(NoRetry::Exhausted), Some(NoRetry::Exhausted)]
    );
}

#[test]
fn no_attempts_are_no_retries_whatever_the_reasons() {
    let retries = retries(|retry| retry.attempts = 0);
    assert_eq!(refused(&retries, get(Why::Status(503))), Some(NoRetry::NotAsked));
    assert!(!retries.retries_on(RetryOn::Status(503)));
}

#[test]
fn what_may_have_been_worked_on_is_repeated_only_if_idempotent() {
    let careful = retries(|_| {});
    let bold = retries(|retry| retry.idempotent_only = false);
    for why in [Failure::Reset, Failure::Timeout, Failure::Protocol]
        .map(Why::Failed)
        .into_iter()
        .chain([Why::Status(503), Why::Grpc(14)])
    {
        assert_eq!(refused(&careful, post(why)), Some(NoRetry::NotIdempotent), "{why:?}");
        assert_eq!(refused(&careful, get(why)), None, "{why:?}");
        assert_eq!(refused(&bold, post(why)), None, "{why:?}");
    }
}

#[test]
fn what_was_not_sent_or_refused_unseen_is_repeated_whatever_the_method() {
    let retries = retries(|_| {});
    for failure in FAILURES {
        let unsent = Tried { sent: false, ..post(Why::Failed(failure)) };
        assert_eq!(refused(&retries, unsent), None, "{failure:?}");
    }
    for failure in [Failure::Connect, Failure::RefusedStream] {
        assert_eq!(refused(&retries, post(Why::Failed(failure))), None, "{failure:?}");
    }
}

#[test]
fn a_body_that_is_gone_can_not_be_sent_again() {
    let retries = retries(|retry| retry.idempotent_only = false);
    for failure in FAILURES {
        for sent in [true, false] {
            let tried = Tried { replayable: false, sent, ..get(Why::Failed(failure)) };
            assert_eq!(refused(&retries, tried), Some(NoRetry::BodyGone), "{failure:?}");
        }
    }
}

#[test]
fn a_permit_holds_its_place_until_it_is_dropped() {
    let retries = retries(|retry| retry.budget = Budget { share: Percent::new(20), min: 1 });
    let tried = get(Why::Failed(Failure::Reset));
    let held = [10, 10].map(|in_flight| retries.permit(&tried, in_flight).unwrap());
    assert_eq!(retries.permit(&tried, 10).unwrap_err(), NoRetry::OverBudget);
    drop(held);
    assert!(retries.permit(&tried, 10).is_ok());
}

#[test]
fn a_request_that_was_never_sent_takes_no_place() {
    let retries = retries(|retry| retry.budget = Budget { share: Percent::new(0), min: 1 });
    let unsent = Tried { sent: false, ..get(Why::Failed(Failure::Connect)) };
    let held: Vec<_> = (0..100).map(|_| retries.permit(&unsent, 0).unwrap()).collect();
    assert_eq!(retries.under_way(), 0);
    let reset = retries.permit(&get(Why::Failed(Failure::Reset)), 0).unwrap();
    assert_eq!(retries.permit(&get(Why::Failed(Failure::Reset)), 0).unwrap_err(), NoRetry::OverBudget);
    drop((held, reset));
    assert_eq!(retries.under_way(), 0);
}

#[test]
fn a_request_that_is_refused_takes_no_place() {
    let retries = retries(|retry| retry.budget = Budget { share: Percent::new(0), min: 1 });
    for tried in [
        get(Why::Status(404)),
        post(Why::Status(503)),
        Tried { retry: 9, ..get(Why::Status(503)) },
        Tried { replayable: false, ..get(Why::Status(503)) },
    ] {
        assert!(retries.permit(&tried, 0).is_err());
    }
    assert!(retries.permit(&get(Why::Status(503)), 0).is_ok());
}

#[test]
fn each_retry_waits_by_the_backoff_of_its_number() {
    let backoff = Backoff { base: Duration::from_millis(100).into(), max: Duration::from_secs(100).into() };
    let retries = retries(|retry| {
        retry.attempts = 10;
        retry.backoff = backoff.clone();
    });
    let foretold = Jitter::seeded(1);
    for retry in 1..=10 {
        let permit = retries.permit(&Tried { retry, ..get(Why::Status(503)) }, 0).unwrap();
        assert_eq!(permit.after, backoff::delay(&backoff, retry, &foretold), "retry {retry}");
    }
}

#[test]
fn labels_are_distinct() {
    let refusals =
        [NoRetry::NotAsked, NoRetry::Exhausted, NoRetry::NotIdempotent, NoRetry::BodyGone, NoRetry::OverBudget];
    let reasons = FAILURES.map(Why::Failed).into_iter().chain([Why::Status(503), Why::Grpc(14)]);
    let labels: std::collections::BTreeSet<_> =
        refusals.iter().map(|refusal| refusal.as_str()).chain(reasons.map(Why::as_str)).collect();
    assert_eq!(labels.len(), 12);
}
