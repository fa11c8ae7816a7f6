//! What one route asks of the plugin.

use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use tidegate_core::config::Duration;

use super::text::given;

/// Who may use a route. As a word: `require`, `optional`, `deny` or `public`. As a map: exactly one of `require`,
/// `optional` and `deny`; a map without one of them denies.
///
/// ```yaml
/// auth: { require: { roles: [admin, moderator] }, providers: [jwt] }
/// ```
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// Whether there must be an identity.
    pub mode: Mode,
    /// What the identity must be allowed, with `require`.
    pub require: Require,
    /// The providers that count here, by name. Empty: all.
    pub providers: Vec<String>,
}

/// Whether there must be an identity.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mode {
    /// Nobody gets through: 401 for who isn't known, 403 for who is.
    #[default]
    Deny,
    /// Only who is known.
    Require,
    /// Everybody; who is known is told to the upstream. Something that proves nothing is a 401 all the same.
    Optional,
    /// Nobody is asked; only fields that could be taken for an identity are removed. What a route without a policy gets,
    /// unless the section has a `default`, and what one gets that says `off`.
    Public,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Fields {
    /// There must be an identity, and all of this must hold for it. `{}` takes everybody who is known.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "Require")]
    require: Option<Require>,
    /// Without an identity a request goes through as nobody's; something that proves nothing is a 401 all the same.
    /// Default: false.
    optional: bool,
    /// Nobody gets through. Default: false.
    deny: bool,
    /// The providers that count here, by name. Default: all.
    providers: Vec<String>,
}

/// What an identity must be allowed. Everything that is given must hold.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[schemars(rename = "AuthRequire")]
#[serde(deny_unknown_fields, default)]
pub struct Require {
    /// One of these roles. Default: any.
    pub roles: Vec<String>,
    /// All of these scopes (RFC 6749 section 3.3). Default: none.
    pub scopes: Vec<String>,
    /// All of these permissions, which the section's `roles:` give. Default: none.
    pub permissions: Vec<String>,
    /// Claims that must be just this, or hold it where they are lists. Who has no claim `sub` is asked for their subject,
    /// such as the owner of an API key. Default: none.
    pub claims: BTreeMap<String, serde_json::Value>,
    /// Path parameters that must be what a claim says: `{ user: sub }` lets everybody at their own. They are compared
    /// decoded; one with a `;` or a control character in it is what no claim says, here and wherever rules name
    /// parameters. Default: none.
    pub params: BTreeMap<String, String>,
    /// More that is required of some methods. Default: none.
    pub methods: Vec<MethodRule>,
    /// A list of the section's `acl:`.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "AclRule")]
    pub acl: Option<AclRule>,
    /// The section's `statements:` must allow it. Default: false.
    pub statements: bool,
    /// The section's Cedar policies must allow it.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "CedarRule")]
    pub cedar: Option<CedarRule>,
    /// What the action is called, for `statements` and `cedar`: by method; `GET` speaks for `HEAD`, where that isn't
    /// named. Default: the method in lower case, and `get` for `HEAD`.
    pub actions: BTreeMap<String, String>,
}

/// What is required of some methods, beside what is required of all.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MethodRule {
    /// Which methods. `GET` speaks for `HEAD`, too.
    pub methods: Vec<String>,
    /// One of these roles. Default: any.
    pub roles: Vec<String>,
    /// All of these scopes. Default: none.
    pub scopes: Vec<String>,
    /// All of these permissions. Default: none.
    pub permissions: Vec<String>,
}

/// A list and a resource in it.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AclRule {
    /// The list's name under the section's `acl:`.
    pub list: String,
    /// The resource: a text with `{parameters}` of the path, such as `doc:{id}`. In `{a}:{b}`, an `a` with a colon in it
    /// is denied: no two resources have one name.
    pub resource: String,
}

/// What Cedar is asked.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CedarRule {
    /// The resource's type. Default: `Route`.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "String")]
    pub resource_type: Option<String>,
    /// The resource's id: a text with `{parameters}` of the path. Default: the route's name.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "String")]
    pub resource: Option<String>,
    /// Attributes of the resource, beside those in the section's `entities`, which win: texts with `{parameters}`.
    /// Default: none.
    pub attributes: BTreeMap<String, String>,
    /// Attributes that a service is asked for. They win over all others.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "CedarAttributes")]
    pub fetch: Option<CedarAttributes>,
}

/// A service that knows a resource's attributes: it answers with a JSON object of at most 64 KiB, in which
/// `{ "__entity": { "type": "User", "id": "anna" } }` is an entity, or with 404 where there is none. While it can't be
/// asked, the request is refused with 503.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CedarAttributes {
    /// The URL: a text with `{parameters}` of the path, encoded, after the server's name.
    pub url: String,
    /// How long an answer is remembered. Default: `30s`.
    #[serde(default = "cache")]
    #[schemars(with = "Duration")]
    pub cache: Duration,
    /// How long an answer is waited for. Default: `2s`.
    #[serde(default = "timeout")]
    #[schemars(with = "Duration")]
    pub timeout: Duration,
}

fn cache() -> Duration {
    Duration::from_secs(30)
}

fn timeout() -> Duration {
    Duration::from_secs(2)
}

impl Policy {
    /// Nobody is asked who they are.
    pub fn public() -> Self {
        Self { mode: Mode::Public, ..Self::default() }
    }
}

impl<'de> Deserialize<'de> for Policy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PolicyVisitor)
    }
}

struct PolicyVisitor;

impl<'de> Visitor<'de> for PolicyVisitor {
    type Value = Policy;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`require`, `optional`, `deny`, `public`, or a map")
    }

    fn visit_str<E: de::Error>(self, word: &str) -> Result<Policy, E> {
        let mode = match word {
            "require" => Mode::Require,
            "optional" => Mode::Optional,
            "deny" => Mode::Deny,
            "public" => Mode::Public,
            _ => return Err(E::unknown_variant(word, &["require", "optional", "deny", "public"])),
        };
        Ok(Policy { mode, ..Policy::default() })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Policy, A::Error> {
        let fields = Fields::deserialize(MapAccessDeserializer::new(map))?;
        let mode = match (&fields.require, fields.optional, fields.deny) {
            (Some(_), false, false) => Mode::Require,
            (None, true, false) => Mode::Optional,
            (None, false, _) => Mode::Deny,
            _ => return Err(de::Error::custom("a route has one of `require`, `optional` and `deny`")),
        };
        Ok(Policy { mode, require: fields.require.unwrap_or_default(), providers: fields.providers })
    }
}

impl JsonSchema for Policy {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "AuthPolicy".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Who may use a route: `require`, `optional`, `deny`, `public`, or a map with one of the first three; a map without one denies.",
            "anyOf": [
                { "type": "string", "enum": ["require", "optional", "deny", "public"] },
                generator.subschema_for::<Fields>(),
            ],
        })
    }
}
