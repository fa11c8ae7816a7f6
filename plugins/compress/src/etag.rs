//! Entity tags (RFC 9110 section 8.8.3). Two codings of one content never have the same bytes, so they may not share a
//! strong tag; the weak form of it they may share.

use tidegate_core::HeaderValue;
use tidegate_core::fields::tags;

/// What becomes of a tag when the content is coded.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Weakened {
    /// It is weak.
    Already,
    /// This one takes its place.
    To(HeaderValue),
    /// It is no tag, and has no weak form.
    Nonsense,
}

/// The weak form of a tag.
pub(crate) fn weaken(tag: &HeaderValue) -> Weakened {
    let bytes = tag.as_bytes();
    match bytes {
        [b'W', b'/', b'"', ..] => Weakened::Already,
        [b'"', .., b'"'] if bytes.len() > 1 => match HeaderValue::from_bytes(&[b"W/", bytes].concat()) {
            Ok(weak) => Weakened::To(weak),
            Err(_) => Weakened::Nonsense,
        },
        _ => Weakened::Nonsense,
    }
}

/// Whether a list of tags (`If-None-Match`) has this one in its strong form.
pub(crate) fn lists_strong<'a>(list: impl IntoIterator<Item = &'a HeaderValue>, tag: &HeaderValue) -> bool {
    list.into_iter().any(|line| tags(line.as_bytes()).any(|listed| listed.0 == tag.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &'static str) -> HeaderValue {
        HeaderValue::from_static(text)
    }

    #[test]
    fn a_strong_tag_becomes_weak_and_a_weak_one_stays() {
        assert_eq!(weaken(&value("\"abc\"")), Weakened::To(value("W/\"abc\"")));
        assert_eq!(weaken(&value("\"\"")), Weakened::To(value("W/\"\"")));
        assert_eq!(weaken(&value("W/\"abc\"")), Weakened::Already);
        for nonsense in ["abc", "\"", "\"abc", "w/\"abc\"", ""] {
            assert_eq!(weaken(&value(nonsense)), Weakened::Nonsense, "{nonsense}");
        }
    }

    #[test]
    fn a_list_is_searched_for_the_strong_form_alone() {
        let lists = |list: &'static str| lists_strong([&value(list)], &value("\"a,b\""));
        assert!(lists("\"a,b\"") && lists("\"x\", W/\"a,b\" ,\"a,b\"") && lists("\"x\"\"a,b\""));
        assert!(!lists("W/\"a,b\"") && !lists("\"a\", \"b\"") && !lists("*") && !lists("") && !lists("x \"a,b\""));
        assert!(!lists("\"a,b") && !lists("W/") && !lists("W/\"x\""));
    }
}
