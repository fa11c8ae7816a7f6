//! `per:`, what a limit counts by.

use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::SeqAccessDeserializer;
use serde::de::{self, Deserialize, Deserializer, SeqAccess, Visitor};
use tidegate_core::HeaderName;
use tidegate_core::config::UnitError;

use super::text::{shown, text_impls, unreadable};

/// One part of a request that keys are made of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Source {
    /// `client`: the real client's address, by its network.
    Client,
    /// `identity`: who is asking, with the provider that proved it.
    Identity,
    /// `api_key`: the field `X-API-Key`.
    ApiKey,
    /// `header.<name>`
    Header(HeaderName),
    /// `cookie.<name>`
    Cookie(Box<str>),
    /// `query.<name>`
    Query(Box<str>),
    /// `param.<name>`: of the route's path.
    Param(Box<str>),
    /// `claim.<name>`: of the identity.
    Claim(Box<str>),
    /// `route`: the route's name.
    Route,
    /// `host`: what the client asked for.
    Host,
    /// `country`: the client's.
    Country,
}

/// The names, for messages.
const KEYS: &str = "client, identity, api_key, header.<name>, cookie.<name>, query.<name>, param.<name>, \
                    claim.<name>, route, host, country; join several with +";
/// A longer name is a slip, and would not fit into a key.
const LONGEST_NAME: usize = 100;

impl Source {
    /// Whether only an authenticated request has it.
    pub(crate) fn needs_identity(&self) -> bool {
        matches!(self, Self::Identity | Self::Claim(_))
    }
}

impl FromStr for Source {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let (kind, name) = text.split_once('.').map_or((text, None), |(kind, name)| (kind, Some(name)));
        let plain = match kind {
            "client" => Self::Client,
            "identity" => Self::Identity,
            "api_key" => Self::ApiKey,
            "route" => Self::Route,
            "host" => Self::Host,
            "country" => Self::Country,
            "header" | "cookie" | "query" | "param" | "claim" => return named(kind, name, text),
            _ => return Err(unknown(text)),
        };
        match name {
            None => Ok(plain),
            Some(_) => Err(unreadable(format!("`{kind}` takes no name"), format!("write just {kind}"))),
        }
    }
}

fn named(kind: &str, name: Option<&str>, text: &str) -> Result<Source, UnitError> {
    let Some(name) = name.filter(|name| !name.is_empty()) else {
        return Err(unreadable(format!("`{kind}` needs a name"), format!("write {kind}.<name>")));
    };
    let wrong = |why: &str, help: &str| unreadable(format!("{} {why}", shown(text)), help);
    if name.len() > LONGEST_NAME {
        return Err(wrong("has a name of more than 100 bytes", "write a shorter name"));
    }
    if name.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(wrong("has a space in its name", "write the name as the request has it, without spaces"));
    }
    Ok(match kind {
        "header" => Source::Header(HeaderName::from_bytes(name.as_bytes()).map_err(|_| {
            wrong("is not the name of a header", "a name is made of letters, digits, `-` and few other signs")
        })?),
        "cookie" if name.contains(['=', ';', '"']) => {
            return Err(wrong("is not the name of a cookie", "a name has no `=`, `;` or quotes"));
        }
        "cookie" => Source::Cookie(name.into()),
        "query" => Source::Query(name.into()),
        "param" => Source::Param(name.into()),
        _ => Source::Claim(name.into()),
    })
}

fn unknown(text: &str) -> UnitError {
    let meant = match text.to_ascii_lowercase().as_str() {
        "" => "",
        "ip" | "address" | "addr" | "client_ip" | "client.ip" | "remote_addr" | "remote_ip" => "client",
        "user" | "user_id" | "subject" | "identity.subject" | "principal" => "identity",
        "key" | "apikey" | "api-key" => "api_key",
        "hostname" | "domain" | "authority" => "host",
        "path" | "service" => "route",
        "geo" => "country",
        _ => "",
    };
    let help = match meant {
        "" => format!("keys are: {KEYS}"),
        meant => format!("did you mean `{meant}`? keys are: {KEYS}"),
    };
    unreadable(format!("unknown key {}", shown(text)), help)
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client => f.write_str("client"),
            Self::Identity => f.write_str("identity"),
            Self::ApiKey => f.write_str("api_key"),
            Self::Header(name) => write!(f, "header.{name}"),
            Self::Cookie(name) => write!(f, "cookie.{name}"),
            Self::Query(name) => write!(f, "query.{name}"),
            Self::Param(name) => write!(f, "param.{name}"),
            Self::Claim(name) => write!(f, "claim.{name}"),
            Self::Route => f.write_str("route"),
            Self::Host => f.write_str("host"),
            Self::Country => f.write_str("country"),
        }
    }
}

/// Sources joined by `+`: one key, which a request has when it has all of them. Never empty, each at most once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined(Vec<Source>);

/// More sources in one key are a slip.
const MOST_SOURCES: usize = 8;

impl Joined {
    /// The sources, in the order in which they were written.
    pub fn sources(&self) -> &[Source] {
        &self.0
    }
}

impl FromStr for Joined {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let sources: Vec<Source> = text.split('+').map(|part| part.trim().parse()).collect::<Result<_, _>>()?;
        if sources.len() > MOST_SOURCES {
            return Err(unreadable(
                format!("a key of {} parts", sources.len()),
                format!("join at most {MOST_SOURCES}"),
            ));
        }
        let mut seen = HashSet::new();
        match sources.iter().find(|source| !seen.insert(*source)) {
            Some(twice) => Err(unreadable(format!("`{twice}` is in the key twice"), "keep one of the two")),
            None => Ok(Self(sources)),
        }
    }
}

impl fmt::Display for Joined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, source) in self.0.iter().enumerate() {
            if place > 0 {
                f.write_str("+")?;
            }
            source.fmt(f)?;
        }
        Ok(())
    }
}

text_impls!(
    Joined,
    "LimitKey",
    "a key, or a list of keys",
    ["client", "identity", "api_key", "header.X-Tenant", "identity+param.project", "route"],
    "What is counted by: `client` (the address), `identity`, `api_key`, `header.<name>`, `cookie.<name>`, \
     `query.<name>`, `param.<name>` (of the path), `claim.<name>`, `route`, `host`, `country`, or several joined by `+`."
);

/// Keys, of which the first that the request has counts. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Per(Vec<Joined>);

impl Per {
    /// The keys, the first choice first.
    pub fn keys(&self) -> &[Joined] {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Per {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PerVisitor)
    }
}

struct PerVisitor;

impl<'de> Visitor<'de> for PerVisitor {
    type Value = Per;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key, or a list of keys")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Per, E> {
        text.parse().map(|key| Per(vec![key])).map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Per, A::Error> {
        let keys = Vec::<Joined>::deserialize(SeqAccessDeserializer::new(seq))?;
        if keys.is_empty() {
            return Err(de::Error::custom("a list of no keys\nhelp: write a key, such as per: client"));
        }
        Ok(Per(keys))
    }
}

impl JsonSchema for Per {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "LimitKeys".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let key = generator.subschema_for::<Joined>();
        json_schema!({
            "anyOf": [key, { "type": "array", "items": key, "minItems": 1 }],
            "description": "A key, or a list of keys of which the first that the request has counts.",
        })
    }
}

/// A claim that says which plan, or which rate: `claim.plan`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimName(Box<str>);

impl ClaimName {
    /// Without the `claim.`.
    pub fn name(&self) -> &str {
        &self.0
    }
}

impl FromStr for ClaimName {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        match text.parse() {
            Ok(Source::Claim(name)) => Ok(Self(name)),
            _ => Err(unreadable(
                format!("{} is not a claim", shown(text)),
                "write claim.<name>: what a client sends by itself would let it choose its own limit",
            )),
        }
    }
}

impl fmt::Display for ClaimName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "claim.{}", self.0)
    }
}

text_impls!(
    ClaimName,
    "ClaimName",
    "a claim",
    ["claim.plan", "claim.rate"],
    "A claim of the identity: `claim.<name>`; dots go into objects."
);

#[cfg(test)]
#[path = "per_tests.rs"]
mod tests;
