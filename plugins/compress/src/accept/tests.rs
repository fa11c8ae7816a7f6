use proptest::prelude::*;
use tidegate_core::{HeaderMap, HeaderValue};

use super::{AcceptEncoding, naive};
use crate::algorithm::Algorithm::{self, Br, Gzip, Zstd};

fn chosen(value: &str) -> Option<Algorithm> {
    AcceptEncoding::parse(value.as_bytes()).choose(&Algorithm::ALL)
}

#[test]
fn the_highest_weight_wins_and_our_order_breaks_ties() {
    for (value, expected) in [
        ("gzip", Some(Gzip)),
        ("gzip, br", Some(Br)),
        ("gzip, deflate, br, zstd", Some(Zstd)),
        ("gzip;q=1.0, br;q=0.9, zstd;q=0.8", Some(Gzip)),
        ("br;q=0.001", Some(Br)),
        ("GZIP;Q=0.5 , Br ; q=0.6", Some(Br)),
        ("x-gzip", Some(Gzip)),
        (" ,, gzip ,", Some(Gzip)),
        ("gzip;q=1.000, br;q=0.999", Some(Gzip)),
        ("snappy", None),
    ] {
        assert_eq!(chosen(value), expected, "{value}");
    }
    let ours = [Gzip, Br];
    assert_eq!(AcceptEncoding::parse(b"br, gzip, zstd").choose(&ours), Some(Gzip));
    assert_eq!(AcceptEncoding::parse(b"zstd").choose(&ours), None);
    assert_eq!(AcceptEncoding::parse(b"*").choose(&[]), None);
}

#[test]
fn a_star_is_all_that_is_not_named() {
    for (value, expected) in [
        ("*", Some(Zstd)),
        ("*;q=0.1", Some(Zstd)),
        ("zstd;q=0, *", Some(Br)),
        ("zstd;q=0.2, *;q=0.5, br;q=0.1", Some(Gzip)),
        ("gzip, *;q=0", Some(Gzip)),
        ("*;q=0", None),
    ] {
        assert_eq!(chosen(value), expected, "{value}");
    }
}

#[test]
fn what_has_no_weight_is_never_chosen() {
    for value in ["gzip;q=0", "gzip;q=0.0, br;q=0.000, zstd;q=0.", "gzip;q=0, gzip", "gzip, gzip;q=0", "identity"] {
        assert_eq!(chosen(value), None, "{value}");
    }
}

#[test]
fn the_content_as_it_is_wins_where_the_client_likes_it_better() {
    for (value, expected) in [
        ("gzip;q=0.5, identity", None),
        ("gzip;q=0.5, identity;q=0.6", None),
        ("gzip;q=0.5, identity;q=0.5", Some(Gzip)),
        ("gzip;q=0.5, identity;q=0.4", Some(Gzip)),
        ("gzip, identity;q=0", Some(Gzip)),
        ("gzip;q=0.1, *;q=0.2, zstd;q=0, br;q=0", Some(Gzip)),
    ] {
        assert_eq!(chosen(value), expected, "{value}");
    }
}

#[test]
fn identity_is_refused_by_name_or_by_a_star() {
    let refuses = |value: &str| AcceptEncoding::parse(value.as_bytes()).refuses_identity();
    assert!(refuses("gzip, identity;q=0") && refuses("gzip, *;q=0") && refuses("identity;q=0.000"));
    assert!(!refuses("gzip") && !refuses("") && !refuses("*;q=0, identity;q=0.1") && !refuses("identity;q=0, ;"));
}

#[test]
fn absent_empty_and_malformed_mean_the_content_as_it_is() {
    assert_eq!(AcceptEncoding::of(&HeaderMap::new()), AcceptEncoding::default());
    for value in [
        "",
        " ",
        ",",
        "gzip;",
        "gzip;q",
        "gzip;q=",
        "gzip;q=2",
        "gzip;q=1.001",
        "gzip;q=0.1234",
        "gzip;q=-1",
        "gzip;q= 1",
        "gzip;q =1",
        "gzip;q=.5",
        "gzip;q=1;q=1",
        "gzip;level=9",
        "gzip br",
        "gzip, b r",
        "gzip, \"br\"",
        ";q=1",
        "gzip, br=1",
        "gzip, \u{e9}",
        "gzip\0",
    ] {
        assert_eq!(chosen(value), None, "{value:?}");
        assert!(!AcceptEncoding::parse(value.as_bytes()).refuses_identity(), "{value:?}");
    }
}

#[test]
fn several_fields_are_one_list() {
    let mut headers = HeaderMap::new();
    for value in ["gzip;q=0.5", "br;q=0.7"] {
        headers.append("accept-encoding", HeaderValue::from_static(value));
    }
    assert_eq!(AcceptEncoding::of(&headers).choose(&Algorithm::ALL), Some(Br));
    headers.append("accept-encoding", HeaderValue::from_static("zstd;q=9"));
    assert_eq!(AcceptEncoding::of(&headers), AcceptEncoding::default(), "one that is malformed spoils the list");
}

/// Lists that are right, nearly right, and not at all.
fn values() -> impl Strategy<Value = String> {
    let coding = prop_oneof![
        Just("gzip".to_owned()),
        Just("br".to_owned()),
        Just("ZSTD".to_owned()),
        Just("x-gzip".to_owned()),
        Just("identity".to_owned()),
        Just("*".to_owned()),
        Just(String::new()),
        "[a-z!*;= ]{0,6}",
    ];
    let weight = prop_oneof![
        Just(String::new()),
        "[ \t]?;[ \t]?[qQ]=[01](\\.[0-9]{0,4})?",
        "[ \t]?;[ \t]?q=0\\.[0-3]{1,3}",
        ";?[q=0-9.;]{0,5}"
    ];
    let element = (coding, weight).prop_map(|(coding, weight)| coding + &weight);
    prop_oneof![
        4 => prop::collection::vec(element, 0..6).prop_map(|list| list.join(", ")),
        1 => "\\PC{0,24}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn the_choice_is_the_naive_one(value in values(), offered in Just(Algorithm::ALL).prop_shuffle(), count in 0..4_usize) {
        let offered = &offered[..count];
        let names: Vec<_> = offered.iter().map(|algorithm| algorithm.token()).collect();
        let ours = AcceptEncoding::parse(value.as_bytes()).choose(offered).map(Algorithm::token);
        prop_assert_eq!(ours, naive::choose(&value, &names));
    }

    #[test]
    fn no_bytes_make_it_panic(value in prop::collection::vec(any::<u8>(), 0..64)) {
        let accepted = AcceptEncoding::parse(&value);
        let _ = (accepted.choose(&Algorithm::ALL), accepted.refuses_identity());
    }
}
