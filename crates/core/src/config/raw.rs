//! A part of the configuration that nobody has read yet.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, DeserializeOwned, Deserializer, Visitor};

use super::{ConfigErrors, ConfigPath, Value, de as reader};

/// A subtree of the configuration together with its place, to be read by whoever knows its type.
///
/// A config struct may have a field of this type to pass a part on unread:
/// the routes of the router hold the policies of plugins that the router has never heard of.
#[derive(Clone)]
pub struct RawConfig {
    value: Value,
    path: Arc<ConfigPath>,
    secrets: SecretPlaces,
}

/// The places at which a [`Secret`](super::Secret) has been asked for: what stands there must not be shown, not even
/// as a line of the file. Shared by all parts of one configuration.
#[derive(Clone, Default)]
pub(super) struct SecretPlaces(Arc<Mutex<BTreeSet<ConfigPath>>>);

/// More secrets than this are not kept in mind.
const SECRETS: usize = 100_000;

impl SecretPlaces {
    pub(super) fn note(&self, path: ConfigPath) {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if places.len() < SECRETS {
            places.insert(path);
        }
    }

    fn all(&self) -> Vec<ConfigPath> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

impl RawConfig {
    /// `value`, which stands at `path`.
    pub fn new(value: Value, path: impl Into<ConfigPath>) -> Self {
        Self::part(value, path.into(), SecretPlaces::default())
    }

    pub(super) fn part(value: Value, path: ConfigPath, secrets: SecretPlaces) -> Self {
        Self { value, path: Arc::new(path), secrets }
    }

    /// An empty map at `path`: a section that was left out.
    pub fn empty(path: impl Into<ConfigPath>) -> Self {
        Self::new(Value::map::<&str>([]), path)
    }

    /// Reads it as a `T`, and reports everything that is wrong with it, up to 50 errors.
    ///
    /// Each error is at its place in the file. A value that came from an interpolation is named by its `${VAR}`.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, ConfigErrors> {
        reader::read_all(&self.value, &self.path, &self.secrets)
    }

    /// Where it stands, from the root of the file.
    pub fn path(&self) -> &ConfigPath {
        &self.path
    }

    /// What stands there.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// Whether nothing stands there.
    pub fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    /// The part under `key`, if this is a map that has it.
    pub fn get(&self, key: &str) -> Option<RawConfig> {
        Some(Self::part(self.value.get(key)?.clone(), self.path.key(key), self.secrets.clone()))
    }

    /// The same map without `key`; anything else as it is.
    #[must_use]
    pub fn without(&self, key: &str) -> Self {
        let value = match &self.value {
            Value::Map(map) => Value::from(map.without(key)),
            other => other.clone(),
        };
        Self { value, ..self.clone() }
    }

    /// The parts of a map, in the order of the file; none for anything else.
    pub fn entries(&self) -> impl Iterator<Item = (&str, RawConfig)> {
        let entries = self.value.as_map().into_iter().flat_map(|map| map.iter());
        entries.map(|(key, value)| (&**key, Self::part(value.clone(), self.path.key(key), self.secrets.clone())))
    }

    /// The parts of a list; none for anything else.
    pub fn elements(&self) -> impl Iterator<Item = RawConfig> {
        let elements = self.value.as_seq().unwrap_or_default().iter().enumerate();
        elements.map(|(index, value)| Self::part(value.clone(), self.path.index(index), self.secrets.clone()))
    }

    /// The places in the whole configuration at which somebody has read, or tried to read, a
    /// [`Secret`](super::Secret).
    pub fn secrets(&self) -> Vec<ConfigPath> {
        self.secrets.all()
    }
}

impl fmt::Debug for RawConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.value)
    }
}

impl fmt::Display for RawConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

/// The name by which our deserializer knows that a [`RawConfig`] is asked for.
pub(super) const TOKEN: &str = "$tidegate::RawConfig";

thread_local! {
    /// Set by our deserializer just before it calls [`RawVisitor`], which takes it at once. Serde has no other way
    /// to hand over what is not part of its data model.
    static HANDED_OVER: RefCell<Option<RawConfig>> = const { RefCell::new(None) };
}

pub(super) fn hand_over<'de, V: Visitor<'de>, E: de::Error>(raw: RawConfig, visitor: V) -> Result<V::Value, E> {
    HANDED_OVER.set(Some(raw));
    let result = visitor.visit_unit();
    HANDED_OVER.take();
    result
}

impl<'de> Deserialize<'de> for RawConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(TOKEN, RawVisitor)
    }
}

struct RawVisitor;

const FOREIGN: &str = "an unread part of the configuration can only be read by RawConfig::read";

impl<'de> Visitor<'de> for RawVisitor {
    type Value = RawConfig;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<RawConfig, E> {
        HANDED_OVER.take().ok_or_else(|| E::custom(FOREIGN))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, _: D) -> Result<RawConfig, D::Error> {
        Err(de::Error::custom(FOREIGN))
    }
}

impl JsonSchema for RawConfig {
    fn schema_name() -> Cow<'static, str> {
        "Any".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Route {
        name: String,
        plugins: BTreeMap<String, RawConfig>,
        rest: Option<RawConfig>,
    }

    fn route() -> RawConfig {
        let plugins = Value::map([("auth", Value::map([("role", Value::from("admin"))]))]);
        RawConfig::new(Value::map([("name", Value::from("users")), ("plugins", plugins)]), "routes[3]")
    }

    #[test]
    fn an_unread_part_knows_its_place() {
        let route: Route = route().read().unwrap();
        assert_eq!(route.name, "users");
        assert!(route.rest.is_none());
        let auth = &route.plugins["auth"];
        assert_eq!(auth.path().to_string(), "routes[3].plugins.auth");
        let errors = auth.read::<BTreeMap<String, bool>>().unwrap_err();
        assert_eq!(
            errors.to_string(),
            "routes[3].plugins.auth.role: expected true or false, found the string \"admin\""
        );
    }

    #[test]
    fn an_unread_part_is_not_for_other_deserializers() {
        let error = serde_json::from_str::<RawConfig>("{}").unwrap_err();
        assert!(error.to_string().contains("RawConfig::read"), "{error}");
        let error = serde_json::from_str::<Vec<RawConfig>>("[null]").unwrap_err();
        assert!(error.to_string().contains("RawConfig::read"), "{error}");
    }

    #[test]
    fn the_places_of_secrets_are_known_to_all_parts() {
        #[derive(Debug, serde::Deserialize)]
        struct Account {
            #[serde(rename = "pin")]
            _pin: crate::config::Secret,
        }
        let account = Value::map([("pin", Value::from("1234"))]);
        let root = RawConfig::new(Value::map([("anna", account), ("bob", Value::map([("pin", Value::Null)]))]), "");
        root.get("anna").unwrap().read::<Account>().unwrap();
        root.read::<BTreeMap<String, Account>>().unwrap_err();
        let places: Vec<_> = root.secrets().iter().map(ToString::to_string).collect();
        assert_eq!(places, ["anna.pin", "bob.pin"]);
    }

    #[test]
    fn parts_are_picked_by_name_and_place() {
        let route = route();
        assert_eq!(route.get("plugins").unwrap().get("auth").unwrap().path().to_string(), "routes[3].plugins.auth");
        assert!(route.get("nope").is_none());
        assert_eq!(route.without("plugins").to_string(), "{name: users}");
        let names: Vec<_> = route.entries().map(|(name, _)| name.to_owned()).collect();
        assert_eq!(names, ["name", "plugins"]);
        let list = RawConfig::new(vec![Value::Null, Value::Bool(true)].into(), "a");
        let paths: Vec<_> = list.elements().map(|raw| raw.path().to_string()).collect();
        assert_eq!(paths, ["a[0]", "a[1]"]);
        assert!(RawConfig::new(Value::Null, "").is_null());
    }
}
