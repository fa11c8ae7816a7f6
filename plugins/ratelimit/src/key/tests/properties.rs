//! What holds for every key.

use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::{Someone, found};
use crate::key::bytes::{Kind, WHOLE, parts};
use crate::key::{Builder, Found, Key};

/// The kinds that have a name.
const NAMED: [Kind; 3] = [Kind::Header, Kind::Query, Kind::ClaimJson];
const PLAIN: [Kind; 3] = [Kind::Subject, Kind::Route, Kind::ApiKey];

type Told = (usize, Option<String>, Vec<u8>);

fn told() -> impl Strategy<Value = Told> {
    let value =
        prop_oneof![proptest::collection::vec(any::<u8>(), 0..6), proptest::collection::vec(0_u8..3, 120..140),];
    (0_usize..3, proptest::option::of("[a-c]{0,3}"), value)
}

fn built(told: &[Told]) -> Key {
    let mut key = Builder::default();
    for (kind, name, value) in told {
        match name {
            Some(name) => key.part(NAMED[*kind], name, value),
            None => key.part(PLAIN[*kind], "", value),
        }
    }
    key.finish(1)
}

proptest! {
    #[test]
    fn two_different_keys_never_have_the_same_bytes(
        a in proptest::collection::vec(told(), 0..4),
        b in proptest::collection::vec(told(), 0..4),
    ) {
        prop_assert_eq!(built(&a) == built(&b), a == b);
        prop_assert!(built(&a).bytes.len() <= Key::LONGEST);
    }

    #[test]
    fn a_keys_parts_read_back(told in proptest::collection::vec(told(), 0..3)) {
        let key = built(&told);
        prop_assume!(key.bytes.first() != Some(&WHOLE));
        let read: Vec<_> = parts(&key.bytes).map(|part| {
            let (named, plain) = (NAMED.iter().position(|kind| *kind == part.kind), PLAIN.iter().position(|kind| *kind == part.kind));
            let name = named.map(|_| String::from_utf8_lossy(part.name).into_owned());
            (named.or(plain).expect("one of ours"), name, part.value.to_vec(), part.hashed)
        }).collect();
        let expected: Vec<_> = told.iter().map(|(kind, name, value)| {
            let hashed = value.len() > 128;
            let value = if hashed { Sha256::digest(value).to_vec() } else { value.clone() };
            (*kind, name.clone(), value, hashed)
        }).collect();
        prop_assert_eq!(read, expected);
    }

    #[test]
    fn no_bytes_panic_when_shown(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        let _ = Key { limit: 1, bytes: bytes.into() }.shown();
    }

    #[test]
    fn no_request_panics(
        query in "[a-c%=&+0-9]{0,40}",
        cookie in "[a-c=;\" ]{0,40}",
        field in proptest::collection::vec(0x20_u8..0x7f, 0..40),
        authority in "[a-z.:\\[\\]0-9]{0,20}",
    ) {
        let someone = Someone::default().query(&query).field("cookie", cookie).field("x", field).host(&authority).param("p", &query);
        for per in ["query.a", "cookie.a", "header.x", "host", "param.p"] {
            if let Found::Key(key) = found(per, &someone) {
                prop_assert!(key.bytes.len() <= Key::LONGEST);
            }
        }
    }
}
