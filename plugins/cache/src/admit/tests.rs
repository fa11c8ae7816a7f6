use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tidegate_core::config::{Duration as Time, Percent};
use tidegate_core::facts::Identity;
use tidegate_core::{HeaderMap, HeaderName, Method, RequestHead, Scheme, StatusCode};

use super::{Admitted, Answer, Refused, admit};
use crate::config::{Mode, Policy, SetCookie};
use crate::rules::Rules;

mod merging;

type Lines<'a> = &'a [(&'static str, &'a str)];

/// Sun, 06 Nov 1994 08:49:37 GMT
fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(784_111_777)
}

const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const MINUTE_AGO: &str = "Sun, 06 Nov 1994 08:48:37 GMT";
const MINUTE_LATER: &str = "Sun, 06 Nov 1994 08:50:37 GMT";
const DAY_AGO: &str = "Sat, 05 Nov 1994 08:49:37 GMT";

fn fields(lines: Lines<'_>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(HeaderName::from_static(name), value.parse().expect("a value"));
    }
    headers
}

#[derive(Clone)]
struct Case {
    policy: Policy,
    method: Method,
    request: HeaderMap,
    sent: Option<HeaderMap>,
    who: Option<Identity>,
    waited: u64,
}

fn case() -> Case {
    Case { policy: Policy::default(), method: Method::GET, request: HeaderMap::new(), sent: None, who: None, waited: 0 }
}

fn with(change: impl FnOnce(&mut Policy)) -> Case {
    let mut case = case();
    change(&mut case.policy);
    case
}

fn asking(lines: Lines<'_>) -> Case {
    Case { request: fields(lines), ..case() }
}

impl Case {
    fn admit(&self, status: u16, headers: &HeaderMap, not_modified: Option<&HeaderMap>) -> Result<Admitted, Refused> {
        let rules = Rules::build(&self.policy, &Arc::from("app")).expect("rules");
        let request = RequestHead {
            method: &self.method,
            authority: "a.test",
            path: "/a.css",
            query: None,
            headers: &self.request,
            client: IpAddr::from([127, 0, 0, 1]),
            scheme: Scheme::Https,
            listener: "main",
        };
        admit(
            &rules,
            &Answer {
                request,
                who: self.who.as_ref(),
                sent: self.sent.as_ref(),
                status: StatusCode::from_u16(status).expect("a status"),
                headers,
                not_modified,
                slice: None,
                asked: now() - Duration::from_secs(self.waited),
                now: now(),
            },
        )
    }

    /// For how many seconds it is fresh, or why it isn't stored.
    fn ttl(&self, status: u16, lines: Lines<'_>) -> Result<i64, Refused> {
        self.admit(status, &fields(lines), None).map(|admitted| admitted.ttl)
    }
}

fn ann() -> Identity {
    Identity::new("ann", "p", serde_json::Map::new())
}

/// RFC 9111 section 3.
#[test]
fn section_3_what_may_be_stored() {
    use Refused::*;
    let ok: Lines<'_> = &[("cache-control", "max-age=60")];
    for (status, expected) in [
        (200, Ok(60)),
        (203, Ok(60)),
        (204, Ok(60)),
        (299, Ok(60)),
        (302, Ok(60)),
        (307, Ok(60)),
        (404, Ok(60)),
        (500, Ok(60)),
        (599, Ok(60)),
        (206, Err(Partial)),
        (304, Err(Status)),
        (416, Err(Partial)),
        (103, Err(Status)),
        (600, Err(Status)),
    ] {
        assert_eq!(case().ttl(status, ok), expected, "{status}");
    }
    for (lines, expected) in [
        (&[("cache-control", "max-age=60, no-store")][..], Err(NoStore)),
        (&[("cache-control", "max-age=60, private")], Err(Private)),
        (&[("cache-control", "max-age=60, private=\"x\"")], Err(Private)),
        (&[("cache-control", "max-age=60"), ("set-cookie", "a=b")], Err(SetCookie)),
        (&[("cache-control", "max-age=60"), ("set-cookie2", "a=b")], Err(SetCookie)),
        (&[("cache-control", "max-age=60"), ("vary", "*")], Err(Vary)),
        (&[("cache-control", "max-age=60"), ("vary", "accept, *")], Err(Vary)),
        // It means something in 206 and 416 only (RFC 9110 section 14.4).
        (&[("cache-control", "max-age=60"), ("content-range", "bytes 0-1/2")], Ok(60)),
        (&[("cache-control", "max-age=60"), ("content-type", "text/event-stream")], Err(Stream)),
        (&[("cache-control", "max-age=60"), ("vary", "accept-encoding"), ("content-encoding", "dcz")], Err(Coding)),
        (&[("cache-control", "max-age=60"), ("vary", "accept-encoding"), ("content-encoding", "gzip, br")], Ok(60)),
        (&[("cache-control", "max-age=60"), ("content-encoding", "dcz")], Ok(60)),
    ] {
        assert_eq!(case().ttl(200, lines), expected, "{lines:?}");
    }
    let post = Case { method: http::Method::POST, ..case() };
    assert_eq!(post.ttl(200, ok), Err(Method));
    assert_eq!(asking(&[("cache-control", "no-store")]).ttl(200, ok), Err(RequestNoStore));
    let deaf =
        Case { request: fields(&[("cache-control", "no-store")]), ..with(|policy| policy.respect_client = false) };
    assert_eq!(deaf.ttl(200, ok), Ok(60));
}

/// RFC 9111 section 5.2.2.3.
#[test]
fn section_5_2_2_3_must_understand() {
    let both: Lines<'_> = &[("cache-control", "must-understand, no-store, max-age=60")];
    assert_eq!(case().ttl(200, both), Ok(60));
    assert_eq!(case().ttl(299, both), Err(Refused::Status));
    assert_eq!(case().ttl(299, &[("cache-control", "must-understand, max-age=60")]), Err(Refused::Status));
    assert_eq!(case().ttl(200, &[("cache-control", "must-understand=1, no-store, max-age=60")]), Err(Refused::NoStore));
}

/// RFC 9111 section 3.5.
#[test]
fn section_3_5_answers_to_those_who_say_who_they_are() {
    let token = asking(&[("authorization", "Bearer x")]);
    let known = Case { who: Some(ann()), ..case() };
    let split = Case { who: Some(ann()), ..with(|policy| policy.key.identity = true) };
    for case in [&token, &known, &split] {
        for (says, stored) in [
            ("max-age=60", false),
            ("max-age=60, public", true),
            ("s-maxage=60", true),
            ("max-age=60, must-revalidate", true),
            ("max-age=60, proxy-revalidate", false),
            ("max-age=60, public=1", false),
            ("max-age=60, public, private", false),
        ] {
            let found = case.ttl(200, &[("cache-control", says)]);
            assert_eq!(found.is_ok(), stored, "{says}: {found:?}");
        }
        assert_eq!(case.ttl(200, &[]), Err(Refused::Authorization));
    }
    let private = Case { who: Some(ann()), ..with(|policy| policy.mode = Mode::PrivatePerIdentity) };
    assert_eq!(private.ttl(200, &[("cache-control", "private, max-age=60, s-maxage=5")]), Ok(60));
    assert_eq!(private.ttl(200, &[("cache-control", "no-store, max-age=60")]), Err(Refused::NoStore));
    let unknown = Case { request: token.request.clone(), who: None, ..private };
    assert_eq!(unknown.ttl(200, &[("cache-control", "public, max-age=60")]), Err(Refused::Authorization));
}

/// RFC 9111 section 4.2.1.
#[test]
fn section_4_2_1_lifetimes() {
    for (lines, expected) in [
        (&[("cache-control", "max-age=60, s-maxage=30")][..], Ok(30)),
        (&[("cache-control", "max-age=60"), ("expires", DAY_AGO)], Ok(60)),
        (&[("expires", MINUTE_LATER), ("date", DATE)], Ok(60)),
        (&[("expires", MINUTE_LATER), ("date", MINUTE_AGO)], Ok(120)),
        (&[("expires", MINUTE_LATER)], Ok(60)),
        (&[("expires", MINUTE_LATER), ("date", "yesterday")], Ok(60)),
        (&[("expires", "0")], Err(Refused::Expired)),
        (&[("expires", "0"), ("etag", "\"a\"")], Ok(0)),
        (&[("expires", DAY_AGO), ("date", DATE), ("last-modified", DAY_AGO)], Ok(0)),
        (&[("cache-control", "max-age=x"), ("etag", "\"a\"")], Ok(0)),
        (&[("cache-control", "no-cache, max-age=60"), ("etag", "\"a\"")], Ok(0)),
        (&[("cache-control", "no-cache, max-age=60")], Err(Refused::Expired)),
        (&[("cdn-cache-control", "max-age=5"), ("cache-control", "no-store")], Ok(5)),
        (&[("cdn-cache-control", "no-store"), ("cache-control", "max-age=60")], Err(Refused::NoStore)),
        (&[("cdn-cache-control", "max-age=x y"), ("cache-control", "max-age=60")], Ok(60)),
        (&[("cache-control", "max-age=99999999999999")], Ok(1 << 31)),
    ] {
        assert_eq!(case().ttl(200, lines), expected, "{lines:?}");
    }
}

/// What is said where the upstream says nothing (RFC 9111 section 4.2.2), and what never is.
#[test]
fn section_4_2_2_silence() {
    const HOUR: i64 = 3600;
    for (status, lines, expected) in [
        (200, &[][..], Ok(HOUR)),
        (301, &[], Ok(HOUR)),
        (404, &[], Ok(10)),
        (410, &[], Ok(60)),
        (302, &[], Err(Refused::Silent)),
        (500, &[], Err(Refused::ServerError)),
        (405, &[], Err(Refused::Silent)),
        (302, &[("cache-control", "public")], Ok(HOUR)),
        (200, &[("cache-control", "must-revalidate")], Ok(HOUR)),
        (200, &[("cache-control", "no-store")], Err(Refused::NoStore)),
        (200, &[("cache-control", "private")], Err(Refused::Private)),
        (206, &[], Err(Refused::Partial)),
        (200, &[("pragma", "no-cache")], Err(Refused::Expired)),
        // Not used where a heuristic isn't wanted.
        (200, &[("last-modified", DAY_AGO), ("date", DATE)], Ok(HOUR)),
    ] {
        assert_eq!(case().ttl(status, lines), expected, "{status} {lines:?}");
    }
    assert_eq!(with(|policy| policy.default_ttl = Time::ZERO).ttl(200, &[]), Err(Refused::Silent));
    assert_eq!(with(|policy| policy.negative.clear()).ttl(404, &[]), Err(Refused::Silent));
    let heuristic = with(|policy| policy.heuristic = Percent::new(10));
    assert_eq!(heuristic.ttl(200, &[("last-modified", DAY_AGO), ("date", DATE)]), Ok(8640));
    assert_eq!(heuristic.ttl(200, &[("last-modified", "Sun, 06 Nov 1904 08:49:37 GMT")]), Ok(HOUR));
    assert_eq!(heuristic.ttl(200, &[("last-modified", "Thu, 01 Jan 1970 00:00:00 GMT")]), Ok(86_400));
    assert_eq!(heuristic.ttl(200, &[("last-modified", MINUTE_LATER), ("date", DATE)]), Ok(HOUR));
    assert_eq!(heuristic.ttl(200, &[("cache-control", "max-age=5"), ("last-modified", DAY_AGO)]), Ok(5));
}

/// RFC 9111 section 4.2.3.
#[test]
fn section_4_2_3_age_counts_from_where_the_answer_was_made() {
    let max: (&str, &str) = ("cache-control", "max-age=60");
    for (age, expected) in [("20", 40), ("60", 0), ("100", -40), ("20, 50", 40), ("x", 60), ("-5", 60), ("", 60)] {
        assert_eq!(case().ttl(200, &[max, ("age", age), ("etag", "\"a\"")]), Ok(expected), "{age}");
    }
    assert_eq!(Case { waited: 7, ..case() }.ttl(200, &[max, ("age", "20")]), Ok(33));
    let admitted = Case { waited: 7, ..case() }.admit(200, &fields(&[max, ("age", "20")]), None).expect("stored");
    assert_eq!(admitted.meta.epoch(), now() - Duration::from_secs(27));
    assert_eq!(admitted.meta.updated(), now() - Duration::from_secs(7));
    assert_eq!(admitted.age, Some(Duration::from_secs(27)));
}

#[test]
fn what_the_operator_says_wins_over_lifetimes_and_over_nothing_else() {
    let fixed = with(|policy| policy.override_ttl = Some(Time::from_secs(300)));
    for (status, lines, expected) in [
        (200, &[("cache-control", "max-age=5")][..], Ok(300)),
        (200, &[("cache-control", "max-age=5"), ("age", "200")], Ok(300)),
        (200, &[("expires", "0")], Ok(300)),
        (200, &[], Ok(300)),
        (404, &[], Ok(10)),
        (404, &[("cache-control", "max-age=5")], Ok(5)),
        (302, &[], Err(Refused::Silent)),
        (200, &[("cache-control", "no-store")], Err(Refused::NoStore)),
        (200, &[("cache-control", "private, max-age=5")], Err(Refused::Private)),
        (200, &[("cache-control", "no-cache"), ("etag", "\"a\"")], Ok(0)),
    ] {
        assert_eq!(fixed.ttl(status, lines), expected, "{status} {lines:?}");
    }
    let bound = with(|policy| {
        (policy.min_ttl, policy.max_ttl) = (Some(Time::from_secs(10)), Some(Time::from_secs(20)));
    });
    for (said, expected) in
        [("max-age=5", Ok(10)), ("max-age=15", Ok(15)), ("max-age=60", Ok(20)), ("no-store", Err(Refused::NoStore))]
    {
        assert_eq!(bound.ttl(200, &[("cache-control", said)]), expected, "{said}");
    }
    assert_eq!(bound.ttl(500, &[("cache-control", "max-age=5")]), Ok(5));
    let listed = with(|policy| {
        policy.status = Some(vec![200]);
        policy.content_types = Some(vec!["image/*".into()]);
    });
    assert_eq!(listed.ttl(404, &[("cache-control", "max-age=5")]), Err(Refused::Status));
    assert_eq!(listed.ttl(200, &[("content-type", "text/html")]), Err(Refused::ContentType));
    assert_eq!(listed.ttl(200, &[("content-type", "image/png")]), Ok(3600));
}

/// RFC 5861, and what RFC 9111 section 4.2.4 forbids.
#[test]
fn stale_answers_are_used_as_long_as_somebody_says_so_and_nobody_forbids_it() {
    let default = with(|policy| {
        (policy.stale_while_revalidate, policy.stale_if_error) = (Time::from_secs(7), Time::from_secs(9));
    });
    let stale = |says: &str| {
        let admitted =
            default.admit(200, &fields(&[("cache-control", says), ("etag", "\"a\"")]), None).expect("stored");
        (admitted.meta.stale_while_revalidate_sec(), admitted.meta.stale_if_error_sec())
    };
    for (says, expected) in [
        ("max-age=1", (7, 9)),
        ("max-age=1, stale-while-revalidate=1, stale-if-error=2", (1, 2)),
        ("max-age=1, stale-while-revalidate=x", (0, 9)),
        ("max-age=1, stale-if-error=0", (7, 0)),
        ("max-age=1, must-revalidate", (0, 0)),
        ("max-age=1, proxy-revalidate", (0, 0)),
        ("s-maxage=1", (0, 0)),
        ("no-cache", (0, 0)),
        ("max-age=1, must-revalidate, stale-if-error=60", (0, 0)),
        ("s-maxage=1, stale-while-revalidate=60", (0, 0)),
    ] {
        assert_eq!(stale(says), expected, "{says}");
    }
}

/// RFC 9111 section 3.1.
#[test]
fn section_3_1_fields_of_one_connection_are_not_stored() {
    let strip = with(|policy| policy.set_cookie = SetCookie::Strip);
    let lines: Lines<'_> = &[
        ("cache-control", "max-age=60"),
        ("connection", "close, X-Listed"),
        ("keep-alive", "5"),
        ("x-listed", "1"),
        ("proxy-authenticate", "Basic"),
        ("proxy-authentication-info", "x"),
        ("transfer-encoding", "chunked"),
        ("trailer", "x"),
        ("upgrade", "h2c"),
        ("te", "x"),
        ("set-cookie", "a=b"),
        ("age", "1"),
        ("x-kept", "1"),
        ("x-kept", "2"),
        ("cache-status", "up; hit"),
        ("cdn-cache-control", "max-age=60"),
    ];
    let admitted = strip.admit(200, &fields(lines), None).expect("stored");
    let stored = admitted.meta.headers();
    let mut names: Vec<&str> = stored.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["cache-control", "cache-status", "cdn-cache-control", "date", "x-kept"]);
    assert_eq!(stored.get_all("x-kept").iter().count(), 2);
    assert_eq!(stored["date"], DATE);
}

/// An answer that was chosen by what the gateway said is not for others who say the same.
#[test]
fn what_varies_by_what_the_gateway_added_is_not_stored() {
    let varies = |name: &'static str, client: Option<&str>, sent: Option<&str>, who: Option<Identity>| {
        let line = |value: Option<&str>| value.map_or_else(HeaderMap::new, |value| fields(&[(name, value)]));
        let private = who.is_some();
        let mut case = Case { request: line(client), sent: Some(line(sent)), who, ..case() };
        if private {
            case.policy.mode = Mode::PrivatePerIdentity;
        }
        case.ttl(200, &[("cache-control", "max-age=60"), ("vary", name)])
    };
    assert_eq!(varies("x-a", Some("1"), Some("1"), None), Ok(60));
    assert_eq!(varies("x-a", None, None, None), Ok(60));
    assert_eq!(varies("x-a", None, Some("1"), None), Err(Refused::Vary));
    assert_eq!(varies("x-a", Some("1"), None, None), Err(Refused::Vary));
    assert_eq!(varies("host", Some("a.test"), Some("internal"), None), Ok(60));
    assert_eq!(varies("accept-encoding", Some("br"), None, None), Ok(60));
    assert_eq!(varies("x-forwarded-proto", None, Some("https"), None), Ok(60));
    assert_eq!(varies("x-forwarded-proto", None, Some("http"), None), Err(Refused::Vary));
    assert_eq!(varies("x-forwarded-for", None, Some("10.0.0.1"), None), Err(Refused::Vary));
    assert_eq!(varies("x-user", None, Some("ann"), None), Err(Refused::Vary));
    assert_eq!(varies("x-user", None, Some("ann"), Some(ann())), Ok(60));
    assert_eq!(varies("x-user", None, Some("bob"), Some(ann())), Err(Refused::Vary));
}
