//! What the section's `roles:` give.

use std::collections::BTreeMap;

use tidegate_core::{ConfigError, ConfigErrors, ConfigPath};

use super::glob::Beginning;

/// Permissions by role.
#[derive(Debug)]
pub(super) struct Roles(Box<[Role]>);

#[derive(Debug)]
pub(super) struct Role {
    pub(super) name: Box<str>,
    gives: Box<[Beginning]>,
}

impl Roles {
    /// Errors are relative to `roles`.
    pub(super) fn build(roles: &BTreeMap<String, Vec<String>>) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        let mut all = Vec::new();
        for (name, permissions) in roles {
            let at = ConfigPath::root().key(name);
            if name.is_empty() {
                errors.push(ConfigError::at(&at, "a role without a name").about_key());
            }
            let mut gives = Vec::new();
            for (index, permission) in permissions.iter().enumerate() {
                let parsed = Beginning::parse(permission).map_err(|why| {
                    ConfigError::at(at.index(index), why).help("write `users:read`, or `users:*` for all that begin so")
                });
                gives.extend(errors.collect(parsed));
            }
            all.push(Role { name: name.as_str().into(), gives: gives.into() });
        }
        errors.into_result(Self(all.into()))
    }

    /// The roles that give a permission.
    pub(super) fn that_give<'r>(&'r self, permission: &'r str) -> impl Iterator<Item = &'r str> {
        self.0.iter().filter(move |role| role.gives(permission)).map(|role| &*role.name)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Role> {
        self.0.iter()
    }
}

impl Role {
    pub(super) fn gives(&self, permission: &str) -> bool {
        self.gives.iter().any(|given| given.matches(permission))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roles(roles: &[(&str, &[&str])]) -> Result<Roles, ConfigErrors> {
        let owned = |list: &[&str]| list.iter().map(|one| (*one).to_owned()).collect();
        Roles::build(&roles.iter().map(|(name, gives)| ((*name).to_owned(), owned(gives))).collect())
    }

    #[test]
    fn a_star_at_the_end_gives_the_rest() {
        let roles = roles(&[("admin", &["*"]), ("editor", &["posts:*"]), ("user", &["posts:read"])]).expect("roles");
        let that_give = |permission| roles.that_give(permission).collect::<Vec<_>>();
        assert_eq!(that_give("posts:read"), ["admin", "editor", "user"]);
        assert_eq!(that_give("posts:write"), ["admin", "editor"]);
        assert_eq!(that_give("postscript"), ["admin"]);
    }

    #[test]
    fn a_star_anywhere_else_is_refused_with_its_place() {
        let errors = roles(&[("a", &["x", "*:read"]), ("b", &[""])]).expect_err("bad").to_string();
        assert!(errors.contains("a[1]: `*` stands at the end only"), "{errors}");
        assert!(errors.contains("b[0]: an empty text"), "{errors}");
    }
}
