//! Paths as a route names them: `/v1/users/{id}`, `/files/**`.

use std::fmt;
use std::str::FromStr;

use smallvec::SmallVec;

use crate::escape::{Byte, Bytes};
use crate::normalise::{EscapedSlashes, PathParameters, PathRules, RepeatedSlashes};
use crate::text::text_type;

/// The most segments of a pattern; also bounds how deep a look-up goes.
const MOST_SEGMENTS: usize = 64;
/// The longest fixed segment of a pattern, decoded; longer ones in a request can't be it.
pub(crate) const LONGEST_SEGMENT: usize = 255;

/// Which paths a route serves.
///
/// Segments are fixed texts, `{name}` or `*` (exactly one segment, not empty), and at the end `**` or `{name**}`
/// (the rest, which may be empty): `/v1/**` serves `/v1`, `/v1/` and `/v1/users`, but not `/v1x`.
#[derive(Debug, Clone)]
pub struct PathPattern {
    text: Box<str>,
    pub(crate) segments: Vec<Segment>,
    /// The end is open: `**`.
    pub(crate) rest: Option<Capture>,
}

/// One segment of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Segment {
    /// This text, percent-decoded: `%2C` and `,` are the same here, as they are for most upstreams.
    Fixed(Box<[u8]>),
    /// Any one segment that is not empty.
    One(Capture),
}

/// What is remembered of a matched part: its name, if it has one.
pub(crate) type Capture = Option<Box<str>>;

/// A text that is no path pattern.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum PathPatternError {
    #[error("`{0}` is not a path: it must begin with `/`")]
    Form(Box<str>),
    #[error("`**` can only be the last segment")]
    RestInside,
    #[error("`{0}` is not a segment: `{{name}}` and `*` stand for a whole one; write parts of one as path_regex")]
    PartOfSegment(Box<str>),
    #[error("`{0}` is not a name for a parameter: letters, digits, `_` and `-` make one")]
    Name(Box<str>),
    #[error("the parameter `{0}` is given twice")]
    Twice(Box<str>),
    #[error("no request matches the segment `{0}`, as `.` and `..` are resolved before matching")]
    Dots(Box<str>),
    #[error("`{0}` can't be part of a path; write it percent-encoded")]
    Character(char),
    #[error("`{0}` has an invalid percent-encoding, or one of a control character")]
    Encoding(Box<str>),
    #[error("a path is matched without the query; write conditions on it under `query`")]
    Query,
    #[error("a pattern has at most {MOST_SEGMENTS} segments of at most {LONGEST_SEGMENT} bytes each")]
    TooLong,
}

impl PathPattern {
    /// The paths that no pattern narrows: `/**`.
    pub(crate) fn all() -> Self {
        Self { text: "/**".into(), segments: Vec::new(), rest: Some(None) }
    }

    /// The names of its parameters, in the order in which a match has them.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(Segment::name).chain(self.rest.iter().filter_map(Option::as_deref))
    }

    /// The path below which it serves everything, without a slash at the end; `None` for one that ends, or has
    /// something variable before its open end.
    pub(crate) fn mount(&self) -> Option<Box<str>> {
        let fixed = self.segments.iter().all(|segment| segment.fixed().is_some());
        let (before, _) = self.text.rsplit_once('/')?;
        (self.rest.is_some() && fixed).then(|| before.into())
    }

    /// Which of the captured parts have names: those that a match keeps.
    pub(crate) fn named(&self) -> Named {
        let ones = self.segments.iter().filter(|segment| matches!(segment, Segment::One(_)));
        let ones = ones.enumerate().fold(0, |mask, (at, segment)| mask | u64::from(segment.name().is_some()) << at);
        Named { ones, rest: matches!(self.rest, Some(Some(_))) }
    }

    /// Whether both match the same paths: names don't matter.
    pub(crate) fn same_shape(&self, other: &Self) -> bool {
        let same = |pair: (&Segment, &Segment)| match pair {
            (Segment::Fixed(a), Segment::Fixed(b)) => a == b,
            (Segment::One(_), Segment::One(_)) => true,
            _ => false,
        };
        self.segments.len() == other.segments.len()
            && self.rest.is_some() == other.rest.is_some()
            && self.segments.iter().zip(&other.segments).all(same)
    }

    /// How many segments `prefix` takes off the front of what this matches, if it is a whole part of it.
    pub(crate) fn segments_under(&self, prefix: &PathPattern) -> Option<usize> {
        let count = prefix.segments.len();
        let own = Self { text: "".into(), segments: self.segments.get(..count)?.to_vec(), rest: None };
        (prefix.rest.is_none() && own.same_shape(prefix)).then_some(count)
    }

    /// Why no request can match it, given how paths are normalised.
    pub(crate) fn unreachable(&self, rules: PathRules) -> Option<&'static str> {
        let fixed = || self.segments.iter().filter_map(Segment::fixed);
        let mut inner = self.text.strip_prefix('/').unwrap_or_default().split('/');
        inner.next_back();
        if rules.escaped_slashes != EscapedSlashes::Keep && fixed().any(|text| text.iter().any(|b| b"/\\".contains(b)))
        {
            return Some("it has an encoded slash; set `escaped_slashes: keep`, or write a slash");
        }
        if rules.repeated_slashes != RepeatedSlashes::Keep && inner.any(str::is_empty) {
            return Some("it has two slashes in a row, and no request has once its path is normalised");
        }
        if rules.path_parameters != PathParameters::Check && self.text.contains(';') {
            return Some("it has a `;`, and path_parameters lets none through");
        }
        None
    }
}

/// Which captured parts a match keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Named {
    /// One bit for each one-segment wildcard, from the front.
    pub(crate) ones: u64,
    /// The open end.
    pub(crate) rest: bool,
}

impl Segment {
    fn name(&self) -> Option<&str> {
        match self {
            Segment::One(name) => name.as_deref(),
            Segment::Fixed(_) => None,
        }
    }

    fn fixed(&self) -> Option<&[u8]> {
        match self {
            Segment::Fixed(text) => Some(text),
            Segment::One(_) => None,
        }
    }

    fn parse(text: &str) -> Result<Self, PathPatternError> {
        match wildcard(text, "")? {
            Some(capture) => Ok(Segment::One(capture)),
            None if text == "*" => Ok(Segment::One(None)),
            None => fixed(text).map(Segment::Fixed),
        }
    }
}

/// The capture of `{name}` with `tail` before the brace closes; `None` for a text without braces.
fn wildcard(text: &str, tail: &str) -> Result<Option<Capture>, PathPatternError> {
    let Some(name) = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) else {
        return Ok(None);
    };
    let name = name.strip_suffix(tail).unwrap_or(name);
    let valid = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    match !name.is_empty() && name.bytes().all(valid) {
        true => Ok(Some(Some(name.into()))),
        false => Err(PathPatternError::Name(name.into())),
    }
}

fn fixed(text: &str) -> Result<Box<[u8]>, PathPatternError> {
    if text.contains(['{', '}', '*']) {
        return Err(PathPatternError::PartOfSegment(text.into()));
    }
    if let Some(bad) = text.chars().find(|c| matches!(c, ' ' | '\\' | '#') || c.is_control()) {
        return Err(PathPatternError::Character(bad));
    }
    let mut decoded: SmallVec<[u8; 64]> = SmallVec::new();
    for byte in Bytes::of(text) {
        decoded.push(match byte {
            Byte::Plain(byte) | Byte::Encoded(byte) | Byte::Decode(byte) | Byte::Encode(byte) => byte,
            Byte::Slash { byte, .. } => byte,
            Byte::Bad(_) => return Err(PathPatternError::Encoding(text.into())),
        });
    }
    if decoded.split(|b| matches!(b, b';' | b'/' | b'\\')).any(|part| matches!(part, b"." | b"..")) {
        return Err(PathPatternError::Dots(text.into()));
    }
    match decoded.len() <= LONGEST_SEGMENT {
        true => Ok(decoded.as_slice().into()),
        false => Err(PathPatternError::TooLong),
    }
}

impl FromStr for PathPattern {
    type Err = PathPatternError;

    fn from_str(text: &str) -> Result<Self, PathPatternError> {
        let inner = text.strip_prefix('/').ok_or_else(|| PathPatternError::Form(text.into()))?;
        if text.contains('?') {
            return Err(PathPatternError::Query);
        }
        let (front, last) = inner.rsplit_once('/').map_or((None, inner), |(front, last)| (Some(front), last));
        let is_rest = last == "**" || (last.starts_with('{') && last.ends_with("**}"));
        let rest = is_rest.then(|| wildcard(last, "**").map(Option::flatten)).transpose()?;
        let segments = match is_rest {
            true => front.map(|front| front.split('/').collect()).unwrap_or_default(),
            false => inner.split('/').collect::<Vec<_>>(),
        };
        if segments.iter().any(|segment| segment.contains("**")) {
            return Err(PathPatternError::RestInside);
        }
        if segments.len() > MOST_SEGMENTS {
            return Err(PathPatternError::TooLong);
        }
        let segments = segments.into_iter().map(Segment::parse).collect::<Result<Vec<_>, _>>()?;
        let pattern = Self { text: text.into(), segments, rest };
        let mut names: Vec<_> = pattern.names().collect();
        names.sort_unstable();
        match names.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(twice) => Err(PathPatternError::Twice(twice[0].into())),
            None => Ok(pattern),
        }
    }
}

text_type!(
    PathPattern,
    "PathPattern",
    "A path: `/exact`, `/users/{id}` (one segment, named), `/users/*` (one segment), `/files/**` (`/files` and everything below it), `/files/{rest**}` (the same, named)."
);

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> PathPattern {
        text.parse().expect(text)
    }

    #[test]
    fn a_pattern_is_segments_and_perhaps_a_rest() {
        for (text, segments, rest) in [
            ("/", 1, false),
            ("/**", 0, true),
            ("/a", 1, false),
            ("/a/", 2, false),
            ("/a/**", 1, true),
            ("/{user}/x/{rest**}", 2, true),
            ("/*/b", 2, false),
        ] {
            let pattern = pattern(text);
            assert_eq!((pattern.segments.len(), pattern.rest.is_some()), (segments, rest), "{text}");
            assert_eq!(pattern.to_string(), text);
        }
    }

    #[test]
    fn names_are_kept_in_order_and_only_named_parts_are_captured() {
        let pattern = pattern("/{a}/*/{b}/{rest**}");
        assert_eq!(pattern.names().collect::<Vec<_>>(), ["a", "b", "rest"]);
        assert_eq!(pattern.named(), Named { ones: 0b101, rest: true });
    }

    #[test]
    fn spelling_and_names_do_not_make_another_pattern() {
        assert!(pattern("/%61/{x}").same_shape(&pattern("/a/*")));
        assert!(pattern("/b%c3%bc/%2C").same_shape(&pattern("/bü/,")));
        assert!(!pattern("/a").same_shape(&pattern("/a/")));
        assert!(!pattern("/a").same_shape(&pattern("/a/**")));
        assert!(!pattern("/A").same_shape(&pattern("/a")));
    }

    #[test]
    fn what_is_no_pattern_is_refused_with_its_remedy() {
        use PathPatternError as E;
        for (text, error) in [
            ("a", E::Form("a".into())),
            ("", E::Form("".into())),
            ("/a/**/b", E::RestInside),
            ("/a**", E::RestInside),
            ("/{a**}/b", E::RestInside),
            ("/a*", E::PartOfSegment("a*".into())),
            ("/{id}.json", E::PartOfSegment("{id}.json".into())),
            ("/{}", E::Name("".into())),
            ("/{a b}", E::Name("a b".into())),
            ("/{a}/{a}", E::Twice("a".into())),
            ("/{a}/{a**}", E::Twice("a".into())),
            ("/a/../b", E::Dots("..".into())),
            ("/a/%2e", E::Dots("%2e".into())),
            ("/a/..;x", E::Dots("..;x".into())),
            ("/a b", E::Character(' ')),
            ("/a\\b", E::Character('\\')),
            ("/a#b", E::Character('#')),
            ("/%zz", E::Encoding("%zz".into())),
            ("/%00", E::Encoding("%00".into())),
            ("/a?x=1", E::Query),
        ] {
            assert_eq!(text.parse::<PathPattern>().expect_err(text), error, "{text}");
        }
        assert_eq!("/a".repeat(65).parse::<PathPattern>().expect_err("long"), E::TooLong);
        assert_eq!(format!("/{}", "a".repeat(256)).parse::<PathPattern>().expect_err("long"), E::TooLong);
    }

    #[test]
    fn a_pattern_that_normalisation_keeps_from_matching_is_known() {
        let rules = PathRules::default();
        assert!(pattern("/a%2Fb").unreachable(rules).is_some());
        assert!(pattern("/a//b").unreachable(rules).is_some());
        assert!(pattern("/a/").unreachable(rules).is_none());
        assert!(pattern("/a;b").unreachable(rules).is_none());
        assert!(pattern("/a;b").unreachable(PathRules { path_parameters: PathParameters::Strip, ..rules }).is_some());
        let keep = PathRules { escaped_slashes: EscapedSlashes::Keep, ..rules };
        assert!(pattern("/a%2Fb").unreachable(keep).is_none());
    }

    #[test]
    fn a_prefix_is_counted_in_whole_segments() {
        let route = pattern("/v1/users/{id}/**");
        assert_eq!(route.segments_under(&pattern("/v1/users")), Some(2));
        assert_eq!(route.segments_under(&pattern("/v1/users/{name}")), Some(3));
        assert_eq!(route.segments_under(&pattern("/v1/user")), None);
        assert_eq!(route.segments_under(&pattern("/v1/users/7")), None);
        assert_eq!(route.segments_under(&pattern("/v1/**")), None);
    }
}
