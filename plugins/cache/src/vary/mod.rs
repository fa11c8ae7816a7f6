//! Which of several answers to one URL a request wants (RFC 9111 section 4.1).

mod encoding;

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use smallvec::SmallVec;
use tidegate_core::{HeaderMap, HeaderName, HeaderValue, header};

pub(crate) use self::encoding::is_known as is_known_coding;

/// The fields that an answer varies by, each once and in order.
pub(crate) type Fields = SmallVec<[HeaderName; 4]>;

/// More than this is no list that somebody made by hand.
const MOST: usize = 32;

/// The fields that an answer's `Vary` names; `None` where no request can be sure to get the same: `*`, or what can't be
/// read.
pub(crate) fn fields(answer: &HeaderMap) -> Option<Fields> {
    let mut fields = Fields::new();
    for line in answer.get_all(header::VARY) {
        for name in line.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|name| !name.is_empty())
        {
            if name == b"*" || fields.len() == MOST {
                return None;
            }
            fields.push(HeaderName::from_bytes(name).ok()?);
        }
    }
    fields.sort_unstable_by(|a, b| a.as_str().cmp(b.as_str()));
    fields.dedup();
    Some(fields)
}

/// What tells the request's variant from others: the text to be hashed. `None` for an answer that doesn't vary.
///
/// The names are in it: an answer that varies by other fields is never taken for this one.
pub(crate) fn variant(answer: &HeaderMap, request: &HeaderMap) -> Option<Vec<u8>> {
    if !answer.contains_key(header::VARY) {
        return None;
    }
    let mut text = Vec::with_capacity(128);
    // What can't be read is never stored; if it were, no two requests would share it.
    let fields = fields(answer)?;
    if fields.is_empty() {
        return None;
    }
    for name in &fields {
        push(&mut text, name.as_str().as_bytes());
        match normal(request, name) {
            Some(value) => {
                text.push(1);
                push(&mut text, &value);
            }
            None => text.push(0),
        }
    }
    Some(text)
}

fn push(text: &mut Vec<u8>, part: &[u8]) {
    text.extend_from_slice(&(part.len() as u64).to_be_bytes());
    text.extend_from_slice(part);
}

/// Whether two requests say the same in this field.
pub(crate) fn same(name: &HeaderName, one: &HeaderMap, other: &HeaderMap) -> bool {
    normal(one, name) == normal(other, name)
}

/// The value of a request's field, in a form that is the same for what means the same.
fn normal<'a>(request: &'a HeaderMap, name: &HeaderName) -> Option<Cow<'a, [u8]>> {
    let value = joined(request, name)?;
    Some(match *name {
        header::ACCEPT_ENCODING => Cow::Owned(encoding::normal(&value)),
        // Languages ignore case, and blanks between them mean nothing.
        header::ACCEPT_LANGUAGE => Cow::Owned(squeezed(&value)),
        _ => value,
    })
}

fn squeezed(value: &[u8]) -> Vec<u8> {
    value.iter().filter(|byte| !matches!(byte, b' ' | b'\t')).map(u8::to_ascii_lowercase).collect()
}

/// All lines of a field as one (RFC 9110 section 5.3); cookies as RFC 9113 section 8.2.3 has it.
pub(crate) fn joined<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<Cow<'a, [u8]>> {
    let mut lines = headers.get_all(name).iter().map(HeaderValue::as_bytes).map(<[u8]>::trim_ascii);
    let first = lines.next()?;
    let Some(second) = lines.next() else { return Some(Cow::Borrowed(first)) };
    let between: &[u8] = if *name == header::COOKIE { b"; " } else { b", " };
    let mut whole = first.to_vec();
    for line in std::iter::once(second).chain(lines) {
        whole.extend_from_slice(between);
        whole.extend_from_slice(line);
    }
    Some(Cow::Owned(whole))
}
