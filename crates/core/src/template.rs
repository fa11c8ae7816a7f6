//! Texts with facts of the request in them: `{request_id}`, `{identity.subject}`.

use std::borrow::Cow;
use std::fmt::{self, Write};
use std::str::FromStr;

use http::{HeaderName, HeaderValue};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};

use crate::Cx;

/// A text with facts of the request in it, such as `user-{identity.subject}`. `{{` and `}}` stand for braces.
///
/// Parsed when the configuration is read; an unknown fact is an error there. A fact that the request doesn't
/// have makes the whole text absent: half a value is worse than none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(Box<str>),
    Fact(Fact),
}

/// Something known of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// `{request_id}`
    RequestId,
    /// `{client}`: the real client's address.
    Client,
    /// `{host}`: what the client asked for, without the port.
    Host,
    /// `{method}`
    Method,
    /// `{path}`: normalised.
    Path,
    /// `{query}`: without the `?`; absent when there is none.
    Query,
    /// `{scheme}`: `http` or `https`.
    Scheme,
    /// `{route}`: the route's name.
    Route,
    /// `{listener}`: the listener's name.
    Listener,
    /// `{identity.subject}`
    IdentitySubject,
    /// `{identity.provider}`
    IdentityProvider,
    /// `{identity.claims.<name>}`: texts, numbers and booleans as they are, the rest as JSON.
    IdentityClaim(Box<str>),
    /// `{param.<name>}`: what the route's path template captured, still percent-encoded.
    Param(Box<str>),
    /// `{header.<name>}`: the client's header field, the first.
    Header(HeaderName),
    /// `{cookie.<name>}`
    Cookie(Box<str>),
}

/// Every fact's name, for messages and the schema.
const NAMES: &str = "request_id, client, host, method, path, query, scheme, route, listener, identity.subject, \
                     identity.provider, identity.claims.<name>, param.<name>, header.<name>, cookie.<name>";

/// A text that is no template.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TemplateError {
    /// A `{` with no `}` after it.
    #[error("`{{` without `}}`; write `{{{{` for a brace")]
    Open,
    /// A `}` with no `{` before it.
    #[error("`}}` without `{{`; write `}}}}` for a brace")]
    Close,
    /// No fact of that name.
    #[error("unknown fact `{{{0}}}`; there are: {NAMES}")]
    Unknown(String),
    /// A character that no header may carry.
    #[error("a control character can't be sent in a header")]
    Control,
}

impl Template {
    /// The text with the request's facts, as a header value; `None` when one is missing or can't be sent.
    pub fn header_value(&self, cx: &Cx<'_>) -> Option<HeaderValue> {
        // The commonest template of all costs no allocation.
        if let [Part::Fact(Fact::RequestId)] = self.0.as_slice() {
            return Some(cx.request_id().as_header().clone());
        }
        let mut text = String::with_capacity(64);
        self.render(cx, &mut text)?;
        HeaderValue::try_from(text).ok()
    }

    /// Adds the text with the request's facts to `out`; `None`, with a part of it written, when one is missing.
    pub fn render(&self, cx: &Cx<'_>, out: &mut String) -> Option<()> {
        self.0.iter().try_for_each(|part| match part {
            Part::Text(text) => {
                out.push_str(text);
                Some(())
            }
            Part::Fact(fact) => fact.render(cx, out),
        })
    }

    /// The text, where no fact is in it.
    pub fn fixed(&self) -> Option<&str> {
        match self.0.as_slice() {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The facts in it.
    pub fn facts(&self) -> impl Iterator<Item = &Fact> {
        self.0.iter().filter_map(|part| match part {
            Part::Fact(fact) => Some(fact),
            Part::Text(_) => None,
        })
    }
}

impl Fact {
    fn render(&self, cx: &Cx<'_>, out: &mut String) -> Option<()> {
        match self {
            Fact::Client => write!(out, "{}", cx.client()).ok()?,
            Fact::IdentityClaim(name) => render_claim(cx.identity()?.claim(name)?, out),
            _ => out.push_str(self.text(cx)?),
        }
        Some(())
    }

    fn text<'c>(&'c self, cx: &'c Cx<'_>) -> Option<&'c str> {
        let head = cx.head();
        match self {
            Fact::RequestId => Some(cx.request_id().as_str()),
            Fact::Host => Some(head.host()),
            Fact::Method => Some(head.method.as_str()),
            Fact::Path => Some(head.path),
            Fact::Query => head.query,
            Fact::Scheme => Some(head.scheme.as_str()),
            Fact::Route => Some(cx.route().name()),
            Fact::Listener => Some(head.listener),
            Fact::IdentitySubject => Some(cx.identity()?.subject()),
            Fact::IdentityProvider => Some(cx.identity()?.provider()),
            Fact::Param(name) => cx.param(name),
            Fact::Header(name) => head.header(name),
            Fact::Cookie(name) => head.cookie(name),
            Fact::Client | Fact::IdentityClaim(_) => None,
        }
    }
}

fn render_claim(claim: &serde_json::Value, out: &mut String) {
    match claim {
        serde_json::Value::String(text) => out.push_str(text),
        // Writing to a String can't fail.
        other => drop(write!(out, "{other}")),
    }
}

impl FromStr for Fact {
    type Err = TemplateError;

    fn from_str(name: &str) -> Result<Self, TemplateError> {
        let unknown = || TemplateError::Unknown(name.to_owned());
        Ok(match name {
            "request_id" => Fact::RequestId,
            "client" => Fact::Client,
            "host" => Fact::Host,
            "method" => Fact::Method,
            "path" => Fact::Path,
            "query" => Fact::Query,
            "scheme" => Fact::Scheme,
            "route" => Fact::Route,
            "listener" => Fact::Listener,
            "identity.subject" => Fact::IdentitySubject,
            "identity.provider" => Fact::IdentityProvider,
            _ => {
                let (kind, rest) = name.split_once('.').filter(|(_, rest)| !rest.is_empty()).ok_or_else(unknown)?;
                match (kind, rest.strip_prefix("claims.")) {
                    ("identity", Some(claim)) if !claim.is_empty() => Fact::IdentityClaim(claim.into()),
                    ("param", _) => Fact::Param(rest.into()),
                    ("header", _) => Fact::Header(rest.parse().map_err(|_| unknown())?),
                    ("cookie", _) => Fact::Cookie(rest.into()),
                    _ => return Err(unknown()),
                }
            }
        })
    }
}

impl FromStr for Template {
    type Err = TemplateError;

    fn from_str(text: &str) -> Result<Self, TemplateError> {
        if text.bytes().any(|b| b < 0x20 || b == 0x7f) {
            return Err(TemplateError::Control);
        }
        let (mut parts, mut plain, mut rest) = (Vec::new(), String::new(), text);
        while let Some(brace) = rest.find(['{', '}']) {
            plain.push_str(&rest[..brace]);
            let after = &rest[brace + 1..];
            rest = match (rest.as_bytes()[brace], after.as_bytes().first()) {
                (b'{', Some(b'{')) | (b'}', Some(b'}')) => {
                    plain.push(char::from(rest.as_bytes()[brace]));
                    &after[1..]
                }
                (b'{', _) => {
                    let (name, after) = after.split_once('}').ok_or(TemplateError::Open)?;
                    flush(&mut plain, &mut parts);
                    parts.push(Part::Fact(name.trim().parse()?));
                    after
                }
                _ => return Err(TemplateError::Close),
            };
        }
        plain.push_str(rest);
        flush(&mut plain, &mut parts);
        Ok(Self(parts))
    }
}

fn flush(plain: &mut String, parts: &mut Vec<Part>) {
    if !plain.is_empty() {
        parts.push(Part::Text(std::mem::take(plain).into()));
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|part| match part {
            Part::Text(text) => f.write_str(&text.replace('{', "{{").replace('}', "}}")),
            Part::Fact(fact) => write!(f, "{{{fact}}}"),
        })
    }
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fact::RequestId => f.write_str("request_id"),
            Fact::Client => f.write_str("client"),
            Fact::Host => f.write_str("host"),
            Fact::Method => f.write_str("method"),
            Fact::Path => f.write_str("path"),
            Fact::Query => f.write_str("query"),
            Fact::Scheme => f.write_str("scheme"),
            Fact::Route => f.write_str("route"),
            Fact::Listener => f.write_str("listener"),
            Fact::IdentitySubject => f.write_str("identity.subject"),
            Fact::IdentityProvider => f.write_str("identity.provider"),
            Fact::IdentityClaim(name) => write!(f, "identity.claims.{name}"),
            Fact::Param(name) => write!(f, "param.{name}"),
            Fact::Header(name) => write!(f, "header.{name}"),
            Fact::Cookie(name) => write!(f, "cookie.{name}"),
        }
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Template {
    fn schema_name() -> Cow<'static, str> {
        "Template".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": format!("A text with facts of the request in braces, such as `user-{{identity.subject}}`. Facts: {NAMES}. `{{{{` and `}}}}` stand for braces. Where a fact is missing, the whole text is absent."),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_read_and_print_the_same() {
        for text in ["", "plain", "{request_id}", "a {client} b{{c}}", "{identity.claims.a.b}{header.x-y}{param.id}"] {
            assert_eq!(text.parse::<Template>().expect(text).to_string(), text);
        }
    }

    #[test]
    fn what_is_no_template_is_refused_with_its_remedy() {
        for (text, error) in [
            ("{client", TemplateError::Open),
            ("client}", TemplateError::Close),
            ("{clinet}", TemplateError::Unknown("clinet".into())),
            ("{header.}", TemplateError::Unknown("header.".into())),
            ("{header.a b}", TemplateError::Unknown("header.a b".into())),
            ("a\r\nb", TemplateError::Control),
        ] {
            assert_eq!(text.parse::<Template>(), Err(error), "{text}");
        }
        let message = TemplateError::Unknown("x".into()).to_string();
        assert!(message.starts_with("unknown fact `{x}`; there are: request_id, client"), "{message}");
    }

    #[test]
    fn only_a_text_without_facts_is_fixed() {
        assert_eq!("a{{b".parse::<Template>().expect("valid").fixed(), Some("a{b"));
        assert_eq!("a{host}".parse::<Template>().expect("valid").fixed(), None);
    }
}
