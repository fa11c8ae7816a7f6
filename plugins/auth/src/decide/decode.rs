//! One reading of a path, however it is spelled.

use std::borrow::Cow;

use tidegate_core::Asked;

/// What `{name}` captured, decoded. `None` where nothing was, and where what was has two readings: then nobody may.
///
/// A `;` is such a thing: some upstreams (Tomcat, Jetty) leave out what follows it.
pub(super) fn param<'a>(asked: &Asked<'a>, name: &str) -> Option<Cow<'a, str>> {
    let encoded = asked.param(name)?;
    decode(encoded).filter(|_| !encoded.contains(';'))
}

/// The text that `encoded` stands for. `None` where there is none that could be compared with another: a broken
/// escape, no UTF-8, a NUL or another control character.
fn decode(encoded: &str) -> Option<Cow<'_, str>> {
    decode_but(encoded, |_| false)
}

/// The same, with the bytes that `keeps` wants left encoded.
fn decode_but(encoded: &str, keeps: fn(u8) -> bool) -> Option<Cow<'_, str>> {
    if !encoded.contains('%') {
        return is_clean(encoded).then_some(Cow::Borrowed(encoded));
    }
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let [high, low, after @ ..] = rest else { return None };
        rest = after;
        let value = hex(*high)? << 4 | hex(*low)?;
        match keeps(value) {
            true => bytes.extend([b'%', high.to_ascii_uppercase(), low.to_ascii_uppercase()]),
            false => bytes.push(value),
        }
    }
    String::from_utf8(bytes).ok().filter(|text| is_clean(text)).map(Cow::Owned)
}

fn is_clean(text: &str) -> bool {
    !text.bytes().any(|byte| byte < 0x20 || byte == 0x7f)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// A path, as statements and policies see it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place<'a> {
    /// Percent-decoded, but for `%2F`, `%5C` and `%25`: two paths that differ for an upstream differ here.
    pub(super) exact: Cow<'a, str>,
    /// As the most lenient upstream reads it, where that is another path: every slash decoded, what follows a `;`, empty
    /// segments and a slash at the end left out. What denies looks at both, so that no spelling passes it by.
    pub(super) lenient: Option<String>,
}

impl<'a> Place<'a> {
    /// `None` where the path can't be read: then nobody may.
    pub(super) fn of(path: &'a str) -> Option<Self> {
        let exact = decode_but(path, |byte| matches!(byte, b'/' | b'\\' | b'%'))?;
        let lenient = match has_readings(path) {
            true => Some(read_leniently(&decode(path)?)).filter(|lenient| **lenient != exact),
            false => None,
        };
        Some(Self { exact, lenient })
    }

    /// Both readings.
    pub(super) fn readings(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&*self.exact).chain(self.lenient.as_deref())
    }
}

fn has_readings(path: &str) -> bool {
    path.contains(['%', ';', '\\']) || path.contains("//") || (path.len() > 1 && path.ends_with('/'))
}

fn read_leniently(decoded: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    for segment in decoded.split(['/', '\\']) {
        match segment.split(';').next().unwrap_or_default() {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            name => segments.push(name),
        }
    }
    let mut path = String::with_capacity(decoded.len() + 1);
    for segment in &segments {
        path.push('/');
        path.push_str(segment);
    }
    path.push_str(if segments.is_empty() { "/" } else { "" });
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_not_be_compared_is_no_text() {
        for bad in ["a%", "a%2", "%zz", "%ff", "%c0%af", "a%00", "%0a", "a\u{7f}", "%1b"] {
            assert_eq!(decode(bad), None, "{bad}");
        }
        assert_eq!(decode("jos%C3%A9%2f%25").as_deref(), Some("josé/%"));
        assert!(matches!(decode("plain"), Some(Cow::Borrowed("plain"))));
    }

    #[test]
    fn paths_that_differ_for_an_upstream_differ() {
        let exact = |path| Place::of(path).map(|place| place.exact.into_owned());
        assert_eq!(exact("/jos%C3%A9").as_deref(), Some("/josé"));
        assert_eq!(exact("/a%2fb").as_deref(), Some("/a%2Fb"));
        assert_eq!(exact("/a%252Fb").as_deref(), Some("/a%252Fb"));
        assert_eq!(exact("/a%00").as_deref(), None);
    }

    #[test]
    fn the_lenient_reading_is_there_where_it_is_another() {
        let lenient = |path| Place::of(path).and_then(|place| place.lenient);
        for same in ["/", "/a/b", "/a-b_c~d", "*", "/jos%C3%A9"] {
            assert_eq!(lenient(same), None, "{same}");
        }
        for other in ["/a%2Fb", "/a%5Cb", "/a\\b", "/a//b", "/a/b/", "/a;x=1/b;y", "/a/c%2F../b", "/a%2F.%2Fb"] {
            assert_eq!(lenient(other).as_deref(), Some("/a/b"), "{other}");
        }
        assert_eq!(lenient("//").as_deref(), Some("/"));
    }
}
