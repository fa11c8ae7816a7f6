use std::time::Duration;

use tidegate_core::ResponseHeader;
use tidegate_core::facts::{CacheStatus, Cached};

use super::{Name, tell};

fn told(did: CacheStatus, more: Cached) -> (Option<String>, Option<String>) {
    let mut head = ResponseHeader::build_no_case(200, None).expect("a head");
    head.insert_header("age", "77").expect("a field");
    let name = Name::parse("tidegate").expect("a name");
    tell(&mut head, name.as_ref(), did, &more).expect("told");
    let field = |name: &str| head.headers.get(name).map(|value| value.to_str().expect("text").to_owned());
    (field("cache-status"), field("age"))
}

/// RFC 9211 sections 2 and 3, RFC 9111 section 5.1.
#[test]
fn each_outcome_has_its_words_and_its_age() {
    let cached = Cached::default();
    let hit = Cached { age: Some(Duration::from_secs(5)), ttl: Some(376), ..cached };
    let forwarded = |why| Cached { forwarded: Some(why), upstream_status: Some(200), ..cached };
    for (did, more, status, age) in [
        (CacheStatus::Hit, hit, "tidegate; hit; ttl=376", "5"),
        (CacheStatus::Stale, Cached { ttl: Some(-412), ..hit }, "tidegate; hit; ttl=-412", "5"),
        (CacheStatus::Hit, Cached { ttl: Some(0), age: None, ..hit }, "tidegate; hit; ttl=0", "0"),
        (
            CacheStatus::Miss,
            Cached { stored: true, ttl: Some(60), ..forwarded("uri-miss") },
            "tidegate; fwd=uri-miss; fwd-status=200; stored; ttl=60",
            "77",
        ),
        (
            CacheStatus::Miss,
            Cached { why: Some("no_store"), ..forwarded("vary-miss") },
            "tidegate; fwd=vary-miss; fwd-status=200; detail=no_store",
            "77",
        ),
        (
            CacheStatus::Hit,
            Cached { forwarded: Some("uri-miss"), collapsed: true, ..hit },
            "tidegate; fwd=uri-miss; collapsed; ttl=376",
            "5",
        ),
        (
            CacheStatus::Revalidated,
            Cached {
                upstream_status: Some(304),
                stored: true,
                age: None,
                ttl: Some(9),
                forwarded: Some("stale"),
                ..cached
            },
            "tidegate; fwd=stale; fwd-status=304; stored; ttl=9",
            "77",
        ),
        (
            CacheStatus::Bypass,
            Cached { why: Some("rule"), forwarded: Some("bypass"), ..cached },
            "tidegate; fwd=bypass; detail=rule",
            "77",
        ),
        // Not a word of a structured field: not said.
        (
            CacheStatus::Miss,
            Cached { why: Some("a b\"c"), ..forwarded("uri-miss") },
            "tidegate; fwd=uri-miss; fwd-status=200",
            "77",
        ),
    ] {
        assert_eq!(told(did, more), (Some(status.to_owned()), Some(age.to_owned())), "{did:?} {more:?}");
    }
    assert_eq!(told(CacheStatus::Off, cached), (None, Some("77".to_owned())));
}

#[test]
fn a_name_is_a_token_or_off() {
    assert!(Name::parse("off").expect("off").is_none());
    assert!(Name::parse("edge-1.example").expect("a name").is_some());
    for bad in ["", "1a", "a b", "a;b", "ä", &"a".repeat(65)] {
        assert!(Name::parse(bad).is_err(), "{bad}");
    }
}
