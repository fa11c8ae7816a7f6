use std::time::{Duration, UNIX_EPOCH};

use proptest::prelude::*;
use tidegate_core::{HeaderMap, HeaderName, HeaderValue};

use super::{Asks, Expires, Says};

fn fields(lines: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(HeaderName::from_static(name), value.parse().expect("a value"));
    }
    headers
}

fn says(value: &str) -> Says {
    Says::of(&fields(&[("cache-control", value)]))
}

/// RFC 9111 section 5.2: names ignore case, arguments are tokens or strings, unknown directives are ignored.
#[test]
fn directives_are_read_in_every_form_that_they_may_have() {
    let expected = Says { max_age: Some(60), public: true, ..Says::default() };
    for value in [
        "max-age=60, public",
        "MAX-AGE=60,PUBLIC",
        "max-age=\"60\", public",
        ", ,max-age=60,, public,",
        "\tmax-age=60\t, public ",
        "max-age=60, public, community=\"UCI, no-store\"",
        "foo=\"a\\\", no-store, \\\"b\", max-age=60, public",
        "max-age=60, public, max-age-x=5, x-no-store",
    ] {
        assert_eq!(says(value), expected, "{value}");
    }
}

/// RFC 9111 section 4.2.1: invalid freshness is stale, and of what contradicts itself the most restrictive counts.
#[test]
fn nonsense_and_contradictions_never_make_an_answer_fresher() {
    for (value, seconds) in [
        ("max-age", 0),
        ("max-age=", 0),
        ("max-age=abc", 0),
        ("max-age=1.5", 0),
        ("max-age=-1", 0),
        ("max-age=60s", 0),
        ("max-age=60;x", 0),
        ("max-age='60'", 0),
        ("max-age=60, max-age=10", 10),
        ("max-age=10, max-age=60", 10),
        ("max-age=10, max-age=x", 0),
        ("max-age = 60", 60),
        ("max-age=99999999999", 1 << 31),
    ] {
        assert_eq!(says(value).max_age, Some(seconds), "{value}");
    }
}

#[test]
fn prohibitions_hold_in_every_form() {
    for value in
        ["no-store", "No-Store", "no-store=1", "no-store=\"\"", "x=\"a, no-store", "a\"b, no-store\"", "no-store "]
    {
        assert!(says(value).no_store, "{value}");
    }
    for value in ["private", "private=\"set-cookie\"", "private=set-cookie"] {
        assert!(says(value).private, "{value}");
    }
    for value in ["no-cache", "no-cache=\"set-cookie\"", "no-cache=x"] {
        assert!(says(value).no_cache, "{value}");
    }
    assert!(!says("public=yes").public);
    assert!(!says("must-understand=x, no-store").must_understand);
}

#[test]
fn lines_count_together() {
    let headers = fields(&[("cache-control", "max-age=60, x=\"open"), ("cache-control", "no-store")]);
    let said = Says::of(&headers);
    assert_eq!((said.max_age, said.no_store), (Some(60), true));
}

/// RFC 9111 section 5.3.
#[test]
fn expires_is_a_date_or_in_the_past() {
    let at = Expires::At(UNIX_EPOCH + Duration::from_secs(784_111_777));
    for (value, expected) in [
        ("Sun, 06 Nov 1994 08:49:37 GMT", at),
        ("Sunday, 06-Nov-94 08:49:37 GMT", at),
        ("Sun Nov  6 08:49:37 1994", at),
        ("0", Expires::Past),
        ("-1", Expires::Past),
        ("", Expires::Past),
        ("tomorrow", Expires::Past),
        ("Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT", Expires::Past),
    ] {
        assert_eq!(Says::of(&fields(&[("expires", value)])).expires, expected, "{value}");
    }
    let twice = fields(&[("expires", "Sun, 06 Nov 1994 08:49:37 GMT"), ("expires", "Sun, 06 Nov 2094 08:49:37 GMT")]);
    assert_eq!(Says::of(&twice).expires, Expires::Past);
    assert_eq!(Says::of(&HeaderMap::new()).expires, Expires::Silent);
}

/// RFC 9213 sections 2.1 and 2.2.
#[test]
fn a_targeted_field_counts_alone_or_not_at_all() {
    let both = |targeted: &str| {
        Says::of(&fields(&[("cache-control", "no-store"), ("expires", "0"), ("cdn-cache-control", targeted)]))
    };
    let plain = Says { no_store: true, expires: Expires::Past, ..Says::default() };
    let age = |seconds| Says { max_age: Some(seconds), ..Says::default() };
    for (targeted, expected) in [
        ("max-age=60", age(60)),
        ("max-age=60;x=1;y", age(60)),
        ("max-age=5, max-age=60", age(60)),
        ("max-age=60, unknown=(a \"b\" 1.5), other=:YQ==:, t=@1, d=%\"x\"", age(60)),
        // Of another type: no time at all, never one that was guessed.
        ("max-age=\"60\"", age(0)),
        ("max-age=1.5", age(0)),
        ("max-age=-1", age(0)),
        ("max-age", age(0)),
        ("max-age=60, no-store=?0", age(60)),
        ("no-store, max-age=60", Says { no_store: true, ..age(60) }),
        ("private=\"a, b\", max-age=60", Says { private: true, ..age(60) }),
        // Empty, or none that can be read.
        ("", plain.clone()),
        ("Max-Age=60", plain.clone()),
        ("max-age=60,", plain.clone()),
        ("max-age =60", plain.clone()),
        ("max-age=60 no-store", plain.clone()),
        ("max-age=1234567890123456", plain.clone()),
        ("a=\"open", plain.clone()),
        ("a=(b", plain),
    ] {
        assert_eq!(both(targeted), expected, "{targeted:?}");
    }
    let lines = fields(&[("cdn-cache-control", "max-age=60"), ("cdn-cache-control", "no-store")]);
    assert_eq!(Says::of(&lines), Says { no_store: true, ..age(60) });
}

#[test]
fn pragma_counts_where_there_is_no_cache_control() {
    assert!(Says::of(&fields(&[("pragma", "no-cache")])).no_cache);
    assert!(!Says::of(&fields(&[("pragma", "no-cache"), ("cache-control", "max-age=5")])).no_cache);
    assert!(Asks::of(&fields(&[("pragma", "x, No-Cache")])).no_cache);
    assert!(!Asks::of(&fields(&[("pragma", "no-cache"), ("cache-control", "max-stale")])).no_cache);
}

/// RFC 9111 section 5.2.1.
#[test]
fn requests_say_what_they_take() {
    const MOST: u32 = 1 << 31;
    let none = Asks::default();
    for (value, expected) in [
        ("no-cache", Asks { no_cache: true, ..none }),
        ("no-store", Asks { no_store: true, ..none }),
        ("only-if-cached", Asks { only_if_cached: true, ..none }),
        ("max-age=0", Asks { max_age: Some(0), ..none }),
        ("max-age=10, max-age=5", Asks { max_age: Some(5), ..none }),
        ("max-age=x", Asks { max_age: Some(0), ..none }),
        ("min-fresh=5, min-fresh=10", Asks { min_fresh: Some(10), ..none }),
        ("min-fresh=x", Asks { min_fresh: Some(MOST), ..none }),
        ("max-stale", Asks { max_stale: Some(MOST), ..none }),
        ("max-stale, max-stale=5", Asks { max_stale: Some(5), ..none }),
        ("max-stale=x", Asks { max_stale: Some(0), ..none }),
        ("stale-if-error=7", Asks { stale_if_error: Some(7), ..none }),
        ("no-transform, whatever", none),
    ] {
        assert_eq!(Asks::of(&fields(&[("cache-control", value)])), expected, "{value}");
    }
}

fn any_fields(value: &[u8]) -> Option<HeaderMap> {
    let value = HeaderValue::from_bytes(value).ok()?;
    let mut headers = HeaderMap::new();
    headers.append("cache-control", value.clone());
    headers.append("cdn-cache-control", value.clone());
    headers.append("expires", value.clone());
    headers.append("pragma", value);
    Some(headers)
}

proptest! {
    #[test]
    fn nothing_makes_the_readers_panic(value in proptest::collection::vec(any::<u8>(), 0..64)) {
        if let Some(headers) = any_fields(&value) {
            let _ = (Says::of(&headers), Asks::of(&headers));
        }
    }

    /// A `no-store` between commas, outside of a whole string, is always found.
    #[test]
    fn a_prohibition_can_not_be_hidden(before in "[ -~]{0,24}", after in "[ -~]{0,24}") {
        prop_assume!(!before.contains("=") || before.matches('"').count() < 1);
        let value = format!("{before},no-store,{after}");
        prop_assert!(says(&value).no_store, "{value}");
    }

    /// More of it never allows more.
    #[test]
    fn another_line_never_makes_it_fresher(first in "(max-age|s-maxage)=[0-9]{1,4}", second in "[ -~]{0,24}") {
        let one = says(&first);
        let both = Says::of(&fields(&[("cache-control", &first), ("cache-control", &second)]));
        let min = |a: Option<u32>, b: Option<u32>| a.is_none() || b.is_some_and(|b| Some(b) <= a);
        prop_assert!(min(one.max_age, both.max_age) && min(one.s_maxage, both.s_maxage));
        prop_assert!(both.no_store >= one.no_store && both.private >= one.private);
    }
}
