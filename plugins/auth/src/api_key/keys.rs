//! The keys that are known, by prefix.

use std::collections::{HashMap, HashSet};
use std::time::SystemTime;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tidegate_core::facts::{IdentityParts, Proof};
use tidegate_core::prometheus::IntGauge;
use tidegate_core::{ConfigError, ConfigErrors, ConfigPath};

use super::uses::Uses;
use crate::config::ApiKeyEntry;
use crate::id::{Id, Millis};
use crate::verdict::{Mark, Name, Proved};

/// The longest key; a longer one is nobody's.
const LONGEST: usize = 512;
/// The shortest secret (NIST SP 800-131A asks for 112 bits; 20 characters of base64 have 120).
const SHORTEST_SECRET: usize = 20;
const LONGEST_PREFIX: usize = 64;
const LONGEST_OWNER: usize = 256;

type Digest = [u8; 32];

/// All keys of a provider.
pub(super) struct Keys(HashMap<Box<str>, Key>);

struct Key {
    digest: Digest,
    expires: Option<SystemTime>,
    proved: Proved,
    /// When it was used last, in seconds since 1970; 0 for never.
    used: IntGauge,
}

/// Why a text is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum No {
    /// There is no such prefix: it may be something else, and another provider's.
    Nobodys,
    Wrong,
    Expired,
}

impl Keys {
    /// Errors are relative to the list.
    pub(super) fn build(entries: &[ApiKeyEntry], provider: &str, uses: &Uses) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        let mut keys = HashMap::with_capacity(entries.len());
        let mut digests = HashSet::with_capacity(entries.len());
        for (index, entry) in entries.iter().enumerate() {
            let at = ConfigPath::root().index(index);
            if keys.contains_key(entry.prefix.as_str()) {
                errors.push(ConfigError::at(at.key("prefix"), "another key has this prefix"));
            }
            let Some(key) = errors.collect(Key::build(entry, provider, uses).map_err(|e| e.under(&at))) else {
                continue;
            };
            if !digests.insert(key.digest) {
                errors.push(ConfigError::at(at.key("sha256"), "another key has this hash"));
            }
            keys.insert(entry.prefix.as_str().into(), key);
        }
        errors.into_result(Self(keys))
    }

    /// Those of the configuration and of a file together. The error quotes nothing but names of fields and places.
    pub(super) fn read(inline: &[ApiKeyEntry], file: &str, provider: &str, uses: &Uses) -> Result<Self, String> {
        let listed: Vec<ApiKeyEntry> = match file.trim_ascii().is_empty() {
            true => Vec::new(),
            false => serde_yaml::from_str(file).map_err(|error| unreadable(&error))?,
        };
        let all: Vec<_> = listed.into_iter().chain(inline.iter().cloned()).collect();
        Self::build(&all, provider, uses).map_err(|errors| {
            let first = errors.iter().next().map(ToString::to_string).unwrap_or_default();
            ["is no list of keys: ", &first].concat()
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn has(&self, prefix: &str) -> bool {
        self.0.contains_key(prefix)
    }

    /// Whose key this is. One that nobody has is compared like any other, so that time doesn't tell which prefixes
    /// there are.
    pub(super) fn prove(&self, key: &str, now: SystemTime) -> Result<Proved, No> {
        if key.len() > LONGEST {
            return Err(No::Nobodys);
        }
        let (prefix, secret) = key.rsplit_once(['.', '_']).unwrap_or(("", key));
        let found = self.0.get(prefix);
        let given = digest(&SHA256, key.as_bytes());
        let known = found.map_or(&NOBODYS, |found| &found.digest);
        let same = verify_slices_are_equal(given.as_ref(), known).is_ok();
        let found = found.ok_or(No::Nobodys)?;
        if !same || secret.len() < SHORTEST_SECRET {
            return Err(No::Wrong);
        }
        if found.expires.is_some_and(|expires| expires <= now) {
            return Err(No::Expired);
        }
        found.note_use(now);
        Ok(found.proved.clone())
    }

    /// For operators: all keys by prefix, and when each was used last.
    pub(super) fn shown(&self) -> Vec<Value> {
        let mut keys: Vec<_> = self.0.iter().collect();
        keys.sort_by_key(|(prefix, _)| *prefix);
        keys.into_iter().map(|(prefix, key)| key.shown(prefix)).collect()
    }
}

/// The hash of no key: whoever knew a text with this hash would have broken SHA-256.
const NOBODYS: Digest = [0; 32];

impl Key {
    fn build(entry: &ApiKeyEntry, provider: &str, uses: &Uses) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        errors.collect(prefix(&entry.prefix));
        errors.collect(owner(&entry.owner));
        for (field, words) in [("roles", &entry.roles), ("scopes", &entry.scopes)] {
            let bad = |word: &&String| word.is_empty() || word.chars().any(|c| c.is_control() || c.is_whitespace());
            if words.iter().any(|word| bad(&word)) {
                errors.push(ConfigError::at(field, "a word is empty or has spaces in it"));
            }
        }
        let digest = errors.collect(hash(&entry.sha256));
        let expires = errors.collect(entry.expires.as_deref().map(time).transpose());
        let (Some(digest), Some(expires), true) = (digest, expires, errors.is_empty()) else { return Err(errors) };
        let proved = proved(entry, provider, expires);
        Ok(Self { digest, expires, proved, used: uses.of(&entry.prefix) })
    }

    fn note_use(&self, now: SystemTime) {
        let now = i64::try_from(Millis::of(now).seconds()).unwrap_or(i64::MAX);
        // Once in a second: a line that is only read can be in every core's cache.
        if self.used.get() != now {
            self.used.set(now);
        }
    }

    fn shown(&self, prefix: &str) -> Value {
        let used = Timestamp::from_second(self.used.get()).ok().filter(|_| self.used.get() > 0);
        let expires = self.expires.and_then(|expires| Timestamp::try_from(expires).ok());
        json!({
            "prefix": prefix,
            "owner": self.proved.identity.subject(),
            "used": used.map(|used| used.to_string()),
            "expires": expires.map(|expires| expires.to_string()),
        })
    }
}

fn proved(entry: &ApiKeyEntry, provider: &str, expires: Option<SystemTime>) -> Proved {
    let words = |words: &[String]| words.iter().map(|word| word.as_str().into()).collect();
    let parts = IdentityParts {
        subject: entry.owner.as_str().into(),
        provider: provider.into(),
        proof: Proof::ApiKey,
        roles: words(&entry.roles),
        scopes: words(&entry.scopes),
        claims: Map::from_iter([("api_key".to_owned(), Value::from(entry.prefix.as_str()))]),
        expires,
    };
    let mark = Mark {
        token: Name::only(Id::hash(&[b"api_key", entry.prefix.as_bytes()])),
        subject: Name::of_subject(None, &entry.owner),
        session: None,
        // A key is no login: it outlives a logout, and ends when all of its owner's does.
        issued: u64::MAX - 1,
        expires: expires.map_or(u64::MAX, |expires| Millis::of(expires).seconds()),
    };
    Proved { identity: parts.into(), mark: Some(mark) }
}

fn prefix(text: &str) -> Result<(), ConfigError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let fits = (1..=LONGEST_PREFIX).contains(&text.len()) && text.bytes().all(plain);
    let error = || ConfigError::at("prefix", "must be 1 to 64 letters, digits and `-._~`");
    fits.then_some(()).ok_or_else(error)
}

fn owner(text: &str) -> Result<(), ConfigError> {
    let fits = (1..=LONGEST_OWNER).contains(&text.len()) && !text.chars().any(char::is_control);
    let error = || ConfigError::at("owner", "must be 1 to 256 bytes, none of them control characters");
    fits.then_some(()).ok_or_else(|| error().help("whose key is it?"))
}

fn hash(text: &str) -> Result<Digest, ConfigError> {
    let error = || {
        let error = ConfigError::at("sha256", "must be 64 hexadecimal digits");
        error.help("printf %s \"$KEY\" | sha256sum")
    };
    let mut digest = [0; 32];
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(error());
    }
    for (byte, at) in digest.iter_mut().zip((0..64).step_by(2)) {
        let digits = text.get(at..at + 2).ok_or_else(error)?;
        *byte = u8::from_str_radix(digits, 16).map_err(|_| error())?;
    }
    Ok(digest)
}

fn time(text: &str) -> Result<SystemTime, ConfigError> {
    let time: Result<Timestamp, _> = text.parse();
    let error = |_| ConfigError::at("expires", "not a time").help("write it like 2027-01-31T00:00:00Z");
    time.map(SystemTime::from).map_err(error)
}

/// Serde's own words quote what they found, which may be a key that somebody took for its hash.
fn unreadable(error: &serde_yaml::Error) -> String {
    let text = error.to_string();
    let telling = ["unknown field", "missing field"].iter().any(|known| text.contains(known));
    let place = error.location().map(|at| format!(" (line {}, column {})", at.line(), at.column())).unwrap_or_default();
    match telling {
        true => format!("is no list of keys: {text}"),
        false => format!("is no list of keys{place}"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tidegate_core::Metrics;

    use super::*;

    const KEY: &str = "app_1.0123456789abcdefghij";
    /// Of [`KEY`], by `sha256sum`.
    const HASH: &str = "14db09cf60e4433a95b30b657ea9c42ba168d52b446a3ade8758ba1f9e9eb6a5";

    fn uses() -> Uses {
        Uses::new(&Metrics::new(), "keys").expect("metrics")
    }

    fn entry() -> ApiKeyEntry {
        ApiKeyEntry { prefix: "app_1".into(), sha256: HASH.into(), owner: "app".into(), ..ApiKeyEntry::default() }
    }

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn a_key_is_known_whole_and_in_no_other_way() {
        let entry = ApiKeyEntry { roles: vec!["r".into()], scopes: vec!["s".into()], ..entry() };
        let keys = Keys::build(&[entry], "keys", &uses()).expect("keys");
        let proved = keys.prove(KEY, at(5)).expect("known");
        let identity = &proved.identity;
        assert_eq!((identity.subject(), identity.provider(), identity.proof()), ("app", "keys", Proof::ApiKey));
        assert!(identity.has_role("r") && identity.has_scope("s"));
        assert_eq!(identity.claim("api_key"), Some(&Value::from("app_1")));
        let longer = [KEY, "a"].concat();
        let long = "x".repeat(LONGEST + 1);
        for bad in ["app_1.", "app_1.0123456789abcdefghiJ", "app_1_0123456789abcdefghij", &longer] {
            assert_eq!(keys.prove(bad, at(5)).map(drop), Err(No::Wrong), "{bad}");
        }
        for other in ["", ".", "_", "app_1", "app_2.0123456789abcdefghij", "0123456789abcdefghij", &long] {
            assert_eq!(keys.prove(other, at(5)).map(drop), Err(No::Nobodys), "{other}");
        }
        assert_eq!(keys.shown()[0]["used"], "1970-01-01T00:00:05Z");
    }

    #[test]
    fn a_key_expires_at_its_time() {
        let entry = ApiKeyEntry { expires: Some("1970-01-01T01:00:10+01:00".into()), ..entry() };
        let keys = Keys::build(&[entry], "keys", &uses()).expect("keys");
        let proved = keys.prove(KEY, at(9)).expect("known");
        assert_eq!((proved.identity.expires(), proved.mark.map(|mark| mark.expires)), (Some(at(10)), Some(10)));
        assert_eq!(keys.prove(KEY, at(10)).map(drop), Err(No::Expired));
        assert_eq!(keys.shown()[0]["used"], "1970-01-01T00:00:09Z", "a refused key isn't used");
    }

    #[test]
    fn a_short_secret_is_refused_though_its_hash_is_known() {
        let short = ApiKeyEntry {
            prefix: "a".into(),
            sha256: "0fefe44a5a8073bfa6a74cd3d9d24b4986c73fe3778d6ed6ddb1c464e12ce5ef".into(),
            ..entry()
        };
        let keys = Keys::build(&[short], "keys", &uses()).expect("keys");
        assert_eq!(keys.prove("a.0123456789abcdefghi", at(5)).map(drop), Err(No::Wrong));
    }

    #[test]
    fn what_can_not_be_a_key_is_refused() {
        let bad = [
            ApiKeyEntry { prefix: "a b".into(), ..entry() },
            ApiKeyEntry { owner: "\n".into(), ..entry() },
            ApiKeyEntry { sha256: HASH[1..].into(), prefix: "x".into(), ..entry() },
            ApiKeyEntry { sha256: HASH.replace(|_: char| true, "g"), prefix: "y".into(), ..entry() },
            ApiKeyEntry { expires: Some("soon".into()), prefix: "z".into(), ..entry() },
            ApiKeyEntry { scopes: vec!["a b".into()], prefix: "v".into(), ..entry() },
            entry(),
            ApiKeyEntry { sha256: HASH.to_uppercase(), prefix: "w".into(), ..entry() },
            entry(),
        ];
        let errors = Keys::build(&bad, "keys", &uses()).map(drop).expect_err("bad");
        let paths: Vec<_> = errors.iter().map(|error| error.path.to_string()).collect();
        let expected = [
            "[0].prefix",
            "[1].owner",
            "[2].sha256",
            "[3].sha256",
            "[4].expires",
            "[5].scopes",
            "[7].sha256",
            "[8].prefix",
            "[8].sha256",
        ];
        assert_eq!(paths, expected);
    }

    #[test]
    fn a_file_is_a_list_as_in_the_configuration_and_errors_do_not_quote_it() {
        let yaml = format!("- {{ prefix: app_1, sha256: {HASH}, owner: app }}\n");
        let json = format!(r#"[{{"prefix":"app_1","sha256":"{HASH}","owner":"app","scopes":["a"]}}]"#);
        for text in [yaml.as_str(), &json] {
            assert!(Keys::read(&[], text, "keys", &uses()).expect("keys").prove(KEY, at(5)).is_ok());
        }
        assert!(Keys::read(&[], "\n", "keys", &uses()).expect("keys").is_empty());
        for (text, error) in [
            ("hunter2", "is no list of keys"),
            ("- hunter2", "is no list of keys"),
            ("- { prefix: a, sha256: [hunter2] }", "is no list of keys"),
            ("- { prefix: a, secret: hunter2 }", "is no list of keys: .[0]: unknown field `secret`"),
            ("- { prefix: a, sha256: hunter2, owner: a }", "is no list of keys: [0].sha256: must be 64 hexadecimal"),
        ] {
            let found = Keys::read(&[], text, "keys", &uses()).map(drop).expect_err(text);
            assert!(found.contains(error.trim_start_matches("is no list of keys: .")), "{found}");
            assert!(found.starts_with("is no list of keys") && !found.contains("hunter2"), "{found}");
        }
        let twice = Keys::read(&[entry()], &yaml, "keys", &uses()).map(drop).expect_err("twice");
        assert!(twice.contains("another key has this prefix"), "{twice}");
    }
}
