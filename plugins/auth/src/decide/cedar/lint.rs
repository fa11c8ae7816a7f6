//! What is likely a mistake in policies.

use std::collections::BTreeSet;

use cedar_policy::{ActionConstraint, Effect, Policy, PrincipalConstraint, ResourceConstraint};
use tidegate_core::{ConfigError, ConfigErrors};

use super::engine::Engine;
use super::policies::shown;

impl Engine {
    /// Paths are relative to `cedar`. `resources` are the types of resources that routes ask about; `None` where a
    /// service can speak of others.
    pub(in crate::decide) fn warnings(&self, resources: Option<&BTreeSet<String>>) -> ConfigErrors {
        let mut found = ConfigErrors::new();
        found.extend(self.checked.iter().flat_map(|checked| checked.warnings.clone()));
        let mut policies: Vec<_> = self.policies.set.policies().collect();
        policies.sort_by_key(|policy| policy.id());
        if !policies.iter().any(|policy| policy.effect() == Effect::Permit) {
            let error = ConfigError::at("", "no policy permits anything, so nobody gets through");
            found.push(error.help("add what is permitted: permit(principal in Role::\"admin\", action, resource);"));
        }
        for policy in policies {
            found.extend(self.permits_everything(policy));
            found.extend(resources.map(|resources| self.unknown_types(policy, resources)).unwrap_or_default());
        }
        found
    }

    fn permits_everything(&self, policy: &Policy) -> Option<ConfigError> {
        let anybody = policy.principal_constraint() == PrincipalConstraint::Any;
        let any_action = policy.action_constraint() == ActionConstraint::Any;
        let anything = policy.resource_constraint() == ResourceConstraint::Any;
        let always = !policy.has_non_scope_constraint();
        let all = policy.effect() == Effect::Permit && anybody && any_action && anything && always;
        all.then(|| {
            let warning = self.about(policy, "permits everything to everybody");
            warning.help("say to whom, what, or when: permit(principal in Role::\"admin\", action, resource);")
        })
    }

    /// A type that nothing is of: a slip that no schema is there to find.
    fn unknown_types(&self, policy: &Policy, resources: &BTreeSet<String>) -> Vec<ConfigError> {
        if self.checked.is_some() {
            return Vec::new();
        }
        let types: BTreeSet<String> = policy.entity_literals().iter().map(|uid| uid.type_name().to_string()).collect();
        let is_known = |name: &String| {
            matches!(name.as_str(), "User" | "Role" | "Action") || resources.contains(name) || self.known.has_type(name)
        };
        let unknown = types.iter().filter(|name| !is_known(name));
        let warning = |name| {
            let warning = self.about(policy, &format!("speaks of `{name}`, and nothing is of that type"));
            warning.help("principals are `User`s in `Role`s; resources are of the type that routes name, else `Route`")
        };
        unknown.map(warning).collect()
    }

    fn about(&self, policy: &Policy, what: &str) -> ConfigError {
        let (at, source) = self.policies.home(policy.id());
        ConfigError::at(at, format!("{source}: policy `{}` {what}", shown(policy.id())))
    }
}
