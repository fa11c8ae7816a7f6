use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn parts(list: &[(u64, u64)]) -> Ranges {
    Ranges::Parts(list.iter().map(|&(first, last)| ByteRange { first, last }).collect())
}

#[test]
fn the_examples_of_rfc_9110_section_14_1_2() {
    for (field, expected) in [
        ("bytes=0-499", parts(&[(0, 499)])),
        ("bytes=500-999", parts(&[(500, 999)])),
        ("bytes=-500", parts(&[(9500, 9999)])),
        ("bytes=9500-", parts(&[(9500, 9999)])),
        ("bytes=0-0,-1", parts(&[(0, 0), (9999, 9999)])),
        ("bytes= 0-999, 4500-5499, -1000", parts(&[(0, 999), (4500, 5499), (9000, 9999)])),
        ("bytes=500-600,601-999", parts(&[(500, 600), (601, 999)])),
        // These overlap, which we do not heed.
        ("bytes=500-700,601-999", Ranges::Whole),
    ] {
        assert_eq!(ranges(field, 10_000), expected, "{field}");
    }
}

#[test]
fn what_is_not_there_is_left_out_and_nothing_at_all_is_unsatisfiable() {
    for (field, expected) in [
        ("bytes=5-20", parts(&[(5, 9)])),
        ("bytes=-20", parts(&[(0, 9)])),
        ("bytes=9-", parts(&[(9, 9)])),
        ("bytes=10-", Ranges::Unsatisfiable),
        ("bytes=-0", Ranges::Unsatisfiable),
        ("bytes=10-20,30-", Ranges::Unsatisfiable),
        ("bytes=2-3,10-20", parts(&[(2, 3)])),
        ("bytes=99999999999999999999999-", Ranges::Unsatisfiable),
        ("bytes=1-99999999999999999999999", parts(&[(1, 9)])),
        ("bytes=-99999999999999999999999", parts(&[(0, 9)])),
        ("Bytes=1-2", parts(&[(1, 2)])),
        ("bytes=,1-2,,5-5 ,", parts(&[(1, 2), (5, 5)])),
    ] {
        assert_eq!(ranges(field, 10), expected, "{field}");
    }
}

#[test]
fn what_is_not_well_formed_is_not_heeded() {
    for field in [
        "",
        "bytes",
        "bytes=",
        "bytes=,",
        "bytes=-",
        "bytes=a-b",
        "bytes=1",
        "bytes=2-1",
        "bytes=1-2-3",
        "bytes=+1-2",
        "bytes=1 -2",
        "bytes=1-2,x",
        "bytes = 1-2",
        "lines=1-2",
        "bytes=0x1-2",
        "bytes=--1",
        "bytes=1-2;3-4",
        "bytes=\u{661}-\u{662}",
    ] {
        assert_eq!(ranges(field, 10), Ranges::Whole, "{field}");
    }
}

#[test]
fn nothing_is_unsatisfiable_of_an_empty_file() {
    for field in ["bytes=0-", "bytes=5-6", "bytes=-1", "bytes=-0"] {
        assert_eq!(ranges(field, 0), Ranges::Whole, "{field}");
    }
}

#[test]
fn more_than_sixteen_are_not_heeded() {
    let many = |count: u64| (0..count).map(|n| format!("{}-{}", n * 2, n * 2)).collect::<Vec<_>>().join(",");
    assert!(matches!(ranges(&format!("bytes={}", many(16)), 100), Ranges::Parts(parts) if parts.len() == 16));
    assert_eq!(ranges(&format!("bytes={}", many(17)), 100), Ranges::Whole);
    // Not even if they are not there: counting must not need to look at what each is.
    assert_eq!(ranges(&format!("bytes={}", ["500-"; 17].join(",")), 100), Ranges::Whole);
}

/// One range as a person would write it.
#[derive(Debug, Clone)]
enum Written {
    From(u64),
    Between(u64, u64),
    Last(u64),
}

fn written() -> impl Strategy<Value = Written> {
    prop_oneof![
        (0u64..30).prop_map(Written::From),
        (0u64..30, 0u64..30).prop_map(|(a, b)| Written::Between(a, b)),
        (0u64..30).prop_map(Written::Last),
    ]
}

/// By definition: the positions that a range asks for, of those that there are; `None` for one that is none.
fn positions(one: &Written, length: u64) -> Option<BTreeSet<u64>> {
    let wanted = |at: &u64| match *one {
        Written::From(first) => *at >= first,
        Written::Between(first, last) => *at >= first && *at <= last,
        Written::Last(count) => *at + count >= length,
    };
    let valid = !matches!(one, Written::Between(first, last) if first > last);
    valid.then(|| (0..length).filter(wanted).collect())
}

proptest! {
    #[test]
    fn ranges_are_what_their_definition_says(list in prop::collection::vec(written(), 1..5), length in 0u64..25) {
        let text = list.iter().map(|one| match one {
            Written::From(first) => format!("{first}-"),
            Written::Between(first, last) => format!("{first}-{last}"),
            Written::Last(count) => format!("-{count}"),
        });
        let field = format!("bytes={}", text.collect::<Vec<_>>().join(","));
        let sets: Option<Vec<_>> = list.iter().map(|one| positions(one, length)).collect();
        let expected = sets.filter(|_| length > 0).map(|sets| sets.into_iter().filter(|set| !set.is_empty()).collect());
        let expected: Option<Vec<BTreeSet<u64>>> = expected;
        match (ranges(&field, length), expected) {
            (Ranges::Whole, None) => {}
            (Ranges::Unsatisfiable, Some(sets)) => prop_assert!(sets.is_empty()),
            (Ranges::Parts(parts), Some(sets)) => {
                let ours: Vec<BTreeSet<u64>> = parts.iter().map(|part| (part.first..=part.last).collect()).collect();
                prop_assert_eq!(ours, sets);
            }
            (Ranges::Whole, Some(sets)) => {
                let all: usize = sets.iter().map(BTreeSet::len).sum();
                let once: BTreeSet<u64> = sets.into_iter().flatten().collect();
                prop_assert!(once.len() < all, "{} was not heeded", field);
            }
            (other, expected) => prop_assert!(false, "{} is {:?}, not {:?}", field, other, expected),
        }
    }

    #[test]
    fn whatever_is_asked_no_byte_is_sent_twice(field in "(bytes=)?[0-9, a-]{0,40}", length in any::<u64>()) {
        if let Ranges::Parts(parts) = ranges(&field, length) {
            prop_assert!(!parts.is_empty() && parts.len() <= MOST);
            prop_assert!(parts.iter().all(|part| part.first <= part.last && part.last < length));
            prop_assert!(parts.iter().map(|part| u128::from(part.length())).sum::<u128>() <= u128::from(length));
        }
    }
}
