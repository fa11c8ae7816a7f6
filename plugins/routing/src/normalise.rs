//! One spelling for each path, before it is matched: what was matched is what goes upstream.
//!
//! RFC 3986 sections 5.2.4 (dot segments) and 6.2.2 (case, percent-encoding), and the spellings by which gateways
//! have been passed before: `%2e%2e`, `//`, `%2F`, `\`, `..;`, overlong UTF-8. What has two readings is refused.

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::escape::{Byte, Bytes, push_encoded};

/// What is done with `%2F`, `%5C` and `\` in a path, which some upstreams read as `/` and others don't.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EscapedSlashes {
    /// They are data: part of a segment, for the route and for the upstream (GitLab and npm need this). A segment
    /// that would hold `.` or `..` if they were slashes is refused. Only for upstreams that don't decode them.
    Keep,
    /// 400. The default: no route can be passed by.
    #[default]
    Reject,
    /// A 307 to the path in which they are slashes.
    Redirect,
    /// They are slashes: decoded before matching, and decoded for the upstream.
    Decode,
}

/// What is done with `//` in a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RepeatedSlashes {
    /// They are one: `/a//b` is matched, and goes upstream, as `/a/b`. The default.
    #[default]
    Merge,
    /// A 307 to the path with one.
    Redirect,
    /// 400.
    Reject,
    /// They stay, as an empty segment that only `**` matches. Only for upstreams that don't merge them.
    Keep,
}

/// What is done with `;x=y` in a path, which some upstreams (Tomcat, Jetty) leave out before they match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PathParameters {
    /// They go upstream as they are, unless the path without them belongs to another route: then 400. The default.
    #[default]
    Check,
    /// They are left out before matching, and never go upstream.
    Strip,
    /// 400.
    Reject,
}

/// The rules of one gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PathRules {
    /// `%2F`, `%5C`, `\`
    pub escaped_slashes: EscapedSlashes,
    /// `//`
    pub repeated_slashes: RepeatedSlashes,
    /// `;x=y`
    pub path_parameters: PathParameters,
}

/// A path that can be matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Normal {
    /// It was normal as it came.
    Same,
    /// This is its normal form.
    Changed(Box<str>),
    /// The client is to ask for this one.
    Redirect(Box<str>),
}

/// Why a path can't be matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadPath {
    /// Neither `/…` nor `*`.
    Form,
    /// `%` without two hexadecimal digits, or UTF-8 that has a shorter form.
    Encoding,
    /// A control character, encoded or not, or one that no path may have.
    Character,
    /// `..` at the root.
    AboveRoot,
    /// `..;x`, `..%2Fx`: a dot segment for some readers only.
    HiddenDots,
    /// `..` and `//` in one path: what the `..` takes away depends on the reader.
    Ambiguous,
    /// `%2F`, where they are refused.
    EscapedSlash,
    /// `//`, where they are refused.
    RepeatedSlash,
    /// `;`, where they are refused, or where they would lead to another route.
    Parameters,
}

impl BadPath {
    /// For the person at the other end.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Form => "the path doesn't begin with a slash",
            Self::Encoding => "the path has an invalid percent-encoding",
            Self::Character => "the path has a character that no path may have",
            Self::AboveRoot => "the path leads above the root",
            Self::HiddenDots => "the path has a dot segment in disguise",
            Self::Ambiguous => "the path has both `..` and `//`, which can be read in two ways",
            Self::EscapedSlash => "the path has an encoded slash or a backslash",
            Self::RepeatedSlash => "the path has two slashes in a row",
            Self::Parameters => "the path has parameters (`;`) that make it ambiguous",
        }
    }
}

impl fmt::Display for BadPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

impl std::error::Error for BadPath {}

/// The normal form of `path`, or why it has none. Allocates only where the path changes or is refused.
pub fn normalise(path: &str, rules: PathRules) -> Result<Normal, BadPath> {
    if is_simple(path) || is_normal(path, rules) {
        return Ok(Normal::Same);
    }
    if !path.starts_with('/') {
        return Err(BadPath::Form);
    }
    let (spelled, slashes_decoded) = respell(path, rules.escaped_slashes)?;
    let (normal, slashes_merged) = resolve(&spelled, rules)?;
    let redirect = (slashes_decoded && rules.escaped_slashes == EscapedSlashes::Redirect)
        || (slashes_merged && rules.repeated_slashes == RepeatedSlashes::Redirect);
    match redirect {
        // A browser reads `//host` as another site.
        true if normal.starts_with("//") => Err(BadPath::RepeatedSlash),
        true => Ok(Normal::Redirect(normal.into())),
        false => Ok(Normal::Changed(normal.into())),
    }
}

/// `path` (normal) as an upstream that leaves parameters out reads it.
pub(crate) fn without_parameters(path: &str) -> Result<Box<str>, BadPath> {
    let rules = PathRules {
        escaped_slashes: EscapedSlashes::Keep,
        repeated_slashes: RepeatedSlashes::Merge,
        path_parameters: PathParameters::Strip,
    };
    match normalise(path, rules)? {
        Normal::Same => Ok(path.into()),
        Normal::Changed(other) | Normal::Redirect(other) => Ok(other),
    }
}

/// Most paths, in one quick pass: nothing in them that any rule is about.
fn is_simple(path: &str) -> bool {
    let mut before = 0;
    path.starts_with('/')
        && path.bytes().all(|byte| {
            let doubled = byte == b'/' && before == b'/';
            before = byte;
            !doubled && (byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'_' | b'~' | b':' | b'@' | b','))
        })
}

/// Whether the path is what [`normalise`] would make of it.
fn is_normal(path: &str, rules: PathRules) -> bool {
    let well_spelled = Bytes::of(path).all(|byte| match byte {
        Byte::Plain(b';') => rules.path_parameters == PathParameters::Check,
        Byte::Plain(_) | Byte::Encoded(_) => true,
        Byte::Slash { tidy, .. } => tidy && rules.escaped_slashes == EscapedSlashes::Keep,
        Byte::Decode(_) | Byte::Encode(_) | Byte::Bad(_) => false,
    });
    let Some(inner) = path.strip_prefix('/').filter(|_| well_spelled) else {
        return false;
    };
    let empty_allowed = rules.repeated_slashes == RepeatedSlashes::Keep || !path.contains("//");
    empty_allowed && !inner.split('/').any(|segment| is_dots(segment) || hides_dots(segment))
}

fn is_dots(segment: &str) -> bool {
    matches!(segment, "." | "..")
}

/// Whether a part of the segment is `.` or `..` for readers that see a slash in `%2F`, or an end in `;`.
fn hides_dots(segment: &str) -> bool {
    segment.contains(['%', ';'])
        && (segment.split(';'))
            .flat_map(|part| part.split("%3B"))
            .flat_map(|part| part.split("%2F"))
            .flat_map(|part| part.split("%5C"))
            .any(is_dots)
}

/// Decodes what needs no encoding, encodes what does, and says whether escaped slashes became slashes.
fn respell(path: &str, escaped: EscapedSlashes) -> Result<(String, bool), BadPath> {
    if path.contains(char::REPLACEMENT_CHARACTER) {
        // Bytes that were no UTF-8, and are lost.
        return Err(BadPath::Character);
    }
    let (mut out, mut slashes) = (String::with_capacity(path.len() + 8), false);
    for byte in Bytes::of(path) {
        match byte {
            Byte::Plain(byte) | Byte::Decode(byte) => out.push(char::from(byte)),
            Byte::Encoded(byte) | Byte::Encode(byte) => push_encoded(&mut out, byte),
            Byte::Slash { byte, .. } => match escaped {
                EscapedSlashes::Reject => return Err(BadPath::EscapedSlash),
                EscapedSlashes::Keep => push_encoded(&mut out, byte),
                EscapedSlashes::Redirect | EscapedSlashes::Decode => {
                    slashes = true;
                    out.push('/');
                }
            },
            Byte::Bad(why) => return Err(why),
        }
    }
    Ok((out, slashes))
}

/// Takes out dot segments, repeated slashes and parameters, and says whether slashes were merged.
fn resolve(path: &str, rules: PathRules) -> Result<(String, bool), BadPath> {
    let (mut out, mut climbed, mut repeated) = (String::with_capacity(path.len()), false, false);
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match without_parameter(segment, rules.path_parameters)? {
            ".." => {
                climbed = true;
                out.truncate(out.rfind('/').ok_or(BadPath::AboveRoot)?);
                out.push_str(if last { "/" } else { "" });
            }
            "." => out.push_str(if last { "/" } else { "" }),
            "" if !last => {
                repeated = true;
                match rules.repeated_slashes {
                    RepeatedSlashes::Merge | RepeatedSlashes::Redirect => {}
                    RepeatedSlashes::Reject => return Err(BadPath::RepeatedSlash),
                    RepeatedSlashes::Keep => out.push('/'),
                }
            }
            name => {
                out.push('/');
                out.push_str(name);
            }
        }
    }
    match climbed && repeated {
        // `/a//../b` is `/a/b` for RFC 3986 and `/b` for nginx.
        true => Err(BadPath::Ambiguous),
        false => Ok((out, repeated)),
    }
}

fn without_parameter(segment: &str, rule: PathParameters) -> Result<&str, BadPath> {
    if !is_dots(segment) && hides_dots(segment) {
        return Err(BadPath::HiddenDots);
    }
    match (segment.split_once(';'), rule) {
        (None, _) | (_, PathParameters::Check) => Ok(segment),
        (Some(_), PathParameters::Reject) => Err(BadPath::Parameters),
        (Some((name, _)), PathParameters::Strip) => Ok(name),
    }
}

#[cfg(test)]
#[path = "normalise_tests.rs"]
mod tests;
