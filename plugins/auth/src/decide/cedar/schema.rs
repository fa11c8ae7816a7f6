//! What policies are checked against when the configuration is read.

use std::path::Path;

use cedar_policy::ffi::DetailedError;
use cedar_policy::{EntityTypeName, EntityUid, Schema, ValidationMode, Validator};
use tidegate_core::{ConfigError, ConfigErrors};

use super::files::{faults, read};
use super::policies::Policies;

/// A schema, and what was found when policies were checked against it.
#[derive(Debug)]
pub(super) struct Checked {
    validator: Validator,
    /// What is likely a mistake, relative to `cedar`.
    pub(super) warnings: Vec<ConfigError>,
}

/// The schema in a file: Cedar's own syntax, or JSON. Errors are relative to `cedar`.
pub(super) fn load(path: &Path) -> Result<Schema, ConfigErrors> {
    let source = path.display().to_string();
    let text = read(path).map_err(|error| error.under(&"schema".into()))?;
    let wrong = |error: DetailedError| -> ConfigErrors {
        let faults = faults(&source, &text, &error);
        ConfigErrors::from(faults).under(&"schema".into())
    };
    match path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json")) {
        true => Schema::from_json_str(&text).map_err(|error| wrong((&error).into())),
        false => text.parse::<Schema>().map_err(|error| wrong((&error).into())),
    }
}

impl Checked {
    /// Cedar's strict mode: a policy that is taken here meets no type error and no missing attribute, as long as what
    /// it is told is what the schema says. Errors are relative to `cedar`.
    pub(super) fn new(schema: Schema, policies: &Policies) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        let user: Option<EntityTypeName> = "User".parse().ok();
        if !schema.entity_types().any(|kind| Some(kind) == user.as_ref()) {
            let error = ConfigError::at("schema", "it has no entity type `User`, and principals are of no other");
            errors.push(error.help("add `entity User;`, or `entity User in [Role];` and `entity Role;`"));
        }
        let validator = Validator::new(schema);
        let found = validator.validate(&policies.set, ValidationMode::Strict);
        for error in found.validation_errors() {
            errors.extend(policies.fault(error.policy_id(), &error.into()));
        }
        let warnings = found.validation_warnings();
        let warnings = warnings.flat_map(|warning| policies.fault(warning.policy_id(), &warning.into())).collect();
        errors.into_result(Self { validator, warnings })
    }

    pub(super) fn schema(&self) -> &Schema {
        self.validator.schema()
    }

    /// What is wrong with asking for this type of resources and these actions. Errors are relative to `require`.
    pub(super) fn misses(&self, resource: &EntityTypeName, actions: &[(String, EntityUid)]) -> ConfigErrors {
        let schema = self.schema();
        let mut errors = ConfigErrors::new();
        if !schema.entity_types().any(|kind| kind == resource) {
            let error = ConfigError::at("cedar.resource_type", format!("the schema has no entity type `{resource}`"));
            errors.push(error.help(format!("add `entity {resource};` to the schema, or name another type here")));
        }
        for (method, action) in actions {
            if !schema.actions().any(|known| known == action) {
                let at = tidegate_core::ConfigPath::from("actions").key(method);
                let error = ConfigError::at(at, format!("the schema has no {action}"));
                errors.push(error.help(format!("it has: {}", joined(schema.actions()))));
            }
        }
        errors
    }
}

fn joined(uids: impl Iterator<Item = impl std::fmt::Display>) -> String {
    let mut all: Vec<_> = uids.map(|uid| uid.to_string()).collect();
    all.sort();
    all.join(", ")
}
