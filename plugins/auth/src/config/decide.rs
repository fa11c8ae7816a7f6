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
    /// A YAML or JSON file with the same, read again within seconds when it changes.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "PathBuf")]
    pub file: Option<PathBuf>,
    /// A store under `stores:` in which others keep the list: a hash for each resource, subjects as its fields, verbs
    /// with commas between as their values.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "AclStore")]
    pub store: Option<AclStore>,
    /// Which verb a method is. Default: `GET`, `HEAD` and `OPTIONS` are `read`, all others `write`.
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
    /// Resources: paths as they were matched; `*` stands for any number of characters, slashes too.
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
/// `Action::"<action>"`; resources as the route says. The context has `claims`, `client`, `method`, `path`, `time` (in
/// milliseconds) and `proof`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Cedar {
    /// Files of policies. A policy's `@id("…")` is what logs and `tidegate explain` call it.
    pub policies: Vec<PathBuf>,
    /// Policies written out here.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "String")]
    pub inline: Option<String>,
    /// The schema, in Cedar's own syntax (or JSON where the file ends in `.json`), that the policies are checked
    /// against at load. Default: the plugin's own, in which claims have any form and nothing is known of resources.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "PathBuf")]
    pub schema: Option<PathBuf>,
    /// A JSON file of entities: groups, resources and their attributes. Default: none.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "PathBuf")]
    pub entities: Option<PathBuf>,
}
