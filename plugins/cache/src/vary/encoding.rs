//! `Accept-Encoding`: there are few ways to mean something by it, and many to write it.

use smallvec::SmallVec;
use tidegate_core::fields;

/// The codings that tell variants apart. An answer in any other coding is not stored where `Accept-Encoding` chose it.
const KNOWN: [&str; 4] = ["br", "deflate", "gzip", "zstd"];

/// Whether answers in this coding can be told apart by [`normal`].
pub(crate) fn is_known(coding: &[u8]) -> bool {
    let coding = coding.trim_ascii();
    let known = |name: &str| coding.eq_ignore_ascii_case(name.as_bytes());
    KNOWN.iter().any(|name| known(name)) || known("identity") || known("x-gzip")
}

/// The known codings that a client takes, the dearest first and those of one weight by their names, and whether it refuses
/// what is in none. `gzip, br`, `br,gzip` and `br;q=1.0, gzip;q=1` are the same; so are all that it takes none of.
///
/// What is malformed anywhere, or names a coding twice, is left as it is: what an upstream makes of it is not for us to say.
pub(crate) fn normal(value: &[u8]) -> Vec<u8> {
    accepted(value).unwrap_or_else(|| [b"?", value].concat())
}

fn accepted(value: &[u8]) -> Option<Vec<u8>> {
    let mut weights: [Option<u16>; KNOWN.len()] = [None; KNOWN.len()];
    let (mut identity, mut others) = (None, None);
    for member in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|member| !member.is_empty()) {
        let mut parts = member.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
        let name = parts.next().filter(|name| !name.is_empty())?;
        let weight = parts.next().map_or(Some(1000), weight_of)?;
        let name = if name.eq_ignore_ascii_case(b"x-gzip") { b"gzip" } else { name };
        let slot = match place(name) {
            Some(place) => weights.get_mut(place)?,
            None if name == b"*" => &mut others,
            None if name.eq_ignore_ascii_case(b"identity") => &mut identity,
            None => continue,
        };
        if parts.next().is_some() || slot.replace(weight).is_some() {
            return None;
        }
    }
    let taken = KNOWN.iter().zip(weights).map(|(name, weight)| (*name, weight.or(others).unwrap_or(0)));
    let taken = taken.chain(identity.map(|weight| ("identity", weight)));
    let mut taken: SmallVec<[(&str, u16); 5]> = taken.filter(|(_, weight)| *weight > 0).collect();
    taken.sort_by_key(|(_, weight)| std::cmp::Reverse(*weight));
    Some(written(&taken, identity.or(others) == Some(0)))
}

fn written(taken: &[(&str, u16)], never_plain: bool) -> Vec<u8> {
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
    if never_plain {
        text.extend_from_slice(b"!");
    }
    text
}

fn place(name: &[u8]) -> Option<usize> {
    KNOWN.iter().position(|known| name.eq_ignore_ascii_case(known.as_bytes()))
}

/// `q=0.5` in thousandths (RFC 9110 section 12.4.2).
fn weight_of(parameter: &[u8]) -> Option<u16> {
    let value = parameter.strip_prefix(b"q=").or_else(|| parameter.strip_prefix(b"Q="))?;
    fields::weight(value)
}
