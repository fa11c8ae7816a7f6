//! Who has a password.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Map;
use tidegate_core::facts::{IdentityParts, Proof};
use tidegate_core::{ConfigError, ConfigErrors, ConfigPath};

use super::given::LONGEST_NAME;
use crate::config::BasicUser;
use crate::hashing::{Kind, Work};
use crate::verdict::Proved;

/// The most costs of hashes of Argon2id.
const MOST_KINDS: usize = 8;

/// All users of a provider.
pub(super) struct Users {
    by_name: HashMap<Box<str>, User>,
    /// The kinds of their hashes: what each comparison takes at least.
    kinds: Vec<Kind>,
    /// A hash that no password matches.
    nobodys: Arc<str>,
}

pub(super) struct User {
    pub(super) hash: Arc<str>,
    pub(super) proved: Proved,
}

/// One user, wherever it stands.
struct Entry<'a> {
    name: &'a str,
    hash: &'a str,
    roles: &'a [String],
    scopes: &'a [String],
}

impl Users {
    /// Errors are relative to the list.
    pub(super) fn build(users: &[BasicUser], provider: &str) -> Result<Self, ConfigErrors> {
        let mut all = Self { by_name: HashMap::new(), kinds: Vec::new(), nobodys: Arc::from("") };
        let mut errors = ConfigErrors::new();
        for (index, user) in users.iter().enumerate() {
            let entry = Entry { name: &user.name, hash: user.hash.expose(), roles: &user.roles, scopes: &user.scopes };
            let at = ConfigPath::root().index(index);
            errors.collect(all.add(&entry, provider).map_err(|error| error.under(&at)));
        }
        errors.into_result(all.complete())
    }

    /// Those of the configuration and of a file as `htpasswd -B` writes it. The error doesn't quote the file.
    pub(super) fn read(inline: &[BasicUser], file: &str, provider: &str) -> Result<Self, String> {
        let first = |errors: ConfigErrors| errors.iter().next().map(ToString::to_string).unwrap_or_default();
        let mut all = Self::build(inline, provider).map_err(first)?;
        for (index, line) in file.lines().enumerate() {
            let line = line.trim_end();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = |why: &str| format!("line {}: {why}", index + 1);
            let (name, rest) = line.split_once(':').ok_or_else(|| wrong("has no `name:hash`"))?;
            // Some write more fields behind, as in /etc/passwd.
            let hash = rest.split(':').next().unwrap_or_default();
            let entry = Entry { name, hash, roles: &[], scopes: &[] };
            all.add(&entry, provider).map_err(|error| wrong(&error.message))?;
        }
        Ok(all.complete())
    }

    fn add(&mut self, entry: &Entry<'_>, provider: &str) -> Result<(), ConfigError> {
        let fits = (1..=LONGEST_NAME).contains(&entry.name.len());
        if !fits || entry.name.contains(':') || entry.name.chars().any(char::is_control) {
            let message = "a name must be 1 to 255 bytes, without colons and control characters";
            return Err(ConfigError::at("name", message));
        }
        let kind = Kind::of(entry.hash).ok_or_else(|| {
            let error = ConfigError::at("hash", "is neither a bcrypt hash with a cost of 4 to 16 nor one of Argon2id");
            error.help("make one with: htpasswd -nbBC 12 <name> <password>")
        })?;
        if !self.kinds.contains(&kind) {
            self.kinds.push(kind);
        }
        if self.kinds.iter().filter(|kind| matches!(kind, Kind::Argon2id(_))).count() > MOST_KINDS {
            let error = ConfigError::at("hash", format!("the hashes of Argon2id are of more than {MOST_KINDS} costs"));
            return Err(error.help("a wrong password takes what all of them take together"));
        }
        let user = User { hash: entry.hash.into(), proved: proved(entry, provider) };
        match self.by_name.insert(entry.name.into(), user) {
            None => Ok(()),
            Some(_) => Err(ConfigError::at("name", "another user has this name")),
        }
    }

    fn complete(self) -> Self {
        let any = self.kinds.first().copied().unwrap_or(Kind::Bcrypt(4));
        Self { nobodys: any.dummy().into(), ..self }
    }

    pub(super) fn named(&self, name: &str) -> Option<&User> {
        self.by_name.get(name)
    }

    pub(super) fn nobodys(&self) -> Arc<str> {
        self.nobodys.clone()
    }

    /// What each comparison takes at least.
    pub(super) fn work(&self) -> Work {
        Work::of(self.kinds.iter().copied())
    }

    pub(super) fn len(&self) -> usize {
        self.by_name.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }
}

fn proved(entry: &Entry<'_>, provider: &str) -> Proved {
    let words = |words: &[String]| words.iter().map(|word| word.as_str().into()).collect();
    let parts = IdentityParts {
        subject: entry.name.into(),
        provider: provider.into(),
        proof: Proof::Basic,
        roles: words(entry.roles),
        scopes: words(entry.scopes),
        claims: Map::new(),
        expires: None,
    };
    Proved { identity: parts.into(), mark: None }
}

#[cfg(test)]
mod tests {
    use tidegate_core::config::Secret;

    use super::*;

    /// `htpasswd -nbBC 4 a open`, in each of its versions.
    const HASH: &str = "$2y$04$JUkAv9iKlX3cdsZ0vMxRjO1bhBx6kT9pPYIuGUvlWMOGDqD3VWMEe";

    fn user(name: &str, hash: &str) -> BasicUser {
        BasicUser { name: name.into(), hash: Secret::new(hash), roles: vec!["r".into()], scopes: vec![] }
    }

    #[test]
    fn users_of_both_lists_are_known() {
        let file = format!("# a comment\n\nb:{}\nä c:{HASH}\r\nd:{HASH}:more\n", HASH.replace("$04$", "$05$"));
        let users = Users::read(&[user("a", HASH)], &file, "basic").expect("users");
        assert_eq!((users.len(), users.work()), (4, Work::of([Kind::Bcrypt(5)])));
        let identity = &users.named("a").expect("a").proved.identity;
        assert_eq!((identity.subject(), identity.has_role("r"), identity.proof()), ("a", true, Proof::Basic));
        assert_eq!(users.named("d").map(|user| &*user.hash), Some(HASH));
        assert!(users.named("ä c").is_some() && users.named("A").is_none());
        assert!(matches!(Kind::of(&users.nobodys()), Some(Kind::Bcrypt(4 | 5))));
    }

    #[test]
    fn what_is_no_hash_is_refused() {
        for bad in ["plain", "$apr1$x$y", "{SHA}abc", "$1$a$b", "$2x$04$", &HASH.replace("$04$", "$17$"), &HASH[..59]] {
            let errors = Users::build(&[user("a", bad)], "basic").map(drop).expect_err(bad);
            let text = errors.to_string();
            assert!(text.starts_with("[0].hash: is neither a bcrypt hash") && !text.contains(bad), "{text}");
            let error = Users::read(&[], &format!("\na:{bad}"), "basic").map(drop).expect_err(bad);
            assert_eq!(error, "line 2: is neither a bcrypt hash with a cost of 4 to 16 nor one of Argon2id");
        }
        let argon = Kind::Argon2id(crate::hashing::Effort { memory: 64, passes: 1, lanes: 1 });
        assert!(Users::build(&[user("a", &argon.dummy()), user("b", HASH)], "basic").is_ok());
        for version in ["$2a$", "$2b$", "$2y$"] {
            assert!(Users::build(&[user("a", &HASH.replace("$2y$", version))], "basic").is_ok(), "{version}");
        }
    }

    #[test]
    fn names_are_names_and_stand_there_once() {
        for (file, error) in [
            ("hunter2", "line 1: has no `name:hash`".to_owned()),
            (
                &format!(":{HASH}"),
                "line 1: a name must be 1 to 255 bytes, without colons and control characters".to_owned(),
            ),
            (&format!("b:{HASH}\nb:{HASH}"), "line 2: another user has this name".to_owned()),
            (&format!("a:{HASH}"), "line 1: another user has this name".to_owned()),
        ] {
            assert_eq!(Users::read(&[user("a", HASH)], file, "basic").map(drop).expect_err(file), error);
        }
        let errors = Users::build(&[user("a:b", HASH), user("a", HASH), user("a", HASH)], "basic").map(drop);
        let paths: Vec<_> = errors.expect_err("bad").iter().map(|error| error.path.to_string()).collect();
        assert_eq!(paths, ["[0].name", "[2].name"]);
    }
}
