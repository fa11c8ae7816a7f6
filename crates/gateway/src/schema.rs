//! The JSON Schema of the whole file.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

use crate::access_log::AccessLogConfig;
use crate::build::Parts;
use crate::client::TrustedProxy;
use crate::problem::ErrorsConfig;
use crate::request_id::RequestIdConfig;
use crate::settings::{AdminConfig, LimitsConfig, ServerConfig};

/// The schema of what a gateway of these parts reads.
pub(crate) fn of(parts: &Parts) -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let mut properties = Map::new();
    own_sections(&mut generator, &mut properties);
    let mut policies = Map::new();
    for plugin in &parts.plugins {
        let policy = off_or(plugin.policy_schema(&mut generator).to_value());
        let mut section = inline(plugin.config_schema(&mut generator), &mut generator);
        if let Some(fields) = fields(&mut section) {
            let mut default = policy.clone();
            describe(&mut default, "The policy of routes that have none of their own for this plugin.");
            fields.insert("default".to_owned(), default);
        }
        policies.insert(plugin.name().to_owned(), policy);
        properties.insert(plugin.name().to_owned(), section);
    }
    if let Some(router) = &parts.router {
        let mut section = router.config_schema(&mut generator).to_value();
        describe(&mut section, "Which route is a request's.");
        properties.insert(router.name().to_owned(), section);
    }
    let mut definitions = Value::Object(generator.take_definitions(true));
    for section in properties.values_mut().chain([&mut definitions]) {
        name_policies(section, &policies);
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Tidegate configuration",
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
        "$defs": definitions,
    })
}

fn own_sections(generator: &mut SchemaGenerator, properties: &mut Map<String, Value>) {
    let mut add = |name: &str, mut schema: Value, text: &str| {
        describe(&mut schema, text);
        properties.insert(name.to_owned(), schema);
    };
    add("include", json!({ "type": "array", "items": { "type": "string" } }), "More files to read, relative to this one.");
    add("server", of_type::<ServerConfig>(generator), "Threads, and what happens on SIGTERM.");
    add("listeners", of_type::<Vec<tidegate_listener::ListenerConfig>>(generator), "Where clients connect.");
    add("admin", off_or(of_type::<AdminConfig>(generator)), "Metrics, liveness and readiness; `off` for none.");
    add("limits", of_type::<LimitsConfig>(generator), "Limits of routes that don't say otherwise.");
    let text = "Proxies in front of the gateway whose X-Forwarded-* headers are believed. Default: none.";
    add("trusted_proxies", of_type::<Vec<TrustedProxy>>(generator), text);
    add("request_id", of_type::<RequestIdConfig>(generator), "The id by which client, log and upstream know a request.");
    add("access_log", of_type::<AccessLogConfig>(generator), "One line for each request.");
    add("errors", of_type::<ErrorsConfig>(generator), "What errors of the gateway look like.");
    add("stores", of_type::<BTreeMap<String, tidegate_core::StoreConfig>>(generator), "Stores shared by gateways, by name.");
    let text = "Pools of servers, by name.";
    add("upstreams", of_type::<BTreeMap<String, tidegate_upstream::UpstreamConfig>>(generator), text);
}

fn of_type<T: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
    generator.subschema_for::<T>().to_value()
}

/// A section's own copy, to which `default` can be added.
fn inline(schema: Schema, generator: &mut SchemaGenerator) -> Value {
    let value = schema.to_value();
    let name = value.get("$ref").and_then(Value::as_str).and_then(|path| path.rsplit('/').next());
    let found = name.and_then(|name| generator.definitions().get(name).cloned());
    found.unwrap_or(value)
}

fn fields(schema: &mut Value) -> Option<&mut Map<String, Value>> {
    let object = schema.as_object_mut()?;
    object.entry("properties").or_insert_with(|| Value::Object(Map::new())).as_object_mut()
}

fn off_or(schema: Value) -> Value {
    json!({ "anyOf": [schema, { "const": "off" }] })
}

fn describe(schema: &mut Value, text: &str) {
    if let Some(object) = schema.as_object_mut() {
        object.entry("description").or_insert_with(|| text.into());
    }
}

/// A router keeps policies unread, so its schema says "anything" of a field called `plugins`: here each plugin's
/// own schema takes that place.
fn name_policies(schema: &mut Value, policies: &Map<String, Value>) {
    match schema {
        Value::Object(object) => {
            if let Some(plugins) = object.get_mut("properties").and_then(|p| p.get_mut("plugins")) {
                let text = plugins.get("description").cloned();
                *plugins = json!({ "type": "object", "additionalProperties": false, "properties": policies });
                if let (Some(plugins), Some(text)) = (plugins.as_object_mut(), text) {
                    plugins.insert("description".to_owned(), text);
                }
            }
            object.values_mut().for_each(|value| name_policies(value, policies));
        }
        Value::Array(values) => values.iter_mut().for_each(|value| name_policies(value, policies)),
        _ => {}
    }
}
