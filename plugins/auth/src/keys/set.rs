//! Which keys there are, and when they change: pure, and the same for a folder and for a store.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use tidegate_core::{ConfigError, ConfigErrors};

use super::{INTERNAL, LEEWAY, LOOK, key};
use crate::config::service::{Service, SigningAlgorithm};
use crate::id::{Millis, fill_random};

/// The most keys at a time. A schedule needs four: two that are published, and two that wait for their last tokens.
const MOST: usize = 16;

/// Everything that gateways share to sign with.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeySet {
    /// What refresh tokens and the like are made with: random bytes in base64, made once.
    secret: String,
    /// In the order in which they sign.
    pub(super) keys: Vec<Key>,
}

/// One of the keys.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Key {
    pub(super) algorithm: Name,
    /// PKCS #8 in base64.
    private: String,
    /// Since when it signs, in milliseconds since 1970.
    from: u64,
}

/// An algorithm, as it is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Name {
    ES256,
    RS256,
    EdDSA,
}

/// When keys change.
#[derive(Debug, Clone)]
pub(super) struct Schedule {
    algorithm: Name,
    rotate: Duration,
    publish_before: Duration,
    /// How long a key stays when it has stopped signing.
    hold: Duration,
}

impl Key {
    fn new(algorithm: Name, from: Millis) -> Result<Self, String> {
        let private = key::generate(algorithm.into()).ok_or("the system's library can't make a key")?;
        Ok(Self { algorithm, private: BASE64.encode(private), from: from.0 })
    }

    pub(super) fn from(&self) -> Millis {
        Millis(self.from)
    }

    pub(super) fn private(&self) -> Option<Vec<u8>> {
        BASE64.decode(&self.private).ok()
    }
}

impl KeySet {
    fn new() -> Self {
        let mut secret = [0; 32];
        fill_random(&mut secret);
        Self { secret: BASE64.encode(secret), keys: Vec::new() }
    }

    /// As it is kept.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts and numbers can be written as JSON")
    }

    /// Reads [`KeySet::to_bytes`].
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        // What serde says of a wrong value quotes it; these are keys.
        let set: Self =
            serde_json::from_slice(bytes).map_err(|e| format!("line {} is not as it was written", e.line()))?;
        let good = set.secret().is_some() && !set.keys.is_empty() && set.keys.is_sorted_by_key(|key| key.from);
        if good { Ok(set) } else { Err("it is not as it was written".to_owned()) }
    }

    pub(super) fn secret(&self) -> Option<[u8; 32]> {
        BASE64.decode(&self.secret).ok()?.try_into().ok()
    }
}

impl Schedule {
    /// Errors are relative to `service`.
    pub(super) fn new(config: &Service) -> Result<Self, ConfigErrors> {
        let (rotate, publish_before) = (config.keys.rotate.get(), config.keys.publish_before.get());
        let ttl = config.access.ttl.get();
        let mut errors = ConfigErrors::new();
        if publish_before >= rotate {
            let error =
                ConfigError::at("keys.publish_before", "a key would have to be published before the one before it");
            errors.push(error.help("make it shorter than `keys.rotate`"));
        }
        if publish_before < 2 * LOOK {
            let error = ConfigError::at("keys.publish_before", "a key would sign before all gateways have it");
            errors.push(error.help("make it at least 10s, and longer than others keep `jwks.json`"));
        }
        if rotate < ttl {
            let error =
                ConfigError::at("keys.rotate", "keys would change faster than the tokens that they sign expire");
            errors.push(error.help("make it no shorter than `access.ttl`"));
        }
        let hold = ttl.max(INTERNAL) + LEEWAY;
        errors.into_result(Self { algorithm: config.keys.algorithm.into(), rotate, publish_before, hold })
    }

    /// What there should be now in place of `set`; `None` if it is as it should be.
    pub(super) fn plan(&self, set: Option<&KeySet>, now: Millis) -> Result<Option<KeySet>, String> {
        let mut next = set.cloned().unwrap_or_else(KeySet::new);
        self.retire(&mut next.keys, now);
        if let Some(from) = self.due(&next.keys, now) {
            next.keys.push(Key::new(self.algorithm, from)?);
        }
        Ok((Some(&next) != set).then_some(next))
    }

    /// The same beside the requests: making a key of RSA takes a while.
    pub(super) async fn planned(&self, set: Option<&KeySet>, now: Millis) -> Result<Option<KeySet>, String> {
        let (schedule, set) = (self.clone(), set.cloned());
        let planned = tokio::task::spawn_blocking(move || schedule.plan(set.as_ref(), now)).await;
        planned.map_err(|error| error.to_string())?
    }

    /// When [`Schedule::plan`] has something to do next.
    pub(super) fn wait(&self, set: &KeySet, now: Millis) -> Duration {
        let publish = set.keys.last().map(|last| last.from().plus(self.rotate.saturating_sub(self.publish_before)));
        let retire = set.keys.get(1).map(|second| second.from().plus(self.hold));
        let next = publish.into_iter().chain(retire).min().unwrap_or(now);
        next.since(now)
    }

    /// Keys that another took over from, so long ago that their last token has expired.
    fn retire(&self, keys: &mut Vec<Key>, now: Millis) {
        let over = keys.iter().skip(1).take_while(|successor| successor.from().plus(self.hold) <= now).count();
        keys.drain(..over);
    }

    /// When a new key is to sign from, if one is to be made.
    fn due(&self, keys: &[Key], now: Millis) -> Option<Millis> {
        let Some(last) = keys.last() else { return Some(now) };
        let published = now.plus(self.publish_before);
        let takeover = last.from().plus(self.rotate);
        // One that hasn't begun to sign stays, of whatever algorithm: two gateways that disagree make no keys in turns.
        let other = last.algorithm != self.algorithm && last.from() <= now;
        let due = other || takeover <= published;
        match due && keys.len() < MOST {
            true if other => Some(published),
            true => Some(takeover.max(published)),
            false => None,
        }
    }
}

impl From<SigningAlgorithm> for Name {
    fn from(algorithm: SigningAlgorithm) -> Self {
        match algorithm {
            SigningAlgorithm::ES256 => Name::ES256,
            SigningAlgorithm::RS256 => Name::RS256,
            SigningAlgorithm::EdDSA => Name::EdDSA,
        }
    }
}

impl From<Name> for SigningAlgorithm {
    fn from(name: Name) -> Self {
        match name {
            Name::ES256 => SigningAlgorithm::ES256,
            Name::RS256 => SigningAlgorithm::RS256,
            Name::EdDSA => SigningAlgorithm::EdDSA,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);
    const HOUR: Duration = Duration::from_secs(3600);

    fn schedule(algorithm: Name) -> Schedule {
        Schedule { algorithm, rotate: 30 * DAY, publish_before: HOUR, hold: HOUR / 2 }
    }

    pub(in crate::keys) fn set() -> Result<KeySet, String> {
        schedule(Name::EdDSA).plan(None, Millis(0)).map(|set| set.expect("one is made"))
    }

    fn planned(schedule: &Schedule, set: Option<&KeySet>, now: Millis) -> Option<KeySet> {
        schedule.plan(set, now).expect("keys can be made")
    }

    #[test]
    fn a_key_is_published_before_it_signs_and_stays_until_its_tokens_have_expired() {
        let schedule = schedule(Name::ES256);
        let start = Millis(1_000_000);
        let first = planned(&schedule, None, start).expect("one is made");
        assert_eq!(first.keys.len(), 1);
        assert_eq!(planned(&schedule, Some(&first), start), None);
        assert_eq!(schedule.wait(&first, start), 30 * DAY - HOUR);

        let published = start.plus(30 * DAY - HOUR);
        assert_eq!(planned(&schedule, Some(&first), Millis(published.0 - 1)), None);
        let both = planned(&schedule, Some(&first), published).expect("the next one");
        assert_eq!(both.keys.len(), 2);
        assert_eq!(both.keys[1].from(), start.plus(30 * DAY), "an hour later");
        assert_eq!(both.secret(), first.secret());
        assert_eq!(planned(&schedule, Some(&both), published), None);

        let over = start.plus(30 * DAY + HOUR / 2);
        assert_eq!(planned(&schedule, Some(&both), Millis(over.0 - 1)), None);
        let one = planned(&schedule, Some(&both), over).expect("the old one goes");
        assert_eq!(one.keys, both.keys[1..]);
    }

    #[test]
    fn after_a_long_time_off_a_key_is_still_published_before_it_signs() {
        let schedule = schedule(Name::ES256);
        let first = planned(&schedule, None, Millis(0)).expect("one is made");
        let now = Millis(0).plus(90 * DAY);
        let both = planned(&schedule, Some(&first), now).expect("the next one");
        assert_eq!(both.keys.iter().map(Key::from).collect::<Vec<_>>(), [Millis(0), now.plus(HOUR)]);
    }

    #[test]
    fn another_algorithm_is_published_first_and_two_that_disagree_make_no_keys_in_turns() {
        let (old, new) = (schedule(Name::ES256), schedule(Name::EdDSA));
        let first = planned(&old, None, Millis(0)).expect("one is made");
        let both = planned(&new, Some(&first), Millis(1)).expect("the other one");
        assert_eq!(both.keys[1].from(), Millis(1).plus(HOUR));
        assert_eq!(planned(&old, Some(&both), Millis(2)), None);
        assert_eq!(planned(&new, Some(&both), Millis(2)), None);
        let mut set = both;
        for hour in 1..200 {
            for schedule in [&old, &new] {
                set = planned(schedule, Some(&set), Millis(3).plus(hour * HOUR)).unwrap_or(set);
            }
            assert!(set.keys.len() <= MOST);
        }
    }

    #[test]
    fn a_set_is_read_as_it_was_written_and_errors_say_nothing_of_it() {
        let set = planned(&schedule(Name::EdDSA), None, Millis(5)).expect("made");
        assert!(KeySet::parse(&set.to_bytes()).is_ok_and(|read| read == set));
        let text = String::from_utf8(set.to_bytes()).expect("JSON");
        for bad in [text.replace("5}", "\"x\"}"), text.replace("EdDSA", "HS256"), String::new(), "{}".into()] {
            let error = KeySet::parse(bad.as_bytes()).expect_err("not a set");
            assert!(!error.contains("HS256") && error.contains("as it was written"), "{error}");
        }
    }

    impl std::fmt::Debug for KeySet {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "KeySet({} keys)", self.keys.len())
        }
    }

    impl std::fmt::Debug for Key {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "Key({:?})", self.algorithm)
        }
    }
}
