//! Whatever is asked for, in whatever order: the bytes are those of the object.

use http::Method;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tidegate_core::Bytes;
use tidegate_testkit::Http;

use super::origin::{bytes, object};
use super::{SLICE, stage_of};

/// A request for a part, by places in millionths of a bit more than the object.
#[derive(Debug, Clone, Copy)]
enum Part {
    All,
    From(u32),
    Between(u32, u32),
    Last(u32),
}

impl Part {
    fn place(place: u32, length: usize) -> usize {
        (place as usize * (length + 10)) / 1_000_000
    }

    fn header(self, length: usize) -> Option<String> {
        match self {
            Self::All => None,
            Self::From(first) => Some(format!("bytes={}-", Self::place(first, length))),
            Self::Between(first, last) => {
                let (first, last) = (Self::place(first.min(last), length), Self::place(first.max(last), length));
                Some(format!("bytes={first}-{last}"))
            }
            Self::Last(count) => Some(format!("bytes=-{}", Self::place(count, length))),
        }
    }

    /// What of the body is right; `None`: nothing is.
    fn of(self, body: &Bytes) -> Option<(u16, Bytes)> {
        let length = body.len();
        let (first, end) = match self {
            Self::All => return Some((200, body.clone())),
            Self::From(first) => (Self::place(first, length), length),
            Self::Between(first, last) => {
                (Self::place(first.min(last), length), (Self::place(first.max(last), length) + 1).min(length))
            }
            Self::Last(count) => (length.saturating_sub(Self::place(count, length)), length),
        };
        (first < end).then(|| (206, body.slice(first..end)))
    }
}

fn part() -> impl Strategy<Value = Part> {
    let place = 0..1_000_000_u32;
    prop_oneof![
        Just(Part::All),
        place.clone().prop_map(Part::From),
        (place.clone(), place.clone()).prop_map(|(first, last)| Part::Between(first, last)),
        place.prop_map(Part::Last),
    ]
}

fn length() -> impl Strategy<Value = usize> {
    // Around the borders of slices, and anywhere.
    prop_oneof![(1..5_usize, 0..3_usize).prop_map(|(slices, more)| slices * SLICE + more - 1), 1..400_000_usize]
}

#[test]
fn parts_of_slices_are_parts_of_the_object() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let cases = (length(), prop::collection::vec((part(), any::<bool>()), 1..8));
    let mut runner = TestRunner::new(Config { cases: 24, failure_persistence: None, ..Config::default() });
    let run = runner.run(&cases, |(length, parts)| {
        runtime.block_on(async {
            let body = bytes(length, 3);
            let stage = stage_of("", object(body.clone(), "\"one\"")).await;
            for (part, h2) in parts {
                let http = if h2 { Http::Two } else { Http::One };
                let request = stage.gateway.request(Method::GET, "/a").by(http);
                let range = part.header(length);
                let request = range.iter().fold(request, |request, range| request.header("range", range));
                let answer = request.send().await;
                match part.of(&body) {
                    None => prop_assert_eq!(answer.status, 416, "{:?}", range),
                    Some((status, expected)) => {
                        prop_assert_eq!(answer.status, status, "{:?}", range);
                        prop_assert!(answer.body == expected, "{:?} of {}", range, length);
                    }
                }
            }
            let mut asked = stage.origin.ranges();
            let count = asked.len();
            asked.sort_unstable();
            asked.dedup();
            // What lies beyond the end is never stored.
            let beyond = |range: &&String| !range.starts_with(&format!("bytes={}-", length.div_ceil(SLICE) * SLICE));
            prop_assert!(asked.iter().filter(beyond).count() + 8 >= count, "{} of {}", asked.len(), count);
            Ok(())
        })
    });
    run.unwrap_or_else(|error| panic!("{error}"));
}
