//! What a client takes, as two plugins read it.

use std::collections::HashMap;

use tidegate_cache::fuzz::variant;
use tidegate_compress::accept::AcceptEncoding;
use tidegate_compress::algorithm::Algorithm;
use tidegate_core::HeaderValue;

const CODINGS: [&str; 11] = ["gzip", "x-gzip", "BR", "zstd", "deflate", "identity", "*", "b r", "x", "\"br\"", ""];

const WEIGHTS: [&str; 11] =
    ["", ";q=1", "; Q=1.000", ";q=0", ";q=0.5", ";q=0.50", ";q=2", ";;q=1", ";", ";q=1;q=1", ";level=9"];

/// Lists of up to two that are right, nearly right, and not at all: all there are of these.
fn lists() -> impl Iterator<Item = String> {
    let each = || CODINGS.iter().flat_map(|coding| WEIGHTS.iter().map(move |weight| format!("{coding}{weight}")));
    let two = each().flat_map(move |one| each().map(move |other| format!("{one}, {other}")));
    each().chain(two)
}

fn choices(value: &str) -> Vec<Option<Algorithm>> {
    let accepted = AcceptEncoding::parse(value.as_bytes());
    let offers = [&Algorithm::ALL[..], &[Algorithm::Gzip, Algorithm::Br], &[Algorithm::Gzip], &[Algorithm::Br]];
    offers.iter().map(|offered| accepted.choose(offered)).collect()
}

/// Whoever gets another one's stored answer would have got it in the same coding.
#[test]
fn what_the_cache_takes_for_one_variant_is_compressed_in_one_way() {
    let (mut known, mut count) = (HashMap::new(), 0);
    for value in lists() {
        let of = variant(&HeaderValue::from_str(&value).expect("a value"));
        let chosen = choices(&value);
        let (first, before) = known.entry(of).or_insert_with(|| (value.clone(), chosen.clone()));
        assert_eq!(*before, chosen, "{first:?} and {value:?}");
        count += 1;
    }
    assert!(known.len() < count * 3 / 4, "{} variants of {count} lists: what means the same is shared", known.len());
}
