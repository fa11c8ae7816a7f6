use proptest::prelude::*;
use tidegate_core::{HeaderMap, HeaderName};

use super::{encoding, fields, variant};

fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(HeaderName::from_static(name), value.parse().expect("a value"));
    }
    headers
}

fn normal(value: &str) -> String {
    String::from_utf8(encoding::normal(value.as_bytes())).expect("text")
}

/// RFC 9111 section 4.1: what is known to mean the same may be taken for the same.
#[test]
fn what_accepts_the_same_is_the_same_variant() {
    for (values, expected) in [
        (&["gzip, br", "br,gzip", "br;q=1.0, GZIP;q=1", "br, x-gzip, compress", "gzip, br, x;q=0.5"][..], "br,gzip"),
        (&["br, gzip;q=0.8", "gzip;q=0.8,br", "gzip;q=0.800, br;q=1.000"], "br>gzip"),
        (&["gzip;q=0, br", "br", "br, gzip;q=0.000"], "br"),
        (&["", "identity", "compress", "gzip;q=0", "identity;q=0.5"], ""),
        (&["*"], "br,deflate,gzip,zstd"),
        (&["*;q=0.1, gzip"], "gzip>br,deflate,zstd"),
        (&["gzip, identity;q=0", "gzip, *;q=0"], "gzip!"),
        (&["identity, gzip;q=0.5"], "identity>gzip"),
        (&["gzip;q=2"], "?gzip;q=2"),
        (&["gzip;level=9"], "?gzip;level=9"),
        (&["gzip, br, gzip;q=0"], "?gzip, br, gzip;q=0"),
        (&["br;q=0.5;x"], "?br;q=0.5;x"),
        (&["gzip, b r"], "?gzip, b r"),
        (&["gzip, x;q=2"], "?gzip, x;q=2"),
        (&["gzip;;q=1"], "?gzip;;q=1"),
    ] {
        for value in values {
            assert_eq!(normal(value), expected, "{value:?}");
        }
    }
}

#[test]
fn a_list_of_fields_is_read_as_one_whatever_its_form() {
    let names = |lines: &[(&'static str, &str)]| {
        fields(&headers(lines)).map(|fields| fields.iter().map(|name| name.as_str().to_owned()).collect::<Vec<_>>())
    };
    let two = Some(vec!["accept".to_owned(), "cookie".to_owned()]);
    assert_eq!(names(&[("vary", "Cookie, accept")]), two);
    assert_eq!(names(&[("vary", ",accept ,, COOKIE,Accept")]), two);
    assert_eq!(names(&[("vary", "cookie"), ("vary", "accept")]), two);
    assert_eq!(names(&[]), Some(Vec::new()));
    for refused in ["*", "accept, *", "*, accept", "accept language", "a\"b", &"x-a,".repeat(40)] {
        assert_eq!(names(&[("vary", refused)]), None, "{refused}");
    }
}

/// RFC 9111 section 4.1: fields match when their values are the same, and absent matches absent only.
#[test]
fn a_variant_is_chosen_by_the_fields_that_the_answer_names() {
    let answer = headers(&[("vary", "Accept-Language, X-A")]);
    let of = |lines: &[(&'static str, &str)]| variant(&answer, &headers(lines)).expect("varies");
    let same = |a: &[(&'static str, &str)], b: &[(&'static str, &str)]| of(a) == of(b);
    assert!(same(
        &[("accept-language", "de, en;q=0.5"), ("x-a", "1")],
        &[("accept-language", "DE,en; q=0.5"), ("x-a", "1")]
    ));
    assert!(same(&[("x-a", "1"), ("x-a", "2")], &[("x-a", "1, 2")]));
    assert!(same(&[("x-b", "1")], &[("x-b", "2")]));
    assert!(!same(&[("x-a", "1")], &[("x-a", "2")]));
    assert!(!same(&[("x-a", "")], &[]));
    assert!(!same(&[("x-a", "a")], &[("x-a", "A")]));
    assert!(variant(&HeaderMap::new(), &headers(&[("x-a", "1")])).is_none());
    // Other fields, the same values: never the same variant.
    let other = headers(&[("vary", "X-A")]);
    assert_ne!(variant(&other, &headers(&[])), variant(&answer, &headers(&[])));
}

proptest! {
    #[test]
    fn no_value_makes_it_panic(value in proptest::collection::vec(any::<u8>(), 0..64)) {
        let _ = encoding::normal(&value);
    }

    #[test]
    fn the_order_of_codings_does_not_matter(codings in proptest::sample::subsequence(vec!["br", "gzip", "zstd", "deflate"], 0..=4).prop_shuffle()) {
        let mut sorted = codings.clone();
        sorted.sort_unstable();
        prop_assert_eq!(normal(&codings.join(", ")), normal(&sorted.join(",")));
    }

    /// Two values of one field, told apart whatever they are.
    #[test]
    fn different_values_are_different_variants(a in "[ -~]{0,8}", b in "[ -~]{0,8}", c in "[ -~]{0,8}", d in "[ -~]{0,8}") {
        prop_assume!((a.trim(), b.trim()) != (c.trim(), d.trim()));
        let answer = headers(&[("vary", "x-a, x-b")]);
        let of = |a: &str, b: &str| variant(&answer, &headers(&[("x-a", a), ("x-b", b)]));
        prop_assert_ne!(of(&a, &b), of(&c, &d));
    }
}
