//! Kinds of hashes, and that a comparison takes as long whichever kind an account has.

use std::collections::BTreeMap;
use std::time::Duration;

use parking_lot::Mutex;

use super::argon2_text::{self, Effort};
use super::bcrypt_text;
use crate::id::Millis;

/// How a hash was made: two of one kind cost the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    /// With this cost.
    Bcrypt(u32),
    Argon2id(Effort),
}

impl Kind {
    /// Of a hash; `None` if it is none that passwords are compared with here.
    pub(crate) fn of(hash: &str) -> Option<Self> {
        let bcrypt = bcrypt_text::cost_of(hash).map(Self::Bcrypt);
        bcrypt.or_else(|| argon2_text::effort_of(hash).map(Self::Argon2id))
    }

    /// A hash of this kind that no password matches.
    pub(crate) fn dummy(self) -> String {
        match self {
            Self::Bcrypt(cost) => bcrypt_text::dummy(cost),
            Self::Argon2id(effort) => argon2_text::dummy(effort),
        }
    }

    /// Whether a hash of this kind is made anew where they are of another. One that cost more is never made cheaper.
    pub(super) fn gives_way_to(self, other: Self) -> bool {
        match (self, other) {
            (Self::Bcrypt(old), Self::Bcrypt(new)) => old < new,
            (Self::Argon2id(old), Self::Argon2id(new)) => old.blocks() < new.blocks(),
            _ => true,
        }
    }

    pub(super) fn hash(self, password: &[u8], salt: [u8; 16]) -> String {
        match self {
            Self::Bcrypt(cost) => bcrypt_text::hash(password, cost, salt),
            Self::Argon2id(effort) => argon2_text::hash(password, effort, salt),
        }
    }

    /// Whether a comparison with it is made at all: what it would not see all of is wrong at once.
    fn sees(self, password: &[u8]) -> bool {
        match self {
            Self::Bcrypt(_) => bcrypt_text::is_whole(password),
            Self::Argon2id(_) => password.len() <= super::LONGEST,
        }
    }
}

/// The kinds of hashes that accounts have: what a comparison takes that fails, so that nobody learns by time which
/// account has which, or is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Work {
    /// The highest cost; lower ones take what is missing.
    bcrypt: Option<u32>,
    /// Each of them: of two, neither says what the other would have taken.
    argon2id: Vec<Effort>,
}

/// More kinds than that nobody has had.
const MOST_KINDS: usize = 16;

impl Work {
    pub(crate) fn of(kinds: impl IntoIterator<Item = Kind>) -> Self {
        kinds.into_iter().fold(Self::default(), Self::with)
    }

    pub(crate) fn with(mut self, kind: Kind) -> Self {
        match kind {
            Kind::Bcrypt(cost) => self.bcrypt = self.bcrypt.max(Some(cost)),
            Kind::Argon2id(effort) if self.argon2id.contains(&effort) => {}
            Kind::Argon2id(effort) => self.argon2id.push(effort),
        }
        self.argon2id.truncate(MOST_KINDS);
        self
    }
}

/// What a comparison found, and what it took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Compared {
    pub(super) right: bool,
    pub(super) took: Took,
}

/// Work by what it is, so that it can be counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Took {
    /// How often bcrypt expanded a key: 2 to the cost for each hash.
    pub(super) rounds: u64,
    /// How many blocks Argon2 filled.
    pub(super) blocks: u64,
}

/// Compares. Takes all of `work` unless the password is right, and what `hash` itself takes in any case.
pub(super) fn compare(password: &[u8], hash: &str, work: &Work) -> Compared {
    let kind = Kind::of(hash).filter(|kind| kind.sees(password));
    let right = match kind {
        Some(Kind::Bcrypt(_)) => bcrypt_text::matches(password, hash),
        Some(Kind::Argon2id(_)) => argon2_text::matches(password, hash),
        None => false,
    };
    let mut took = match kind {
        Some(Kind::Bcrypt(cost)) => Took { rounds: 1 << cost, blocks: 0 },
        Some(Kind::Argon2id(effort)) => Took { rounds: 0, blocks: effort.blocks() },
        None => Took::default(),
    };
    if !right {
        spend(password, work, kind, &mut took);
    }
    Compared { right, took }
}

/// What is left of the work after a comparison with a hash of this kind.
fn spend(password: &[u8], work: &Work, done: Option<Kind>, took: &mut Took) {
    let seen = password.get(..super::LONGEST).unwrap_or(password);
    if let Some(most) = work.bcrypt {
        // 2^c is what was spent; 2^c + 2^(c+1) + … + 2^(most-1) more make 2^most.
        took.rounds += match done {
            Some(Kind::Bcrypt(cost)) => bcrypt_text::spend(seen, cost..most),
            _ => bcrypt_text::spend(seen, most..most + 1),
        };
    }
    for effort in work.argon2id.iter().filter(|effort| done != Some(Kind::Argon2id(**effort))) {
        argon2_text::spend(seen, *effort);
        took.blocks += effort.blocks();
    }
}

/// Kinds of hashes that accounts of a store were seen to have, and when last.
#[derive(Debug, Default)]
pub(crate) struct Seen(Mutex<BTreeMap<Kind, Millis>>);

/// For so long an account is expected to have a hash of a kind that was seen once: who hasn't logged in for longer has the
/// old kind still.
const EXPECTED: Duration = Duration::from_secs(180 * 24 * 3600);

impl Seen {
    /// Notes a kind.
    pub(crate) fn note(&self, kind: Kind, now: Millis) {
        let mut kinds = self.0.lock();
        let last = kinds.get(&kind).copied();
        if last.is_some() || kinds.len() < MOST_KINDS {
            kinds.insert(kind, last.map_or(now, |last| last.max(now)));
        }
    }

    /// Those that some account may have.
    pub(crate) fn kinds(&self, now: Millis) -> Vec<(Kind, Millis)> {
        let mut kinds = self.0.lock();
        kinds.retain(|_, seen| seen.plus(EXPECTED) > now);
        kinds.iter().map(|(kind, seen)| (*kind, *seen)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Effort = Effort { memory: 64, passes: 2, lanes: 1 };
    const LARGER: Effort = Effort { memory: 128, passes: 3, lanes: 1 };

    /// F17, and what is left of it when costs and kinds change: work is counted, as no clock is quiet enough.
    #[test]
    fn nothing_wrong_takes_less_or_more_than_anything_else_whichever_kinds_accounts_have() {
        let kinds = [Kind::Bcrypt(4), Kind::Bcrypt(6), Kind::Argon2id(SMALL), Kind::Argon2id(LARGER)];
        let work = Work::of(kinds);
        let took = Took { rounds: 1 << 6, blocks: SMALL.blocks() + LARGER.blocks() };
        let long = [b'x'; 100];
        for kind in kinds {
            let right = kind.hash(b"abc", [7; 16]);
            assert_eq!(Kind::of(&right), Some(kind));
            for (password, hash) in [(&b"x"[..], &*right), (b"x", &*kind.dummy()), (&long, &*right)] {
                assert_eq!(compare(password, hash, &work), Compared { right: false, took }, "{kind:?}");
            }
            assert!(compare(b"abc", &right, &work).right, "{kind:?}");
        }
        for (password, hash) in [(&b"abc"[..], ""), (b"abc", "*"), (b"abc\0", &*Kind::Bcrypt(4).hash(b"abc", [7; 16]))]
        {
            assert_eq!(compare(password, hash, &work), Compared { right: false, took }, "{hash}");
        }
    }

    #[test]
    fn a_hash_of_another_kind_than_expected_takes_what_it_takes() {
        let work = Work::of([Kind::Bcrypt(4)]);
        assert_eq!(compare(b"x", &Kind::Bcrypt(7).dummy(), &work).took.rounds, 1 << 7);
        let took = compare(b"x", &Kind::Argon2id(SMALL).dummy(), &work).took;
        assert_eq!(took, Took { rounds: 1 << 4, blocks: SMALL.blocks() });
        assert_eq!(compare(b"x", &Kind::Bcrypt(4).dummy(), &Work::default()).took.rounds, 1 << 4);
    }

    #[test]
    fn a_hash_is_made_anew_when_the_algorithm_is_another_or_it_cost_less() {
        let (bcrypt, argon2id) = (Kind::Bcrypt, Kind::Argon2id);
        for (old, new, anew) in [
            (bcrypt(10), bcrypt(12), true),
            (bcrypt(12), bcrypt(12), false),
            (bcrypt(12), bcrypt(10), false),
            (argon2id(SMALL), argon2id(LARGER), true),
            (argon2id(LARGER), argon2id(SMALL), false),
            (bcrypt(16), argon2id(SMALL), true),
            (argon2id(LARGER), bcrypt(10), true),
        ] {
            assert_eq!(old.gives_way_to(new), anew, "{old:?} {new:?}");
        }
    }

    #[test]
    fn kinds_are_expected_for_half_a_year_and_there_are_not_many() {
        let seen = Seen::default();
        seen.note(Kind::Bcrypt(10), Millis(1000));
        seen.note(Kind::Bcrypt(12), Millis(2000));
        seen.note(Kind::Bcrypt(10), Millis(500));
        assert_eq!(seen.kinds(Millis(3000)), [(Kind::Bcrypt(10), Millis(1000)), (Kind::Bcrypt(12), Millis(2000))]);
        assert_eq!(seen.kinds(Millis(1000).plus(EXPECTED)), [(Kind::Bcrypt(12), Millis(2000))]);
        (0..100).for_each(|n| seen.note(Kind::Argon2id(Effort { memory: 64 + n, ..SMALL }), Millis(3000)));
        assert_eq!(seen.kinds(Millis(3000)).len(), MOST_KINDS);
    }
}
