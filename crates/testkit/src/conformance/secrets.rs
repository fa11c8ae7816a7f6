//! Secrets that must not show.

use serde_json::{Value as Json, json};
use tidegate_core::Plugin;

use super::{UNKNOWN, sample, schema_of};
use crate::gateway;

const CANARY: &str = "canary-c0ffee-that-nobody-may-see";
/// Half a secret is half as much to guess, in whatever case.
const HALF: &str = "canary-c0ffee";

/// Panics if a value of a field of type `Secret` shows in the errors of a configuration that holds it, be it that
/// something else is wrong beside it or that the secret itself is of no use.
pub fn secrets_stay_hidden<P: Plugin>() {
    for section in sample::with_secret(&schema_of::<P::Config>(), CANARY) {
        hidden::<P>(&section, &json!({}));
        hidden::<P>(&beside_a_fault(section), &json!({}));
    }
    for policy in sample::with_secret(&schema_of::<P::Policy>(), CANARY) {
        hidden::<P>(&json!({}), &policy);
        hidden::<P>(&json!({}), &beside_a_fault(policy));
    }
}

fn hidden<P: Plugin>(section: &Json, policy: &Json) {
    let route = json!([{ "reply": { "body": "" }, "plugins": { P::NAME: policy } }]);
    let yaml = format!("{}: {section}\nrouting: {{ \"routes\": {route} }}\n", P::NAME);
    if let Err(errors) = gateway().plugin::<P>().check(&yaml) {
        assert!(!errors.to_ascii_lowercase().contains(HALF), "a secret shows in the errors of\n{yaml}\n{errors}");
    }
}

fn beside_a_fault(mut value: Json) -> Json {
    if let Some(object) = value.as_object_mut() {
        object.insert(UNKNOWN.to_owned(), Json::Bool(true));
    }
    value
}
