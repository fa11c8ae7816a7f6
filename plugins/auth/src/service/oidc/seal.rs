//! What an attempt to log in keeps at the browser: sealed with a key of the gateways (AES-256-GCM), so that nobody reads or
//! makes one. It binds what comes back to the browser that was sent away: a login that somebody else has begun is none of
//! this browser's (login CSRF, RFC 6819 section 4.4.1.8).

use std::time::Duration;

use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::id::{Id, Millis, fill_random};
use crate::keys::{KeyRing, NoKeys};

/// How long somebody may take to log in there.
pub(super) const BEGUN_FOR: Duration = Duration::from_secs(600);
/// How long they may take to find the code of their second factor.
pub(super) const PROVED_FOR: Duration = Duration::from_secs(300);

/// The longest cookie that is looked at; browsers keep no longer ones.
const LONGEST: usize = 4096;
const NONCE: usize = 12;

/// What is kept.
#[derive(Serialize, Deserialize)]
pub(super) enum Kept {
    Begun(Begun),
    Proved(Proved),
}

/// A browser that was sent away.
#[derive(Serialize, Deserialize)]
pub(super) struct Begun {
    pub(super) state: String,
    pub(super) nonce: String,
    /// Of which the provider knows the hash (RFC 7636).
    pub(super) verifier: String,
    pub(super) return_to: String,
    until: u64,
}

/// Somebody whom the provider knows, and whose second factor is missing.
#[derive(Serialize, Deserialize)]
pub(super) struct Proved {
    user: String,
    /// When their password was changed last: another one ends this.
    changed: u64,
    pub(super) return_to: String,
    until: u64,
}

impl Begun {
    pub(super) fn new(return_to: String, now: Millis) -> Self {
        let [state, nonce, verifier] = [random(), random(), random()];
        Self { state, nonce, verifier, return_to, until: now.plus(BEGUN_FOR).0 }
    }

    pub(super) fn until(&self) -> Millis {
        Millis(self.until)
    }

    /// When the browser was sent away.
    pub(super) fn at(&self) -> Millis {
        Millis(self.until.saturating_sub(BEGUN_FOR.as_secs() * 1000))
    }
}

impl Proved {
    pub(super) fn new(user: Id, changed: Millis, return_to: String, now: Millis) -> Self {
        Self { user: user.text(), changed: changed.0, return_to, until: now.plus(PROVED_FOR).0 }
    }

    pub(super) fn user(&self) -> Option<Id> {
        Id::parse(&self.user)
    }

    pub(super) fn changed(&self) -> Millis {
        Millis(self.changed)
    }
}

/// 256 bits, as 43 characters: as long as a verifier must be (RFC 7636 section 4.1).
fn random() -> String {
    let mut bytes = [0; 32];
    fill_random(&mut bytes);
    BASE64.encode(bytes)
}

/// `context` says for whom: it opens nothing that was sealed for another.
pub(super) fn seal(keys: &KeyRing, context: Id, kept: &Kept) -> Result<String, NoKeys> {
    let mut text = serde_json::to_vec(kept).map_err(|_| NoKeys)?;
    let nonce = key(keys)?.seal_in_place_append_tag(Aad::from(context.0), &mut text).map_err(|_| NoKeys)?;
    Ok(BASE64.encode([&nonce.as_ref()[..], &text].concat()))
}

/// `None` for what was not sealed here, for another, or too long ago.
pub(super) fn open(keys: &KeyRing, context: Id, sealed: &str, now: Millis) -> Result<Option<Kept>, NoKeys> {
    let key = key(keys)?;
    let kept = || {
        let sealed = (sealed.len() <= LONGEST).then(|| BASE64.decode(sealed).ok())??;
        let (nonce, text) = sealed.split_at_checked(NONCE)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut text = Zeroizing::new(text.to_vec());
        let open = key.open_in_place(nonce, Aad::from(context.0), &mut text).ok()?;
        serde_json::from_slice::<Kept>(open).ok()
    };
    Ok(kept().filter(|kept| kept.until() > now))
}

impl Kept {
    fn until(&self) -> Millis {
        let (Kept::Begun(Begun { until, .. }) | Kept::Proved(Proved { until, .. })) = self;
        Millis(*until)
    }
}

fn key(keys: &KeyRing) -> Result<RandomizedNonceKey, NoKeys> {
    let bytes = Zeroizing::new(keys.mac("login with", b"seal")?);
    RandomizedNonceKey::new(&AES_256_GCM, &*bytes).map_err(|_| NoKeys)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = Millis(1_767_225_600_000);

    #[test]
    fn what_was_sealed_is_opened_unchanged_for_the_same_and_in_time() {
        let (keys, ours, other) = (KeyRing::of_a_test(), Id::hash(&[b"a"]), Id::hash(&[b"b"]));
        let begun = Begun::new("/app".to_owned(), NOW);
        let state = begun.state.clone();
        let sealed = seal(&keys, ours, &Kept::Begun(begun)).expect("keys");
        let opened = |sealed: &str, context, now| match open(&keys, context, sealed, now).expect("keys") {
            Some(Kept::Begun(begun)) => Some(begun.state),
            _ => None,
        };
        assert_eq!(opened(&sealed, ours, NOW), Some(state.clone()));
        assert_eq!(opened(&sealed, ours, Millis(NOW.0 + 599_999)), Some(state));
        assert_eq!(opened(&sealed, ours, NOW.plus(BEGUN_FOR)), None);
        assert_eq!(opened(&sealed, other, NOW), None);
        let elsewhere = open(&KeyRing::of_a_test(), ours, &sealed, NOW).expect("keys");
        assert!(elsewhere.is_none(), "keys of other gateways");
        for at in 0..sealed.len() {
            let mut changed = sealed.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).expect("ASCII");
            assert_eq!(opened(&changed, ours, NOW), None, "byte {at}");
        }
        for bad in ["", "x", "AAAA", &sealed[..20], &"A".repeat(LONGEST + 1)] {
            assert_eq!(opened(bad, ours, NOW), None, "{bad}");
        }
    }

    #[test]
    fn each_attempt_has_its_own_secrets_and_they_are_as_long_as_they_must_be() {
        let (one, two) = (Begun::new(String::new(), NOW), Begun::new(String::new(), NOW));
        let mut all = vec![one.state, one.nonce, one.verifier, two.state, two.nonce, two.verifier];
        assert!(all.iter().all(|text| text.len() == 43));
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 6);
    }

    #[test]
    fn the_largest_attempt_fits_a_cookie() {
        let begun = Begun::new("/".repeat(1024), NOW);
        let sealed = seal(&KeyRing::of_a_test(), Id::hash(&[]), &Kept::Begun(begun)).expect("keys");
        assert!(sealed.len() < 3000, "{}", sealed.len());
    }
}
