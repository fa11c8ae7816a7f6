//! A list that others keep in a store.

use std::fmt;
use std::hash::Hasher;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use siphasher::sip128::Hasher128;
use tidegate_core::facts::Identity;
use tidegate_core::redis::{Cmd, cmd};
use tidegate_core::{BuildCx, Clock, ConfigErrors, Redis};

use super::Listed;
use super::table::{EVERYBODY, ROLE};
use crate::cache::{Keyed, Remembered};
use crate::config::AclStore;
use crate::verdict::Failure;

/// The most answers that are remembered, and the longest of them in bytes.
const REMEMBERED: usize = 100_000;
const LONGEST: usize = 1024;

/// A hash for each resource; its fields are subjects, its values verbs with commas between.
pub(super) struct ListStore {
    store: Redis,
    prefix: Box<str>,
    clock: Clock,
    memory: Option<Memory>,
}

/// Answers that are still good. An answer is what the store says of one identity and one resource.
struct Memory {
    age: Duration,
    key: Keyed,
    answers: Remembered<Verbs>,
}

/// What the store has in the fields of one identity: verbs with commas between.
type Verbs = Arc<[String]>;

impl ListStore {
    /// Errors are relative to `store`.
    pub(super) fn open(config: &AclStore, cx: &mut BuildCx<'_>) -> Result<Self, ConfigErrors> {
        let store = cx.redis(&config.name).map_err(|error| error.under(&"name".into()))?;
        let age = config.cache.map(|age| age.get()).filter(|age| !age.is_zero());
        let memory = age.map(|age| Memory { age, key: Keyed::new(), answers: Remembered::new(REMEMBERED) });
        Ok(Self { store, prefix: config.prefix.as_str().into(), clock: cx.clock().clone(), memory })
    }

    pub(super) async fn ask(&self, resource: &str, identity: &Identity, verb: &str) -> Listed {
        let now = self.clock.wall();
        let remembered = self.memory.as_ref().and_then(|memory| memory.get(resource, identity, now));
        let verbs = match remembered {
            Some(verbs) => verbs,
            None => match self.store.command::<Vec<Option<String>>>(&self.question(resource, identity)).await {
                Ok(fields) => {
                    let verbs: Verbs = fields.into_iter().flatten().collect();
                    self.memory.iter().for_each(|memory| memory.put(resource, identity, &verbs, now));
                    verbs
                }
                Err(error) => return Listed::Failed(failure(&error)),
            },
        };
        Listed::from(verbs.iter().flat_map(|list| list.split(',')).any(|has| has.trim() == verb))
    }

    /// One round trip for all that the identity is. A name that would be read as a role, or as everybody, is not asked
    /// for: nobody can be called so that they are what they are not.
    fn question(&self, resource: &str, identity: &Identity) -> Cmd {
        let mut question = cmd("HMGET");
        question.arg(format!("{}{resource}", self.prefix)).arg(EVERYBODY);
        let subject = identity.subject();
        if subject != EVERYBODY && !subject.starts_with(ROLE) {
            question.arg(subject);
        }
        for role in identity.roles() {
            question.arg(format!("{ROLE}{role}"));
        }
        question
    }
}

impl Memory {
    fn get(&self, resource: &str, identity: &Identity, now: SystemTime) -> Option<Verbs> {
        self.answers.get(self.key(resource, identity), now)
    }

    fn put(&self, resource: &str, identity: &Identity, verbs: &Verbs, now: SystemTime) {
        if verbs.iter().map(String::len).sum::<usize>() > LONGEST {
            return;
        }
        let until = now.checked_add(self.age).unwrap_or(now);
        self.answers.put(self.key(resource, identity), verbs.clone(), until, now);
    }

    /// Of all that was asked, each with its length: no two questions meet.
    fn key(&self, resource: &str, identity: &Identity) -> u128 {
        let mut hasher = self.key.hasher();
        let parts = [resource, identity.subject()].into_iter().chain(identity.roles().iter().map(|role| &**role));
        for part in parts {
            hasher.write_usize(part.len());
            hasher.write(part.as_bytes());
        }
        hasher.finish128().as_u128()
    }
}

fn failure(error: &tidegate_core::StoreError) -> Failure {
    Failure { code: "store_unavailable", detail: error.to_string() }
}

/// For `tidegate explain`.
impl fmt::Display for ListStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "store {} for {}…", self.store.name(), self.prefix)
    }
}

impl fmt::Debug for ListStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ListStore({self})")
    }
}
