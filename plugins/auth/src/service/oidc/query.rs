//! What a URL's query says.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// A parameter that stands there twice (RFC 6749 section 3.1), or is no text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unreadable;

/// What a `+` in a query is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plus {
    /// A plus, as in paths.
    Itself,
    /// A space, as in forms.
    Space,
}

/// The parameter of this name, decoded; `None` where there is none.
pub(super) fn parameter<'a>(
    query: Option<&'a str>,
    name: &str,
    plus: Plus,
) -> Result<Option<Cow<'a, str>>, Unreadable> {
    let pairs = query.unwrap_or_default().split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let mut named = pairs.filter(|(key, _)| *key == name).map(|(_, value)| value);
    match (named.next(), named.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => decoded(value, plus).map(Some),
        (Some(_), Some(_)) => Err(Unreadable),
    }
}

fn decoded(value: &str, plus: Plus) -> Result<Cow<'_, str>, Unreadable> {
    if plus == Plus::Space && value.contains('+') {
        let spaced = value.replace('+', " ");
        return percent_decode_str(&spaced)
            .decode_utf8()
            .map(|text| Cow::Owned(text.into_owned()))
            .map_err(|_| Unreadable);
    }
    percent_decode_str(value).decode_utf8().map_err(|_| Unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_stands_there_once() {
        let query = Some("a=1&b=x%2By+z%20&c&d=%ff&e=1&e=1&%66=2");
        let of = |name, plus| parameter(query, name, plus).map(|found| found.map(Cow::into_owned));
        assert_eq!(of("a", Plus::Itself), Ok(Some("1".to_owned())));
        assert_eq!(of("b", Plus::Itself), Ok(Some("x+y+z ".to_owned())));
        assert_eq!(of("b", Plus::Space), Ok(Some("x+y z ".to_owned())));
        assert_eq!(of("c", Plus::Space), Ok(Some(String::new())));
        assert_eq!([of("d", Plus::Space), of("e", Plus::Space)], [Err(Unreadable), Err(Unreadable)]);
        assert_eq!(of("f", Plus::Space), Ok(None), "names are as they are written");
        assert_eq!(parameter(None, "a", Plus::Itself), Ok(None));
    }
}
