//! Conditions on a named value of a request: a header field, a query parameter, a cookie.

use std::borrow::Cow;
use std::fmt;

use http::HeaderName;
use http::header::HOST;
use percent_encoding::percent_decode_str;
use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_core::{ConfigError, RequestHead};

use crate::pattern::Pattern;
use crate::text::OneOrMany;

/// A condition on a named value. With neither `value`, `regex` nor `is`, the value must be there.
///
/// ```yaml
/// headers: [{ name: X-Beta, value: ["yes", "on"] }, { name: X-Debug, is: absent }]
/// ```
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FieldMatch {
    /// The name of the header field (in any case), query parameter or cookie (exactly so).
    pub name: String,
    /// The value, or one of these. Compared exactly; of several fields of that name one must have it.
    #[serde(default)]
    pub value: OneOrMany<String>,
    /// An expression that the whole value matches.
    pub regex: Option<Pattern>,
    /// Whether there is a value at all.
    pub is: Option<Presence>,
}

/// Whether something is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    /// It is there, whatever its value.
    Present,
    /// It isn't there.
    Absent,
}

/// Where a named value is found.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Field {
    Header(FieldName),
    Query(Box<str>),
    Cookie(Box<str>),
}

/// A header's name, which `http` gives no order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct FieldName(HeaderName);

impl PartialOrd for FieldName {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for FieldName {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.as_str().cmp(other.0.as_str())
    }
}

/// A condition on a named value, ready to be tested.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct FieldTest {
    pub(crate) field: Field,
    test: Test,
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum Test {
    OneOf(Vec<Box<str>>),
    Matches(Pattern),
    Present,
    Absent,
}

impl Field {
    /// A header field; the error's path is that of the name's map.
    pub(crate) fn header(name: &str) -> Result<Self, ConfigError> {
        let name: HeaderName =
            name.parse().map_err(|_| ConfigError::at("name", format!("`{name}` is not the name of a header field")))?;
        match name == HOST {
            // HTTP/2 has no such field.
            true => Err(ConfigError::at("name", "the host is matched by `host`, not as a header field")),
            false => Ok(Self::Header(FieldName(name))),
        }
    }

    /// Whether any of the request's values of that name passes.
    fn any(&self, head: &RequestHead<'_>, mut passes: impl FnMut(&[u8]) -> bool) -> bool {
        match self {
            Field::Header(name) => head.headers.get_all(&name.0).iter().any(|value| passes(value.as_bytes())),
            Field::Cookie(name) => head.cookie(name).is_some_and(|value| passes(value.as_bytes())),
            Field::Query(name) => query_values(head, name).any(|value| passes(&value)),
        }
    }

    /// The request's first value of that name.
    pub(crate) fn first<'h>(&self, head: &RequestHead<'h>) -> Option<Cow<'h, [u8]>> {
        match self {
            Field::Header(name) => head.headers.get(&name.0).map(|value| value.as_bytes().into()),
            Field::Cookie(name) => head.cookie(name).map(|value| value.as_bytes().into()),
            Field::Query(name) => query_values(head, name).next(),
        }
    }
}

/// The decoded values of a query parameter.
fn query_values<'h>(head: &RequestHead<'h>, name: &str) -> impl Iterator<Item = Cow<'h, [u8]>> {
    let pairs = head.query.unwrap_or_default().split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs
        .filter(move |(key, _)| percent_decode_str(key).eq(name.bytes()))
        .map(|(_, value)| percent_decode_str(value).into())
}

impl FieldTest {
    pub(crate) fn new(field: Field, config: &FieldMatch) -> Result<Self, ConfigError> {
        let mut values: Vec<Box<str>> = config.value.iter().map(|value| value.as_str().into()).collect();
        values.sort_unstable();
        values.dedup();
        let test = match (values.is_empty(), &config.regex, config.is) {
            (false, None, None) => Test::OneOf(values),
            (true, Some(regex), None) => Test::Matches(regex.clone()),
            (true, None, None | Some(Presence::Present)) => Test::Present,
            (true, None, Some(Presence::Absent)) => Test::Absent,
            _ => return Err(ConfigError::at("", "a condition has only one of `value`, `regex` and `is`")),
        };
        Ok(Self { field, test })
    }

    pub(crate) fn passes(&self, head: &RequestHead<'_>) -> bool {
        match &self.test {
            Test::OneOf(values) => self.field.any(head, |value| values.iter().any(|wanted| wanted.as_bytes() == value)),
            Test::Matches(pattern) => self.field.any(head, |value| pattern.is_match(value)),
            Test::Present => self.field.any(head, |_| true),
            Test::Absent => !self.field.any(head, |_| true),
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Field::Header(name) => write!(f, "header {}", name.0),
            Field::Query(name) => write!(f, "query {name}"),
            Field::Cookie(name) => write!(f, "cookie {name}"),
        }
    }
}

/// `header x-beta=…`: a value may be a secret, so none is shown.
impl fmt::Display for FieldTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.test {
            Test::OneOf(_) => write!(f, "{}=…", self.field),
            Test::Matches(_) => write!(f, "{}~…", self.field),
            Test::Present => write!(f, "{}", self.field),
            Test::Absent => write!(f, "no {}", self.field),
        }
    }
}

impl fmt::Debug for FieldTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for FieldMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FieldMatch").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use http::{HeaderMap, Method};
    use tidegate_core::Scheme;

    use super::*;

    fn test(field: Field, value: &[&str], regex: Option<&str>, is: Option<Presence>) -> Result<FieldTest, ConfigError> {
        let value = value.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>().into();
        let regex = regex.map(|text| text.parse().expect("valid"));
        FieldTest::new(field, &FieldMatch { name: String::new(), value, regex, is })
    }

    fn passes(test: &FieldTest, headers: &HeaderMap, query: Option<&str>) -> bool {
        test.passes(&RequestHead {
            method: &Method::GET,
            authority: "a.test",
            path: "/",
            query,
            headers,
            client: IpAddr::from([127, 0, 0, 1]),
            scheme: Scheme::Http,
            listener: "main",
        })
    }

    #[test]
    fn header_fields_are_compared_exactly_and_any_of_several_will_do() {
        let mut headers = HeaderMap::new();
        headers.append("x-env", "beta".parse().expect("valid"));
        headers.append("x-env", "gamma".parse().expect("valid"));
        let field = || Field::header("X-Env").expect("valid");
        for (value, regex, is, expected) in [
            (&["gamma"][..], None, None, true),
            (&["alpha", "beta"], None, None, true),
            (&["Beta"], None, None, false),
            (&["bet"], None, None, false),
            (&[], Some("g.*"), None, true),
            (&[], Some("amma"), None, false),
            (&[], None, None, true),
            (&[], None, Some(Presence::Present), true),
            (&[], None, Some(Presence::Absent), false),
        ] {
            assert_eq!(passes(&test(field(), value, regex, is).expect("valid"), &headers, None), expected);
        }
        let absent = test(Field::header("x-other").expect("valid"), &[], None, Some(Presence::Absent));
        assert!(passes(&absent.expect("valid"), &headers, None));
    }

    #[test]
    fn query_parameters_are_compared_decoded() {
        let none = HeaderMap::new();
        let field = || Field::Query("a b".into());
        let wants = |value| test(field(), &[value], None, None).expect("valid");
        assert!(passes(&wants("ü"), &none, Some("x=1&a%20b=%C3%BC")));
        assert!(passes(&wants("2"), &none, Some("a%20b=1&a%20b=2")));
        assert!(passes(&wants(""), &none, Some("a%20b")));
        assert!(!passes(&wants("1"), &none, Some("a%20bc=1")));
        assert!(!passes(&wants(""), &none, None));
    }

    #[test]
    fn a_condition_says_one_thing() {
        let field = || Field::Cookie("c".into());
        assert!(test(field(), &["a"], Some("b"), None).is_err());
        assert!(test(field(), &["a"], None, Some(Presence::Absent)).is_err());
        assert!(Field::header("a b").is_err() && Field::header("Host").is_err());
    }

    #[test]
    fn no_value_is_ever_shown() {
        let secret = test(Field::header("x-key").expect("valid"), &["hunter2"], None, None).expect("valid");
        assert_eq!((secret.to_string(), format!("{secret:?}")), ("header x-key=…".into(), "header x-key=…".into()));
    }
}
