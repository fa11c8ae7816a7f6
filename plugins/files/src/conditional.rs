//! Conditional requests (RFC 9110 section 13), in the order of section 13.2.2.

use std::time::{Duration, SystemTime};

use tidegate_core::fields::{Tag, tags};
use tidegate_core::{HeaderMap, HeaderName, header};

use crate::version::Validators;

/// What the conditions of a GET or HEAD say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// They hold, or there is none.
    Send,
    /// The client has it: 304.
    NotModified,
    /// 412.
    Failed,
}

pub(crate) fn verdict(headers: &HeaderMap, ours: &Validators) -> Verdict {
    let failed = match tagged(headers, &header::IF_MATCH, ours, Comparison::Strong) {
        Some(matches) => !matches,
        None => date(headers, &header::IF_UNMODIFIED_SINCE).zip(ours.modified).is_some_and(|(date, ours)| ours > date),
    };
    if failed {
        return Verdict::Failed;
    }
    let had = match tagged(headers, &header::IF_NONE_MATCH, ours, Comparison::Weak) {
        Some(matches) => matches,
        None => date(headers, &header::IF_MODIFIED_SINCE).zip(ours.modified).is_some_and(|(date, ours)| ours <= date),
    };
    if had { Verdict::NotModified } else { Verdict::Send }
}

/// Whether `Range` counts: what the client has a part of is what we have now (RFC 9110 section 13.1.5).
pub(crate) fn range_counts(headers: &HeaderMap, ours: &Validators, now: SystemTime) -> bool {
    let Some(field) = headers.get(header::IF_RANGE) else { return true };
    if field.as_bytes().starts_with(b"\"") || field.as_bytes().starts_with(b"W/") {
        return tags(field.as_bytes()).any(|tag| is(tag, ours, Comparison::Strong));
    }
    // A date is a strong validator only of what has not just changed (section 8.8.2.2).
    let (Some(date), Some(ours)) = (date(headers, &header::IF_RANGE), ours.modified) else { return false };
    date == ours && now.duration_since(ours).is_ok_and(|age| age >= Duration::from_secs(1))
}

/// A date that is sent twice, or is none, is not heeded.
fn date(headers: &HeaderMap, name: &HeaderName) -> Option<SystemTime> {
    let mut values = headers.get_all(name).into_iter();
    let (first, second) = (values.next()?, values.next());
    second.is_none().then(|| httpdate::parse_http_date(first.to_str().ok()?).ok()).flatten()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Strong,
    Weak,
}

/// Whether one of the tags is ours; `None` where the field isn't there.
fn tagged(headers: &HeaderMap, name: &HeaderName, ours: &Validators, how: Comparison) -> Option<bool> {
    let mut lines = headers.get_all(name).into_iter().peekable();
    lines.peek()?;
    let fits = |line: &[u8]| line.trim_ascii() == b"*" || tags(line).any(|tag| is(tag, ours, how));
    Some(lines.any(|line| fits(line.as_bytes())))
}

/// Ours is strong, so two that are equal are strongly so unless theirs is weak (RFC 9110 section 8.8.3.2).
fn is(theirs: Tag<'_>, ours: &Validators, how: Comparison) -> bool {
    theirs.opaque() == ours.etag.as_bytes() && (how == Comparison::Weak || !theirs.is_weak())
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use tidegate_core::HeaderValue;

    use super::*;

    const OLD: &str = "Thu, 01 Jan 1970 00:00:50 GMT";
    const SAME: &str = "Thu, 01 Jan 1970 00:01:40 GMT";
    const NEW: &str = "Thu, 01 Jan 1970 00:02:00 GMT";

    fn ours() -> Validators {
        Validators { etag: HeaderValue::from_static("\"a,b\""), modified: Some(UNIX_EPOCH + Duration::from_secs(100)) }
    }

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        let field =
            |(name, value): &(&'static str, &str)| (HeaderName::from_static(name), value.parse().expect("a value"));
        let mut map = HeaderMap::new();
        fields.iter().map(field).for_each(|(name, value)| {
            map.append(name, value);
        });
        map
    }

    #[test]
    fn conditions_are_looked_at_in_the_order_of_rfc_9110_section_13_2_2() {
        use Verdict::{Failed, NotModified, Send};
        let (good, bad, weak) = ("\"a,b\"", "\"x\"", "W/\"a,b\"");
        for (fields, expected) in [
            (&[][..], Send),
            (&[("if-match", good)], Send),
            (&[("if-match", "*")], Send),
            (&[("if-match", "\"x\", \"a,b\"")], Send),
            (&[("if-match", bad)], Failed),
            (&[("if-match", weak)], Failed),
            (&[("if-match", "nonsense")], Failed),
            (&[("if-match", bad), ("if-match", good)], Send),
            (&[("if-unmodified-since", SAME)], Send),
            (&[("if-unmodified-since", OLD)], Failed),
            (&[("if-unmodified-since", "yesterday")], Send),
            (&[("if-match", good), ("if-unmodified-since", OLD)], Send),
            (&[("if-none-match", good)], NotModified),
            (&[("if-none-match", weak)], NotModified),
            (&[("if-none-match", "*")], NotModified),
            (&[("if-none-match", bad)], Send),
            (&[("if-none-match", " , \"x\" ,,W/\"y\",\"a,b\"")], NotModified),
            (&[("if-none-match", "\"a\",b\"")], Send),
            (&[("if-none-match", "a,b")], Send),
            (&[("if-modified-since", SAME)], NotModified),
            (&[("if-modified-since", NEW)], NotModified),
            (&[("if-modified-since", OLD)], Send),
            (&[("if-modified-since", "yesterday")], Send),
            (&[("if-modified-since", SAME), ("if-modified-since", SAME)], Send),
            (&[("if-none-match", bad), ("if-modified-since", SAME)], Send),
            (&[("if-none-match", good), ("if-modified-since", OLD)], NotModified),
            (&[("if-match", bad), ("if-none-match", good)], Failed),
            (&[("if-match", good), ("if-none-match", good)], NotModified),
            (&[("if-unmodified-since", OLD), ("if-modified-since", SAME)], Failed),
        ] {
            assert_eq!(verdict(&headers(fields), &ours()), expected, "{fields:?}");
        }
    }

    #[test]
    fn a_range_counts_only_of_the_very_same() {
        let now = UNIX_EPOCH + Duration::from_secs(1_000);
        for (field, expected) in [
            ("\"a,b\"", true),
            ("W/\"a,b\"", false),
            ("\"x\"", false),
            (SAME, true),
            (OLD, false),
            (NEW, false),
            ("yesterday", false),
        ] {
            assert_eq!(range_counts(&headers(&[("if-range", field)]), &ours(), now), expected, "{field}");
        }
        assert!(range_counts(&HeaderMap::new(), &ours(), now));
        let just_now = UNIX_EPOCH + Duration::from_millis(100_900);
        assert!(!range_counts(&headers(&[("if-range", SAME)]), &ours(), just_now));
    }
}
