//! The JSON Schema of the whole file.

use std::collections::BTreeMap;

use schemars::{Schema, schema_for};
use serde_json::{Map, Value, json};
use tidegate_config::schema::Assembly;
use tidegate_core::StoreConfig;
use tidegate_listener::ListenerConfig;
use tidegate_upstream::UpstreamConfig;

use crate::access_log::AccessLogConfig;
use crate::build::Parts;
use crate::client::TrustedProxy;
use crate::kinds::PluginKind;
use crate::problem::ErrorsConfig;
use crate::request_id::RequestIdConfig;
use crate::settings::{AdminConfig, LimitsConfig, ServerConfig};

/// The schema of what a gateway of these parts reads.
pub(crate) fn of(parts: &Parts) -> Value {
    let mut assembly = Assembly::new();
    own_sections(&mut assembly);
    let mut policies = Map::new();
    for plugin in &parts.plugins {
        policies.insert(plugin.name().to_owned(), plugin_section(&mut assembly, plugin.as_ref()));
    }
    if let Some(router) = &parts.router {
        assembly.section(router.name(), router.config_schema(), false);
    }
    let mut schema = assembly.finish("Tidegate", "The configuration of a Tidegate gateway.");
    name_policies(&mut schema, &policies);
    schema
}

fn own_sections(assembly: &mut Assembly) {
    let mut add = |name, schema, text| assembly.section(name, described(schema, text), name == "listeners");
    add("server", schema_for!(ServerConfig), "Threads, and what happens on SIGTERM.");
    add("listeners", schema_for!(Vec<ListenerConfig>), "Where clients connect.");
    add("admin", off_or(schema_for!(AdminConfig)), "Metrics, liveness and readiness; `off` for none.");
    add("limits", schema_for!(LimitsConfig), "Limits of routes that don't say otherwise.");
    let text = "Proxies in front of the gateway whose X-Forwarded-* fields are believed. Default: none.";
    add("trusted_proxies", schema_for!(Vec<TrustedProxy>), text);
    let text = "The field in which a trusted proxy says what country the client is in, such as CF-IPCountry or \
                CloudFront-Viewer-Country: two letters, for limits by country. Default: none.";
    add("country_header", schema_for!(String), text);
    add("request_id", schema_for!(RequestIdConfig), "The id by which client, log and upstream know a request.");
    add("access_log", schema_for!(AccessLogConfig), "One line for each request; `off` for none.");
    add("errors", schema_for!(ErrorsConfig), "What errors of the gateway look like.");
    add("stores", schema_for!(BTreeMap<String, StoreConfig>), "Stores that gateways share, by name.");
    add("upstreams", schema_for!(BTreeMap<String, UpstreamConfig>), "Pools of servers, by name.");
}

/// Adds a plugin's section, with `default` in it; returns the schema of a route's policy.
fn plugin_section(assembly: &mut Assembly, plugin: &dyn PluginKind) -> Value {
    let name = plugin.name();
    let policy = json!({ "anyOf": [assembly.embed(name, plugin.policy_schema()), { "const": "off" }] });
    assembly.section(name, plugin.config_schema(), false);
    if let Some(section) = assembly.section_mut(name).and_then(Value::as_object_mut) {
        let mut default = policy.clone();
        default["description"] = "What routes ask of this plugin that don't say what they ask.".into();
        let fields = section.entry("properties").or_insert_with(|| Value::Object(Map::new()));
        fields["default"] = default;
    }
    policy
}

fn described(mut schema: Schema, text: &str) -> Schema {
    schema.insert("description".to_owned(), text.into());
    schema
}

fn off_or(schema: Schema) -> Schema {
    let mut value = schema.to_value();
    let definitions = value.as_object_mut().and_then(|schema| schema.remove("$defs"));
    schemars::json_schema!({ "anyOf": [value, { "const": "off" }], "$defs": definitions.unwrap_or(json!({})) })
}

/// A router keeps policies unread, so its schema says "anything" of a field called `plugins`: here each plugin's
/// own schema takes that place.
fn name_policies(schema: &mut Value, policies: &Map<String, Value>) {
    match schema {
        Value::Object(object) => {
            if let Some(plugins) = object.get_mut("properties").and_then(|fields| fields.get_mut("plugins")) {
                let text = plugins.get("description").cloned().unwrap_or_default();
                *plugins = json!({
                    "description": text,
                    "type": "object",
                    "additionalProperties": false,
                    "properties": policies,
                });
            }
            object.values_mut().for_each(|value| name_policies(value, policies));
        }
        Value::Array(values) => values.iter_mut().for_each(|value| name_policies(value, policies)),
        _ => {}
    }
}
