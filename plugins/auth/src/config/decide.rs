//! Rules about who may do what.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_core::config::Duration;

use super::text::given;

/// Who may do what with which resource: exactly one of `entries`, `file` and `store`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Acl {
    /// The list, by resource.
    pub entries: BTreeMap<String, AclEntry>,
    /// A YAML or JSON file with the same, read again within seconds when it changes. One that can't be used changes
    /// nothing.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "PathBuf")]
    pub file: Option<PathBuf>,
    /// A store under `stores:` in which others keep the list: a hash for each resource, subjects as its fields, verbs
    /// with commas between as their values. While it can't be asked, the answer is 503.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "AclStore")]
    pub store: Option<AclStore>,
    /// Which verb a method is; `GET` speaks for `HEAD`, where that isn't named. Default: `GET`, `HEAD` and `OPTIONS` are
    /// `read`, all others `write`.
    pub verbs: BTreeMap<String, String>,
}

/// Verbs by subject; the subject `*` is everybody who is known, `role:<name>` everybody of a role.
pub type AclEntry = BTreeMap<String, Vec<String>>;

/// A list that is kept in a store.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AclStore {
    /// The store's name under `stores:`.
    pub name: String,
    /// What the keys begin with; the resource follows. Default: `acl:`.
    #[serde(default = "prefix")]
    pub prefix: String,
    /// How long an answer is remembered; `0s` asks each time. Default: `0s`.
    #[serde(default)]
    #[schemars(with = "Duration")]
    pub cache: Option<Duration>,
}

fn prefix() -> String {
    "acl:".to_owned()
}

/// Allows or denies actions on resources.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// What logs and `tidegate explain` call it. Default: its number.
    #[serde(default)]
    pub name: Option<String>,
    /// `allow` or `deny`.
    pub effect: Effect,
    /// Who it is about: subjects, `role:<name>`, `*` for everybody who is known; `*` also stands for the rest of a name.
    /// Default: everybody who is known.
    #[serde(default)]
    pub principals: Vec<String>,
    /// Actions; `*` stands for any number of characters. A route says what its action is; default is the method in
    /// lower case.
    pub actions: Vec<String>,
    /// Resources: paths as they were matched, percent-decoded but for `%2F`, `%5C` and `%25`; `*` stands for any number
    /// of characters, slashes too. A deny also looks at the path as the most lenient upstream reads it: with every slash
    /// decoded, and without what follows a `;`, empty segments and a slash at the end. A path that has no reading, such
    /// as one with a NUL, is allowed nothing.
    pub resources: Vec<String>,
    /// When it holds. Default: always.
    #[serde(default)]
    pub when: When,
}

/// What a statement does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Allows, where nothing denies.
    Allow,
    /// Denies, whatever allows.
    Deny,
}

/// Conditions, all of which must hold.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct When {
    /// The client is in one of these networks. Default: any.
    pub client: Vec<String>,
    /// Claims that must be just this, or hold it where they are lists. Default: none.
    pub claims: BTreeMap<String, serde_json::Value>,
    /// Path parameters that must be what a claim says: `{ user: sub }`. Default: none.
    pub params: BTreeMap<String, String>,
}

/// Policies in Cedar (<https://www.cedarpolicy.com>). Principals are `User::"<subject>"`, in `Role::"<role>"`; actions
/// `Action::"<action>"`; resources as the route says. The context has `claims` (a record; claims that are `null` or
/// fractions are not in it), `client` (an `ipaddr`), `method`, `path` (as `statements` see it), `time` (in milliseconds
/// since 1970) and `proof` (`jwt`, `api_key`, …).
///
/// What no policy permits is denied, and a policy that forbids wins. A policy that can't be evaluated, for an attribute
/// that isn't there, permits nothing; if it is one that forbids, it forbids.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Cedar {
    /// Files of policies. A policy's `@id("…")` is what logs and `tidegate explain` call it.
    pub policies: Vec<PathBuf>,
    /// Policies written out here.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "String")]
    pub inline: Option<String>,
    /// The schema, in Cedar's own syntax (or JSON where the file ends in `.json`), that policies and entities are
    /// checked against at load, strictly. It needs `entity User`, and the types and actions that routes name. Default:
    /// none, and policies are only parsed.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "PathBuf")]
    pub schema: Option<PathBuf>,
    /// A JSON file of entities: groups, resources and their attributes, in Cedar's form. Users there keep what they are
    /// in beside their roles; a `Role` may be in another. Default: none.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "PathBuf")]
    pub entities: Option<PathBuf>,
    /// A PEM file of the CAs that are trusted where routes `fetch` attributes, in place of the system's.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "PathBuf")]
    pub ca: Option<PathBuf>,
}
