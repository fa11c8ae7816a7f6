//! What a request carries: finding tokens, and taking them out of what the upstream gets.

mod find;
mod list;
mod strip;
#[cfg(test)]
mod tests;

use tidegate_core::fields::is_token;
use tidegate_core::{BuildCx, ConfigError, ConfigErrors, ConfigPath, HeaderName, RequestHead, RequestHeader, header};

use crate::config::Source;

pub(crate) use find::authorization;
pub(crate) use list::watched;
pub(crate) use strip::strip_authorization;

/// The longest credential that is looked at. Heads may be longer; a token that is, is none.
const LONGEST: usize = 16 * 1024;

/// The places in which a provider's token may be.
#[derive(Debug, Clone)]
pub(crate) struct Sources(Box<[Place]>);

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Bearer,
    Header(HeaderName),
    Cookie(Box<str>),
    Query(Box<str>),
}

/// What was found there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Carried<'a> {
    Nothing,
    /// Exactly one token.
    One(&'a str),
    /// More than one, in one place or in several.
    Several,
    /// Something that can't be a token: not visible ASCII, no text after the scheme.
    Broken,
}

impl<'a> Carried<'a> {
    /// Both together: a broken one beside another is still more than one.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Carried::Nothing, one) | (one, Carried::Nothing) => one,
            _ => Carried::Several,
        }
    }
}

impl Sources {
    /// Errors are relative to the list. The access log hides what is there.
    pub(crate) fn build(sources: &[Source], cx: &mut BuildCx<'_>) -> Result<Self, ConfigErrors> {
        let sources = Self::of(sources)?;
        for place in &sources.0 {
            match place {
                Place::Header(name) => cx.redact(name.as_str()),
                Place::Query(name) => cx.redact(name),
                // Never in the log, or always hidden.
                Place::Bearer | Place::Cookie(_) => {}
            }
        }
        Ok(sources)
    }

    /// The same, where nothing needs to be hidden: for bearer tokens and cookies.
    pub(crate) fn of(sources: &[Source]) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        let mut places = Vec::with_capacity(sources.len());
        for (index, source) in sources.iter().enumerate() {
            let at = ConfigPath::root().index(index);
            let Some(place) = errors.collect(Place::build(source).map_err(|e| e.under(&at))) else { continue };
            match places.contains(&place) {
                true => errors.push(ConfigError::at(at, "the same source twice")),
                false => places.push(place),
            }
        }
        if sources.is_empty() {
            let error = ConfigError::at("", "no source: nothing would ever be found");
            errors.push(error.help("leave `sources` out for its default"));
        }
        errors.into_result(Self(places.into()))
    }

    /// The token of a request. Allocates nothing.
    pub(crate) fn find<'a>(&self, head: &RequestHead<'a>) -> Carried<'a> {
        self.0.iter().fold(Carried::Nothing, |found, place| found.and(place.find(head)))
    }

    /// Whether `Authorization: Bearer` is one of the places.
    pub(crate) fn has_bearer(&self) -> bool {
        self.0.contains(&Place::Bearer)
    }

    /// Takes the token out of what the upstream gets, and leaves everything else as it is.
    pub(crate) fn strip(&self, head: &mut RequestHeader) {
        self.0.iter().for_each(|place| place.strip(head));
    }
}

impl Place {
    fn build(source: &Source) -> Result<Self, ConfigError> {
        match source {
            Source::Bearer(_) => Ok(Place::Bearer),
            Source::Header(name) => field(name).map(Place::Header).map_err(|e| e.under(&"header".into())),
            Source::Cookie(name) => {
                let token = !name.is_empty() && name.bytes().all(is_token);
                let error = || ConfigError::at("cookie", format!("`{}` is no name of a cookie", name.escape_debug()));
                token.then(|| Place::Cookie(name.as_str().into())).ok_or_else(error)
            }
            Source::Query(name) => {
                let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~[]:".contains(&byte);
                let named = !name.is_empty() && name.bytes().all(plain);
                let error = || ConfigError::at("query", format!("`{}` is no name of a parameter", name.escape_debug()));
                named.then(|| Place::Query(name.as_str().into())).ok_or_else(error)
            }
        }
    }
}

/// A field that can have a token and nothing else in it.
fn field(text: &str) -> Result<HeaderName, ConfigError> {
    let name = HeaderName::from_bytes(text.as_bytes())
        .map_err(|_| ConfigError::at("", format!("`{}` is no name of a field", text.escape_debug())))?;
    match name {
        header::AUTHORIZATION => {
            Err(ConfigError::at("", "`Authorization` has a scheme before the token").help("write `bearer: true`"))
        }
        header::COOKIE => {
            Err(ConfigError::at("", "`Cookie` has more than a token in it").help("write `cookie: <name>`"))
        }
        // What frames and routes the message (RFC 9110 sections 7.2, 7.6.1 and 8.6).
        header::HOST
        | header::CONNECTION
        | header::CONTENT_LENGTH
        | header::EXPECT
        | header::TE
        | header::TRAILER
        | header::TRANSFER_ENCODING
        | header::UPGRADE => {
            Err(ConfigError::at("", format!("`{name}` is about the message, and no place for a token")))
        }
        name => Ok(name),
    }
}
