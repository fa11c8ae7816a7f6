//! Roles, permissions and scopes: what is looked up in the identity alone. Nothing here allocates.

use tidegate_core::facts::Identity;
use tidegate_core::{ConfigError, ConfigErrors, ConfigPath};

use super::roles::Roles;

/// What an identity must have.
#[derive(Debug, Default)]
pub(super) struct Needs {
    /// One of these; any where there are none.
    roles: Box<[Box<str>]>,
    /// All of these.
    permissions: Box<[Permission]>,
    /// All of these.
    scopes: Box<[Box<str>]>,
}

/// A permission and who has it: which roles give it is known when the configuration is read.
#[derive(Debug)]
struct Permission {
    name: Box<str>,
    roles: Box<[Box<str>]>,
}

/// What an identity doesn't have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unmet<'n> {
    Roles,
    Permission(&'n str),
}

impl Needs {
    /// Errors are relative to what has these three.
    pub(super) fn build(
        roles: &[String],
        permissions: &[String],
        scopes: &[String],
        known: &Roles,
    ) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        let root = ConfigPath::root();
        each(roles, &root.key("roles"), &mut errors, role_fault);
        each(scopes, &root.key("scopes"), &mut errors, scope_fault);
        each(permissions, &root.key("permissions"), &mut errors, |name| permission_fault(name, known));
        let permission = |name: &String| Permission {
            name: name.as_str().into(),
            roles: known.that_give(name).map(Box::from).collect(),
        };
        errors.into_result(Self {
            roles: roles.iter().map(|role| role.as_str().into()).collect(),
            permissions: permissions.iter().map(permission).collect(),
            scopes: scopes.iter().map(|scope| scope.as_str().into()).collect(),
        })
    }

    /// What is missing first, but for scopes.
    pub(super) fn unmet(&self, identity: &Identity) -> Option<Unmet<'_>> {
        if !self.roles.is_empty() && !has_one_of(identity, &self.roles) {
            return Some(Unmet::Roles);
        }
        let missing = self.permissions.iter().find(|permission| !has_one_of(identity, &permission.roles));
        missing.map(|permission| Unmet::Permission(&permission.name))
    }

    pub(super) fn has_scopes(&self, identity: &Identity) -> bool {
        self.scopes.iter().all(|scope| identity.has_scope(scope))
    }

    pub(super) fn roles(&self) -> &[Box<str>] {
        &self.roles
    }

    pub(super) fn scopes(&self) -> &[Box<str>] {
        &self.scopes
    }

    /// Each with the roles that give it.
    pub(super) fn permissions(&self) -> impl Iterator<Item = (&str, &[Box<str>])> {
        self.permissions.iter().map(|permission| (&*permission.name, &*permission.roles))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.roles.is_empty() && self.permissions.is_empty() && self.scopes.is_empty()
    }
}

pub(super) fn has_one_of(identity: &Identity, roles: &[Box<str>]) -> bool {
    roles.iter().any(|role| identity.has_role(role))
}

fn each(names: &[String], at: &ConfigPath, errors: &mut ConfigErrors, fault: impl Fn(&str) -> Option<ConfigError>) {
    for (index, name) in names.iter().enumerate() {
        errors.extend(fault(name).map(|error| error.under(&at.index(index))));
    }
}

fn role_fault(name: &str) -> Option<ConfigError> {
    match name {
        "" => Some(ConfigError::at("", "an empty name")),
        "*" => Some(ConfigError::at("", "`*` is no role").help("leave `roles` out to take any")),
        _ => None,
    }
}

/// RFC 6749 section 3.3: what a scope may be made of; it is sent to the client in quotes.
fn scope_fault(name: &str) -> Option<ConfigError> {
    let is_token = |byte: u8| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
    match !name.is_empty() && name.bytes().all(is_token) {
        true => None,
        false => {
            Some(ConfigError::at("", "this is not a scope").help("one word in each place: [users:read, users:write]"))
        }
    }
}

fn permission_fault(name: &str, known: &Roles) -> Option<ConfigError> {
    if name.is_empty() || name.contains('*') {
        return Some(ConfigError::at("", "a permission is named whole here").help("`*` belongs into auth.roles"));
    }
    match known.that_give(name).next() {
        Some(_) => None,
        None => {
            let error =
                ConfigError::at("", format!("no role gives `{}`, so nobody could get through", name.escape_debug()));
            Some(error.help(format!("give it to one: auth: {{ roles: {{ admin: [\"{}\"] }} }}", name.escape_debug())))
        }
    }
}

#[cfg(test)]
mod tests {
    use tidegate_core::facts::IdentityParts;

    use super::*;

    fn owned(list: &[&str]) -> Vec<String> {
        list.iter().map(|one| (*one).to_owned()).collect()
    }

    fn known() -> Roles {
        let roles = [("admin", &["*"][..]), ("user", &["posts:read"][..])];
        Roles::build(&roles.map(|(name, gives)| (name.to_owned(), owned(gives))).into()).expect("roles")
    }

    fn who(roles: &[&str], scopes: &[&str]) -> Identity {
        let boxed = |list: &[&str]| list.iter().map(|one| Box::from(*one)).collect();
        IdentityParts { roles: boxed(roles), scopes: boxed(scopes), ..Default::default() }.into()
    }

    #[test]
    fn one_role_is_enough_and_all_permissions_and_scopes_are_needed() {
        let needs = Needs::build(&owned(&["user", "admin"]), &[], &owned(&["a", "b"]), &known()).expect("needs");
        assert_eq!(needs.unmet(&who(&["admin"], &[])), None);
        assert_eq!(needs.unmet(&who(&["other"], &["a", "b"])), Some(Unmet::Roles));
        assert!(needs.has_scopes(&who(&[], &["b", "c", "a"])) && !needs.has_scopes(&who(&[], &["a"])));
        let needs = Needs::build(&[], &owned(&["posts:read", "posts:write"]), &[], &known()).expect("needs");
        assert_eq!(needs.unmet(&who(&["admin"], &[])), None);
        assert_eq!(needs.unmet(&who(&["user"], &[])), Some(Unmet::Permission("posts:write")));
        assert_eq!(needs.unmet(&who(&[], &[])), Some(Unmet::Permission("posts:read")));
    }

    #[test]
    fn nothing_needed_is_met_by_all() {
        assert!(Needs::default().unmet(&who(&[], &[])).is_none() && Needs::default().has_scopes(&who(&[], &[])));
    }

    #[test]
    fn every_fault_has_its_place() {
        let none = Roles::build(&Default::default()).expect("none");
        let errors = Needs::build(&owned(&["", "*"]), &owned(&["a", "b*"]), &owned(&["a b", "\"", "ok"]), &none);
        let errors = errors.expect_err("bad").to_string();
        for place in
            ["roles[0]", "roles[1]", "permissions[0]: no role gives `a`", "permissions[1]", "scopes[0]", "scopes[1]"]
        {
            assert!(errors.contains(place), "{place} is missing:\n{errors}");
        }
        assert!(!errors.contains("scopes[2]"), "{errors}");
    }
}
