//! The keys that tokens may be checked with, and which of them a token can mean.

use smallvec::SmallVec;

use super::algorithm::Algorithms;
use super::jwk::{self, LeftOut, Origin};
use super::key::VerifyKey;
use crate::config::Algorithm;
use crate::id::Id;
use crate::verdict::{Reason, Refusal};

/// The most keys of a set.
pub(super) const MOST_KEYS: usize = 100;
/// The most keys that one token is tried with: each costs as much as a signature.
pub(super) const MOST_TRIED: usize = 8;

/// The keys that tokens may be checked with, at one moment.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    list: Box<[VerifyKey]>,
    print: u64,
}

/// The keys that a token can mean.
pub(super) type Candidates<'a> = SmallVec<[&'a VerifyKey; 2]>;

impl Keys {
    /// The keys of a set (RFC 7517 section 5), as everybody may have it. Those that can't be used here are left out.
    pub(crate) fn from_jwks(text: &[u8]) -> Result<Self, String> {
        Self::of_set(text, Origin::Public).map(|(keys, _)| keys)
    }

    /// The same, from whatever origin, and which were left out.
    pub(super) fn of_set(text: &[u8], origin: Origin) -> Result<(Self, Vec<LeftOut>), String> {
        let (list, left_out) = jwk::read_set(text, origin)?;
        Ok((Self::new(list), left_out))
    }

    pub(super) fn new(list: Vec<VerifyKey>) -> Self {
        let prints: Vec<Id> = list.iter().map(VerifyKey::print).collect();
        let prints: Vec<&[u8]> = prints.iter().map(|print| &print.0[..]).collect();
        let [a, b, c, d, e, f, g, h, ..] = Id::hash(&prints).0;
        Self { list: list.into(), print: u64::from_be_bytes([a, b, c, d, e, f, g, h]) }
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is a key for any of these.
    pub(super) fn any_for(&self, algorithms: Algorithms) -> bool {
        self.list.iter().any(|key| !key.algorithms.and(algorithms).is_empty())
    }

    /// Another one for other keys.
    pub(crate) fn print(&self) -> u64 {
        self.print
    }

    /// The keys that a token of this `kid` and algorithm can mean: those of that id; without a `kid`, those without an
    /// id; or the only key there is. `kid` is compared, and nothing else is ever done with it.
    pub(super) fn candidates(&self, kid: Option<&str>, algorithm: Algorithm) -> Result<Candidates<'_>, Refusal> {
        let only = match &*self.list {
            [key] if kid.is_none() || key.id.is_none() => Some(key),
            _ => None,
        };
        let named = self.list.iter().filter(|key| only.is_none() && key.id.as_deref() == kid);
        let meant: SmallVec<[&VerifyKey; MOST_TRIED]> = only.into_iter().chain(named).collect();
        if meant.is_empty() {
            return Err(Refusal::new(Reason::UnknownKey, "no key of this `kid`"));
        }
        let fitting: Candidates<'_> =
            meant.into_iter().filter(|key| key.algorithms.has(algorithm)).take(MOST_TRIED).collect();
        match fitting.is_empty() {
            true => Err(Refusal::new(Reason::Algorithm, "its key is for other algorithms")),
            false => Ok(fitting),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::key::Material;
    use super::*;

    fn keys(ids: &[Option<&str>]) -> Keys {
        let only = |algorithm| Some([algorithm].into_iter().collect::<Algorithms>());
        let key = |(byte, id): (u8, &Option<&str>)| {
            VerifyKey::new(*id, Material::Secret(&[byte; 64]), only(Algorithm::HS256)).expect("a key")
        };
        Keys::new((0..).zip(ids).map(key).collect())
    }

    fn found(keys: &Keys, kid: Option<&str>) -> Result<usize, Reason> {
        keys.candidates(kid, Algorithm::HS256).map(|found| found.len()).map_err(|refusal| refusal.reason)
    }

    #[test]
    fn a_token_means_the_keys_of_its_kid() {
        let two = keys(&[Some("a"), Some("b"), None]);
        assert_eq!(found(&two, Some("a")), Ok(1));
        assert_eq!(found(&two, None), Ok(1));
        for unknown in ["c", "", "A", "a ", "../a", "a' OR '1'='1"] {
            assert_eq!(found(&two, Some(unknown)), Err(Reason::UnknownKey), "{unknown}");
        }
        assert_eq!(found(&keys(&[Some("a"), Some("b")]), None), Err(Reason::UnknownKey));
        assert_eq!(found(&keys(&[Some("a"), Some("a"), Some("b")]), Some("a")), Ok(2));
    }

    #[test]
    fn the_only_key_is_meant_by_who_names_none() {
        assert_eq!(found(&keys(&[Some("a")]), None), Ok(1));
        assert_eq!(found(&keys(&[None]), Some("x")), Ok(1));
        assert_eq!(found(&keys(&[None]), None), Ok(1));
        assert_eq!(found(&keys(&[Some("a")]), Some("x")), Err(Reason::UnknownKey));
        assert_eq!(found(&keys(&[]), None), Err(Reason::UnknownKey));
        assert_eq!(found(&keys(&[None, None]), Some("x")), Err(Reason::UnknownKey));
    }

    #[test]
    fn no_token_is_tried_with_more_than_a_few_keys() {
        assert_eq!(found(&keys(&[None; 30]), None), Ok(MOST_TRIED));
    }

    #[test]
    fn a_key_is_only_for_its_algorithms() {
        let refused = keys(&[None]).candidates(None, Algorithm::HS512).err().map(|refusal| refusal.reason);
        assert_eq!(refused, Some(Reason::Algorithm));
    }

    #[test]
    fn other_keys_have_another_print() {
        let all = [keys(&[]), keys(&[None]), keys(&[Some("")]), keys(&[Some("a")]), keys(&[None, None])];
        for (place, one) in all.iter().enumerate() {
            assert!(all[place + 1..].iter().all(|other| other.print() != one.print()));
        }
        assert_eq!(keys(&[Some("a")]).print(), keys(&[Some("a")]).print());
    }
}
