use serde_json::{Value, json};
use sfv::{BareItem, ListEntry, Parser};
use tidegate_core::{ConfigPath, Route, RouteId};
use tidegate_testkit::allocations;

use super::*;
use crate::config::limits::{Limits, Shared};

fn limits(fields: &str, limits: Value) -> Limits {
    let shared = Shared::build(&Default::default()).expect("valid");
    let policy = serde_json::from_value(json!({ "fields": fields, "limits": limits })).expect("a policy");
    let route = Route::new(RouteId(0), "users", Vec::new(), ConfigPath::root(), "/");
    Limits::build(&policy, &shared, &route).expect("valid")
}

fn answer(fields: &[(&'static str, &str)]) -> ResponseHeader {
    let mut head = ResponseHeader::build_no_case(200, Some(16)).expect("valid");
    for (name, value) in fields {
        head.append_header(*name, *value).expect("fits");
    }
    head
}

fn listed(head: &ResponseHeader) -> Vec<(String, String)> {
    let text = |value: &HeaderValue| value.to_str().expect("ASCII").to_owned();
    let mut fields: Vec<_> = head.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    fields.sort();
    fields
}

fn said(policy: &str, limit: u64, remaining: u64, reset: u64) -> LimitOutcome {
    LimitOutcome { policy: policy.into(), limit, remaining, reset: Duration::from_millis(reset) }
}

/// A list of strings with integer and string parameters, as a client parses it (RFC 8941, RFC 9651).
fn parsed(value: &str) -> Vec<(String, Vec<(String, String)>)> {
    let list = Parser::parse_list(value.as_bytes()).expect(value);
    let bare = |item: &BareItem| match item {
        BareItem::String(text) => text.clone(),
        BareItem::Integer(number) => number.to_string(),
        other => panic!("{other:?} in {value}"),
    };
    let entry = |entry: &ListEntry| match entry {
        ListEntry::Item(item) => {
            assert!(matches!(item.bare_item, BareItem::String(_)), "{value}");
            (bare(&item.bare_item), item.params.iter().map(|(key, item)| (key.clone(), bare(item))).collect())
        }
        ListEntry::InnerList(_) => panic!("an inner list in {value}"),
    };
    list.iter().map(entry).collect()
}

fn two() -> Value {
    json!([
        { "name": "burst", "rate": "100/m", "per": "client", "algorithm": "fixed_window" },
        { "name": "flight", "algorithm": "concurrency", "limit": 50, "per": "route" },
        { "name": "dark", "rate": "1/s", "per": "client", "mode": "shadow" },
        { "name": "fast", "rate": "10/100ms", "per": "client", "algorithm": "fixed_window" },
    ])
}

fn written(fields: &str, of: Value, outcome: &LimitOutcome) -> Vec<(String, String)> {
    let mut head = answer(&[]);
    limits(fields, of).fields.write(&mut head, outcome, None).expect("fits");
    listed(&head)
}

#[test]
fn the_ietf_fields_say_what_a_structured_field_parser_reads() {
    let fields = written("ietf", two(), &said("burst", 100, 50, 29_001));
    let own = |text: &str| text.to_owned();
    assert_eq!(
        fields,
        [
            (own("ratelimit"), own(r#""burst";r=50;t=30"#)),
            (
                own("ratelimit-policy"),
                own(r#""burst";q=100;w=60, "flight";q=50;qu="concurrent-requests", "fast";q=10;w=1"#),
            ),
        ]
    );
    let pair = |key: &str, value: &str| (own(key), own(value));
    assert_eq!(parsed(&fields[0].1), [(own("burst"), vec![pair("r", "50"), pair("t", "30")])]);
    assert_eq!(
        parsed(&fields[1].1),
        [
            (own("burst"), vec![pair("q", "100"), pair("w", "60")]),
            (own("flight"), vec![pair("q", "50"), pair("qu", "concurrent-requests")]),
            (own("fast"), vec![pair("q", "10"), pair("w", "1")]),
        ]
    );
}

#[test]
fn the_older_fields_are_plain_numbers() {
    let outcome = said("burst", 100, 0, 1);
    let fields = |style: &str| written(style, two(), &outcome);
    let named = |prefix: &str| {
        [("limit", "100"), ("remaining", "0"), ("reset", "1")]
            .map(|(name, value)| (format!("{prefix}{name}"), value.to_owned()))
    };
    assert_eq!(fields("draft-03"), named("ratelimit-"));
    assert_eq!(fields("x-ratelimit"), named("x-ratelimit-"));
    assert_eq!(fields("none"), []);
}

#[test]
fn what_the_upstream_says_is_replaced_in_every_style_but_none() {
    let upstream = [
        ("RateLimit", "\"theirs\";r=1"),
        ("RateLimit-Policy", "\"theirs\";q=1"),
        ("RateLimit-Limit", "1"),
        ("RateLimit-Remaining", "1"),
        ("X-RateLimit-Limit", "1"),
        ("X-RateLimit-Limit", "2"),
        ("X-RateLimit-Reset", "1"),
    ];
    for (style, left) in [("ietf", 2), ("draft-03", 3), ("x-ratelimit", 3), ("none", 7)] {
        let mut head = answer(&upstream);
        limits(style, two()).fields.write(&mut head, &said("burst", 100, 50, 0), None).expect("fits");
        assert_eq!(head.headers.len(), left, "{style}");
        assert_eq!(listed(&head).iter().any(|(_, value)| value.contains("theirs")), style == "none");
    }
}

#[test]
fn a_policy_shows_the_plan_of_who_asks() {
    let limits = limits(
        "ietf",
        json!([{
            "name": "plan", "per": "client", "plan": "claim.plan", "otherwise": "free",
            "plans": { "free": "10/m", "pro": "1000/m" },
        }]),
    );
    let policy = |identity: Option<&Identity>| {
        let mut head = answer(&[]);
        limits.fields.write(&mut head, &said("plan", 1, 1, 0), identity).expect("fits");
        head.headers["ratelimit-policy"].to_str().expect("ASCII").to_owned()
    };
    let Value::Object(claims) = json!({ "plan": "pro" }) else { unreachable!() };
    assert_eq!(policy(None), r#""plan";q=10;w=60"#);
    assert_eq!(policy(Some(&Identity::new("alice", "jwt", claims))), r#""plan";q=1000;w=60"#);
}

#[test]
fn numbers_stay_within_what_a_structured_field_can_hold() {
    for (number, text) in [(0, "0"), (9, "9"), (10, "10"), (LARGEST, "999999999999999"), (u64::MAX, "999999999999999")]
    {
        let value = Text::default().name("x").number(";r=", number).value().expect("a value");
        assert_eq!(value.to_str().expect("ASCII"), format!("\"x\";r={text}"));
        parsed(value.to_str().expect("ASCII"));
    }
}

#[test]
fn the_fields_of_a_request_cost_few_allocations() {
    // One for each name and one for each value; that of `RateLimit-Policy` is made once for the route, and shared.
    let outcome = said("burst", 100, 50, 29_001);
    for (style, most) in [("none", 0), ("ietf", 4), ("draft-03", 6), ("x-ratelimit", 6)] {
        let (limits, mut head) = (limits(style, two()), answer(&[("Content-Type", "text/plain"), ("Date", "x")]));
        let cost = allocations(|| limits.fields.write(&mut head, &outcome, None).expect("fits"));
        assert!(cost <= most, "{style}: {cost}");
    }
}

fn verdict(allowed: bool, remaining: u64, reset: u64, retry: u64) -> Verdict {
    Verdict { allowed, quota: 100, remaining, reset, retry, delay: 0 }
}

fn tightest_of(verdicts: [Verdict; 4]) -> String {
    // In the order of the route: burst, flight, dark (a shadow), fast.
    let limits = limits("ietf", two());
    let (limit, _) = tightest(limits.all().iter().zip(&verdicts)).expect("one");
    limit.name.to_string()
}

#[test]
fn the_client_is_told_of_the_limit_of_which_the_least_is_left() {
    let full = verdict(true, 90, 5, 0);
    assert_eq!(tightest_of([full, verdict(true, 5, 1, 0), verdict(true, 0, 9, 0), verdict(true, 7, 1, 0)]), "flight");
    assert_eq!(tightest_of([full, full, full, verdict(true, 90, 6, 0)]), "fast", "of equals the longest");
    assert_eq!(tightest_of([verdict(false, 3, 9, 5), verdict(true, 0, 99, 0), full, full]), "burst", "who refused");
    assert_eq!(
        tightest_of([verdict(false, 0, 9, 5), verdict(false, 0, 9, 8), verdict(false, 0, 9, 99), full]),
        "flight"
    );
}

#[test]
fn a_refusal_is_told_until_when_and_retry_after_is_never_earlier() {
    let limits = limits("ietf", two());
    let verdicts = [
        verdict(false, 0, 60_000_000, 1_500_000),
        verdict(true, 1, 9, 0),
        verdict(false, 0, 9, 900_000_000),
        verdict(false, 0, 1, 1_700_000),
    ];
    let said = || limits.all().iter().zip(&verdicts);
    let (limit, verdict) = tightest(said()).expect("one");
    let outcome = outcome(limit, verdict);
    assert_eq!((&*outcome.policy, outcome.remaining), ("fast", 0));
    assert_eq!(outcome.reset, Duration::from_micros(1_700_000));
    assert_eq!(wait(said()), Duration::from_micros(1_700_000), "a shadow keeps nobody waiting");
    assert!(seconds(wait(said())) >= seconds(outcome.reset));
    assert_eq!(wait([]), Duration::ZERO);
}

#[test]
fn the_tighter_of_two_phases_is_told() {
    let pick = |before: Option<LimitOutcome>, after| tighter(before, after).policy.to_string();
    assert_eq!(pick(None, said("b", 1, 9, 0)), "b");
    assert_eq!(pick(Some(said("a", 1, 3, 0)), said("b", 1, 9, 0)), "a");
    assert_eq!(pick(Some(said("a", 1, 9, 0)), said("b", 1, 3, 0)), "b");
    assert_eq!(pick(Some(said("a", 1, 3, 9)), said("b", 1, 3, 5)), "a");
    assert_eq!(pick(Some(said("a", 1, 3, 5)), said("b", 1, 3, 9)), "b");
}

#[test]
fn seconds_are_rounded_up() {
    for (millis, expected) in [(0, 0), (1, 1), (1000, 1), (1001, 2)] {
        assert_eq!(seconds(Duration::from_millis(millis)), expected);
    }
    assert_eq!(seconds(Duration::MAX), u64::MAX);
}

proptest::proptest! {
    #[test]
    fn every_value_is_a_structured_field(
        name in "[a-zA-Z0-9._+-]{1,64}",
        remaining: u64,
        reset: u64,
        amount in 1_u64..1_000_000,
        time in 1_u64..100_000,
    ) {
        let of = json!([{ "name": name, "rate": format!("{amount}/{time}s"), "per": "client", "algorithm": "fixed_window" }]);
        let outcome = LimitOutcome { policy: name.as_str().into(), limit: 1, remaining, reset: Duration::from_micros(reset) };
        for (_, value) in written("ietf", of, &outcome) {
            let items = parsed(&value);
            assert_eq!((items.len(), &items[0].0), (1, &name));
        }
    }
}
