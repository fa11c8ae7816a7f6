use std::time::{Duration, SystemTime, UNIX_EPOCH};

use proptest::prelude::*;
use tidegate_core::cache::Use;
use tidegate_core::{HeaderMap, StatusCode};

use super::judge;
use crate::control::Asks;
use crate::store::Head;

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_000_000 + seconds)
}

/// Made at 0, fresh until 60.
fn head(while_revalidate: u32, if_error: u32, says: &str) -> Head {
    let mut headers = HeaderMap::new();
    headers.insert("cache-control", says.parse().expect("a value"));
    Head {
        status: StatusCode::OK,
        headers,
        asked: at(0),
        born: at(0),
        fresh_until: at(60),
        while_revalidate,
        if_error,
        variance: None,
    }
}

fn asks(text: &str) -> Asks {
    let mut headers = HeaderMap::new();
    headers.insert("cache-control", text.parse().expect("a value"));
    Asks::of(&headers)
}

const EXPIRED: Use = Use::Expired { if_error: false };
const IF_ERROR: Use = Use::Expired { if_error: true };
const RENEW: Use = Use::Stale { refresh: true };
const AS_IS: Use = Use::Stale { refresh: false };

/// RFC 9111 sections 4.2 and 5.2.1, RFC 5861.
#[test]
fn each_directive_of_a_request_has_its_effect() {
    let plain = head(0, 0, "max-age=60");
    let lasting = head(10, 100, "max-age=60, stale-while-revalidate=10, stale-if-error=100");
    let strict = head(0, 0, "max-age=60, must-revalidate");
    let shared = head(0, 0, "s-maxage=60");
    for (head, now, request, worth) in [
        (&plain, 0, "", Use::Fresh),
        (&plain, 59, "", Use::Fresh),
        (&plain, 60, "", EXPIRED),
        (&plain, 59, "no-cache", EXPIRED),
        (&plain, 30, "max-age=30", Use::Fresh),
        (&plain, 31, "max-age=30", EXPIRED),
        (&plain, 1, "max-age=0", EXPIRED),
        (&plain, 50, "min-fresh=10", Use::Fresh),
        (&plain, 51, "min-fresh=10", EXPIRED),
        (&plain, 70, "max-stale=10", AS_IS),
        (&plain, 71, "max-stale=10", EXPIRED),
        (&plain, 9999, "max-stale", AS_IS),
        (&plain, 70, "max-stale=10, max-age=30", EXPIRED),
        (&strict, 61, "max-stale", EXPIRED),
        (&shared, 61, "max-stale", EXPIRED),
        (&lasting, 60, "", RENEW),
        (&lasting, 70, "", RENEW),
        (&lasting, 71, "", IF_ERROR),
        (&lasting, 160, "", IF_ERROR),
        (&lasting, 161, "", EXPIRED),
        (&lasting, 65, "no-cache", EXPIRED),
        (&lasting, 65, "max-age=10", IF_ERROR),
        (&lasting, 65, "max-age=3600", IF_ERROR),
        (&lasting, 65, "max-age=3600, max-stale", RENEW),
        (&lasting, 30, "max-age=10", IF_ERROR),
        (&plain, 65, "stale-if-error=5", IF_ERROR),
        (&plain, 66, "stale-if-error=5", EXPIRED),
        (&strict, 65, "stale-if-error=5", EXPIRED),
    ] {
        let judged = judge(head, &asks(if request.is_empty() { "x" } else { request }), None, true, at(now));
        assert_eq!(judged.worth, worth, "{now} {request}");
        assert_eq!(judged.age, Duration::from_secs(now));
        assert_eq!(judged.ttl, 60 - i64::try_from(now).expect("small"));
        assert_eq!(judged.forwarded, if now < 60 { "request" } else { "stale" });
    }
    // A private cache doesn't read what is said to shared ones.
    assert_eq!(judge(&shared, &asks("max-stale"), None, false, at(61)).worth, AS_IS);
}

#[test]
fn a_soft_purge_ends_the_time_of_an_answer() {
    let lasting = head(10, 100, "max-age=60");
    let judged = |purged, now| judge(&lasting, &Asks::default(), Some(at(purged)), true, at(now)).worth;
    assert_eq!(judged(20, 25), RENEW);
    assert_eq!(judged(20, 31), IF_ERROR);
    assert_eq!(judged(20, 121), EXPIRED);
    // Later than its own end it changes nothing.
    assert_eq!(judged(90, 65), RENEW);
}

#[test]
fn a_clock_that_jumps_back_makes_nothing_older() {
    let judged = judge(&head(0, 0, "max-age=60"), &Asks::default(), None, true, UNIX_EPOCH);
    assert_eq!((judged.worth, judged.age), (Use::Fresh, Duration::ZERO));
}

proptest! {
    /// Whatever a client says, it never gets a stale answer that says `must-revalidate`, nor anything unconfirmed with
    /// `no-cache`.
    #[test]
    fn no_request_loosens_what_an_answer_forbids(now in 0_u64..200, request in "(no-cache|max-stale|max-age=[0-9]{1,3}|stale-if-error=[0-9]{1,3}|, ){0,4}") {
        let Ok(value) = request.parse() else { return Ok(()) };
        let mut headers = HeaderMap::new();
        headers.insert("cache-control", value);
        let asked = Asks::of(&headers);
        let worth = judge(&head(0, 0, "max-age=60, must-revalidate"), &asked, None, true, at(now)).worth;
        prop_assert!(now < 60 || worth == EXPIRED);
        prop_assert!(!asked.no_cache || worth == EXPIRED);
    }
}
