//! `Accept-Encoding`: there are few ways to mean something by it, and many to write it.

use smallvec::SmallVec;
use tidegate_core::fields::{AcceptEncoding, Coding};

/// Whether answers in this coding can be told apart by [`normal`].
pub(crate) fn is_known(coding: &[u8]) -> bool {
    let coding = coding.trim_ascii();
    Coding::from_token(coding).is_some() || coding.eq_ignore_ascii_case(b"identity")
}

/// The known codings that a client takes, the dearest first and those of one weight by their names, and whether it refuses
/// what is in none. `gzip, br`, `br,gzip` and `br;q=1.0, gzip;q=1` are the same; so are all that it takes none of.
///
/// What is malformed anywhere, or names a coding twice, is left as it is: what an upstream makes of it is not for us to say.
pub(crate) fn normal(value: &[u8]) -> Vec<u8> {
    let accepted = AcceptEncoding::parse(value).filter(|accepted| !accepted.repeats());
    accepted.map_or_else(|| [b"?", value].concat(), |accepted| written(&accepted))
}

fn written(accepted: &AcceptEncoding) -> Vec<u8> {
    let codings = Coding::ALL.map(|coding| (coding.token(), accepted.weight(coding)));
    let taken = codings.into_iter().chain(accepted.identity().map(|weight| ("identity", weight)));
    let mut taken: SmallVec<[(&str, u16); 5]> = taken.filter(|(_, weight)| *weight > 0).collect();
    taken.sort_by_key(|(_, weight)| std::cmp::Reverse(*weight));
    let mut text = Vec::with_capacity(32);
    let mut last = None;
    // As it is, it is always taken: that alone says nothing.
    let says_something = taken.iter().any(|(name, _)| *name != "identity");
    for (name, weight) in taken.iter().filter(|_| says_something) {
        if let Some(last) = last {
            text.push(if last == weight { b',' } else { b'>' });
        }
        text.extend_from_slice(name.as_bytes());
        last = Some(weight);
    }
    if accepted.refuses_identity() {
        text.extend_from_slice(b"!");
    }
    text
}
