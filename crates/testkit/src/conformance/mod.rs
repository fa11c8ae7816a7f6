//! What every plugin must keep to, as one line in its tests.

mod cost;
mod readme;
mod sample;
mod schema;
mod secrets;

use schemars::{JsonSchema, generate::SchemaSettings};
use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use tidegate_core::config::Value;
use tidegate_core::{Plugin, RawConfig, Router};

pub use self::cost::route_without_it_pays_nothing;
pub use self::readme::{readme_works, readme_works_with_router};
pub use self::secrets::secrets_stay_hidden;

/// Tests that a plugin keeps to the rules, as a test binary of its own (it takes the allocator):
///
/// ```text
/// // tests/conformance.rs
/// tidegate_testkit::conformance!(tidegate_headers::Headers, "../README.md");
/// ```
///
/// - An unknown key is refused in the section, in a policy, and in everything inside them.
/// - Every field is documented.
/// - The README's `yaml` blocks are good configurations. A block is a whole file, or one route, or a list of routes;
///   listeners and upstreams that it leaves out are added, and `${VAR}` stands for something.
/// - A route that doesn't use the plugin makes no allocation more than in a gateway that hasn't got it.
/// - Fields of type `Secret` never show in an error.
///
/// A plugin whose section can't be left out says what must be in it: `conformance!(Auth, "../README.md", "{ key: x }")`.
#[macro_export]
macro_rules! conformance {
    ($plugin:ty, $readme:literal) => {
        $crate::conformance!($plugin, $readme, "{}");
    };
    ($plugin:ty, $readme:literal, $section:literal) => {
        $crate::count_allocations!();

        #[test]
        fn unknown_keys_are_refused() {
            $crate::conformance::unknown_keys_are_refused::<$plugin>();
        }

        #[test]
        fn every_field_is_documented() {
            $crate::conformance::every_field_is_documented::<$plugin>();
        }

        #[test]
        fn the_yaml_of_the_readme_works() {
            $crate::conformance::readme_works::<$plugin>(include_str!($readme));
        }

        #[test]
        fn a_route_without_it_pays_nothing() {
            $crate::conformance::route_without_it_pays_nothing::<$plugin>($section);
        }

        #[test]
        fn secrets_stay_hidden() {
            $crate::conformance::secrets_stay_hidden::<$plugin>();
        }
    };
}

/// The same for a router: its section, and the README.
#[macro_export]
macro_rules! router_conformance {
    ($router:ty, $readme:literal) => {
        #[test]
        fn unknown_keys_are_refused() {
            $crate::conformance::unknown_keys_of_router_are_refused::<$router>();
        }

        #[test]
        fn every_field_is_documented() {
            $crate::conformance::every_field_of_router_is_documented::<$router>();
        }

        #[test]
        fn the_yaml_of_the_readme_works() {
            $crate::conformance::readme_works_with_router::<$router>(include_str!($readme));
        }
    };
}

/// A key that no plugin can have.
const UNKNOWN: &str = "surely_unknown_key";

/// Panics unless an unknown key is refused in the section, in a policy, and in everything inside them.
pub fn unknown_keys_are_refused<P: Plugin>() {
    refuses_unknown::<P::Config>(&format!("the section `{}`", P::NAME));
    refuses_unknown::<P::Policy>(&format!("a policy of `{}`", P::NAME));
}

/// Panics unless an unknown key is refused in the section and in everything inside it.
pub fn unknown_keys_of_router_are_refused<R: Router>() {
    refuses_unknown::<R::Config>(&format!("the section `{}`", R::NAME));
}

/// Panics with the list of fields that say nothing of themselves.
pub fn every_field_is_documented<P: Plugin>() {
    documented(&[("section", schema_of::<P::Config>()), ("policy", schema_of::<P::Policy>())]);
}

/// Panics with the list of fields that say nothing of themselves.
pub fn every_field_of_router_is_documented<R: Router>() {
    documented(&[("section", schema_of::<R::Config>())]);
}

fn refuses_unknown<T: DeserializeOwned + JsonSchema>(what: &str) {
    let raw = RawConfig::new(Value::map([(UNKNOWN, Value::Bool(true))]), "here");
    match raw.read::<T>() {
        Ok(_) => panic!("{what} takes the unknown key `{UNKNOWN}`: put #[serde(deny_unknown_fields)] on its type"),
        Err(errors) => {
            assert!(errors.to_string().contains(UNKNOWN), "{what} does not say which key it does not know:\n{errors}")
        }
    }
    let open = schema::open_objects(&schema_of::<T>());
    assert!(open.is_empty(), "{what} has parts that take unknown keys, as they lack deny_unknown_fields:\n{open:#?}");
}

fn documented(schemas: &[(&str, Json)]) {
    let silent: Vec<_> = schemas
        .iter()
        .flat_map(|(what, schema)| schema::undocumented(schema).into_iter().map(move |path| format!("{what}: {path}")))
        .collect();
    assert!(silent.is_empty(), "fields without a doc comment:\n{silent:#?}");
}

fn schema_of<T: JsonSchema>() -> Json {
    SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>().to_value()
}
