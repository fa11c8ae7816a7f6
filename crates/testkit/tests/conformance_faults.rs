//! The conformance test finds what it is there to find.

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_core::config::Secret;
use tidegate_core::{BuildCx, ConfigError, ConfigErrors, Cx, Flow, Handler, Plugin, Result, Route};
use tidegate_testkit::conformance::{
    every_field_is_documented, readme_works, route_without_it_pays_nothing, secrets_stay_hidden,
    unknown_keys_are_refused,
};

tidegate_testkit::count_allocations!();

/// Takes unknown keys, keeps silent about a field, shows a secret, and allocates.
struct Careless;

#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Config {
    /// The key.
    key: Option<Secret>,
}

#[derive(Deserialize, JsonSchema)]
struct Policy {
    #[allow(dead_code, reason = "only read from the configuration")]
    silent: Option<String>,
}

struct Boxes;

impl Handler for Boxes {
    async fn request(&self, _: &mut Cx<'_>) -> Result<Flow> {
        drop(std::hint::black_box(Box::new([0_u8; 32])));
        Ok(Flow::Continue)
    }
}

impl Plugin for Careless {
    const NAME: &'static str = "careless";
    type Config = Config;
    type Policy = Policy;
    type Handler = Boxes;

    fn build(config: Config, _: &mut BuildCx<'_>) -> Result<Self, ConfigErrors> {
        match config.key {
            // What is in the file is taken out of errors by the gateway; what is made of it can't be.
            Some(key) => Err(ConfigError::at("key", format!("`{}` is not a key", key.expose().to_uppercase())).into()),
            None => Ok(Self),
        }
    }
    fn handler(&self, _: Policy, _: &Route) -> Result<Boxes, ConfigErrors> {
        Ok(Boxes)
    }
}

#[test]
#[should_panic(expected = "takes the unknown key")]
fn a_type_without_deny_unknown_fields() {
    unknown_keys_are_refused::<Careless>();
}

#[test]
#[should_panic(expected = "policy: .silent")]
fn a_field_without_a_doc_comment() {
    every_field_is_documented::<Careless>();
}

#[test]
#[should_panic(expected = "a secret shows")]
fn a_secret_in_an_error() {
    secrets_stay_hidden::<Careless>();
}

#[test]
#[should_panic(expected = "allocations, and")]
fn an_allocation_on_the_path_of_a_route_that_did_not_ask() {
    route_without_it_pays_nothing::<Careless>("{ default: {} }");
}

#[test]
#[should_panic(expected = "line 4 of the README")]
fn a_readme_whose_example_is_wrong() {
    readme_works::<Careless>("# Careless\n\n```yaml\ncareless: { kee: x }\n```\n");
}

#[test]
#[should_panic(expected = "shows no configuration")]
fn a_readme_without_an_example() {
    readme_works::<Careless>("# Careless\n");
}
