//! The revocations that this gateway knows.

use std::collections::HashMap;
use std::collections::hash_map::Entry::{Occupied, Vacant};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};

use crate::id::Millis;
use crate::steady::Steady;
use crate::store::{Cursor, Revocation, Revoked};
use crate::verdict::Mark;

/// Few enough entries in each that walking through one delays nobody.
const SHARDS: usize = 256;
/// How many of them are looked through for what can be forgotten at a time.
const SWEPT: usize = 8;
/// Tokens are taken for a while after they have expired, as clocks differ: at most so long.
const LEEWAY: Duration = Duration::from_secs(300);

/// Revocations by what they are of, exactly: no token is refused by accident. Bounded.
///
/// Kept over reloads, with how far the store was read.
pub(super) struct Known {
    shards: Box<[RwLock<Shard>]>,
    len: AtomicUsize,
    most: usize,
    /// The next shard to be looked through.
    hand: AtomicUsize,
    pub(super) progress: Progress,
}

/// How far the store was read. Written by the task that reads it.
#[derive(Default)]
pub(super) struct Progress {
    /// Everything that was revoked before the gateway started is known.
    pub(super) caught_up: AtomicBool,
    /// There were more than there is room for: not everything is known.
    pub(super) overflowed: AtomicBool,
    /// The store has not answered for too long.
    pub(super) lost: AtomicBool,
    pub(super) cursor: Mutex<Cursor>,
    /// By which is forgotten what is over.
    pub(super) steady: Steady,
    /// When everything was read last.
    read: Mutex<Option<Instant>>,
}

impl Progress {
    /// Whether all revocations are known. Room is looked at twice: what didn't fit is marked before all is read, and the
    /// mark is taken away after it is said that all will be read again.
    pub(super) fn is_whole(&self) -> bool {
        let fits = || !self.overflowed.load(Acquire);
        fits() && self.caught_up.load(Acquire) && fits()
    }

    /// Everything was read.
    pub(super) fn caught_up(&self, now: Instant) {
        *self.read.lock() = Some(now);
        self.caught_up.store(true, Release);
    }

    /// All is to be read again.
    pub(super) fn begin_again(&self) {
        self.caught_up.store(false, Relaxed);
        self.overflowed.store(false, Release);
        *self.cursor.lock() = Cursor::default();
    }

    /// Nobody has read for a while, as all was asked about or nothing: what is new is not known.
    pub(super) fn resume(&self, now: Instant, patience: Duration) {
        if self.read.lock().is_none_or(|read| now.saturating_duration_since(read) > patience) {
            self.caught_up.store(false, Relaxed);
        }
    }
}

type Shard = HashMap<Revoked, Until>;

/// Which tokens are refused, and for how long that is worth knowing.
#[derive(Debug, Clone, Copy)]
struct Until {
    before: u64,
    until: Millis,
}

impl Known {
    pub(super) fn new(most: usize) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| RwLock::default()).collect(),
            len: AtomicUsize::new(0),
            most,
            hand: AtomicUsize::new(0),
            progress: Progress::default(),
        }
    }

    /// Whether a token is revoked, as far as is known here. Allocates nothing.
    pub(super) fn holds(&self, mark: &Mark) -> bool {
        // The common case: nobody has logged out lately.
        if self.len.load(Relaxed) == 0 {
            return false;
        }
        mark.names().any(|what| {
            let shard = self.shard(&what).read();
            shard.get(&what).is_some_and(|held| mark.issued < held.before || held.before == u64::MAX)
        })
    }

    /// Adds revocations. What doesn't fit sets the mark that not everything is known.
    pub(super) fn add(&self, revoked: &[Revocation]) {
        for Revocation { what, before, until } in revoked {
            let mut shard = self.shard(what).write();
            match shard.entry(*what) {
                Occupied(mut held) => {
                    let held = held.get_mut();
                    *held = Until { before: held.before.max(*before), until: held.until.max(*until) };
                }
                Vacant(place) if self.len.load(Relaxed) < self.most => {
                    place.insert(Until { before: *before, until: *until });
                    self.len.fetch_add(1, Relaxed);
                }
                Vacant(_) => self.progress.overflowed.store(true, Relaxed),
            }
        }
    }

    /// Forgets some of what is of no use any more: tokens that have expired are refused for that.
    pub(super) fn forget(&self, now: Millis) {
        for _ in 0..SWEPT {
            let Some(shard) = self.shards.get(self.hand.fetch_add(1, Relaxed) % SHARDS) else { return };
            let mut shard = shard.write();
            let before = shard.len();
            shard.retain(|_, held| held.until.plus(LEEWAY) > now);
            self.len.fetch_sub(before - shard.len(), Relaxed);
            // What a wave of logouts took is given back when it is over.
            if shard.capacity() > 4 * shard.len() + 64 {
                shard.shrink_to_fit();
            }
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.len.load(Relaxed)
    }

    /// Whether there is room for a quarter more.
    pub(super) fn has_room(&self) -> bool {
        self.len() < self.most / 4 * 3
    }

    /// The memory that they take, in bytes.
    pub(super) fn bytes(&self) -> usize {
        // A map of this kind has a byte for each place, and an eighth of the places stay free.
        let place = size_of::<(Revoked, Until)>() + 1;
        let places = |shard: &RwLock<Shard>| (shard.read().capacity() * 8 / 7).next_power_of_two();
        let taken = self.shards.iter().map(|shard| match shard.read().capacity() {
            0 => 0,
            _ => places(shard) * place,
        });
        SHARDS * size_of::<RwLock<Shard>>() + taken.sum::<usize>()
    }

    fn shard(&self, what: &Revoked) -> &RwLock<Shard> {
        let (Revoked::Token(id) | Revoked::Session(id) | Revoked::Subject(id)) = what;
        // 256 of them: every byte is one's number.
        &self.shards[usize::from(id.0[0])]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Id;
    use crate::verdict::Name;

    const FAR: Millis = Millis(1_000_000);
    const ISSUER: Option<&str> = Some("a");

    fn mark(jti: &str, issued: u64) -> Mark {
        let session = Some(Id::hash(&[b"session"]));
        let (token, subject) = (Name::of_jti(ISSUER, jti), Name::of_subject(ISSUER, "u"));
        Mark { token, subject, session, issued, expires: 2_000_000_000 }
    }

    fn revocation(what: Revoked, before: u64, until: Millis) -> Revocation {
        Revocation { what, before, until }
    }

    #[test]
    fn a_token_is_found_by_itself_its_session_and_its_subject() {
        for (what, before, found) in [
            (Revoked::Token(Name::of_jti(ISSUER, "a").own), u64::MAX, true),
            (Revoked::Token(Name::of_jti(ISSUER, "b").own), u64::MAX, false),
            (Revoked::Session(Id::hash(&[b"session"])), u64::MAX, true),
            (Revoked::Session(Name::of_jti(ISSUER, "a").own), u64::MAX, false),
            (Revoked::Subject(Name::of_subject(ISSUER, "u").own), 101, true),
            (Revoked::Subject(Name::of_subject(ISSUER, "u").own), 100, false),
            (Revoked::Subject(Name::of_subject(ISSUER, "v").own), u64::MAX, false),
            // Of whatever issuer, and of another one.
            (Revoked::Token(Name::of_jti(None, "a").own), u64::MAX, true),
            (Revoked::Subject(Name::of_subject(None, "u").own), 101, true),
            (Revoked::Token(Name::of_jti(Some("b"), "a").own), u64::MAX, false),
            (Revoked::Subject(Name::of_subject(Some("b"), "u").own), u64::MAX, false),
        ] {
            let known = Known::new(100);
            assert!(!known.holds(&mark("a", 100)));
            known.add(&[revocation(what, before, FAR)]);
            assert_eq!(known.holds(&mark("a", 100)), found, "{what:?} before {before}");
        }
    }

    #[test]
    fn of_two_about_the_same_the_stricter_holds() {
        let known = Known::new(100);
        let subject = Revoked::Subject(Name::of_subject(ISSUER, "u").own);
        known.add(&[revocation(subject, 200, FAR), revocation(subject, 100, FAR)]);
        assert!(known.holds(&mark("a", 150)));
        assert_eq!(known.len(), 1);
    }

    #[test]
    fn what_is_over_is_forgotten_and_nothing_else() {
        let known = Known::new(10_000);
        for n in 0..1000_u64 {
            let what = Revoked::Token(Id::hash(&[&n.to_be_bytes()]));
            known.add(&[revocation(what, u64::MAX, Millis(if n % 2 == 0 { 1000 } else { 9_000_000 }))]);
        }
        let sweep = |now| (0..SHARDS / SWEPT).for_each(|_| known.forget(now));
        sweep(Millis(1000).plus(LEEWAY - Duration::from_millis(1)));
        assert_eq!(known.len(), 1000, "tokens are still taken so long after they have expired");
        sweep(Millis(1000).plus(LEEWAY));
        assert_eq!(known.len(), 500);
    }

    #[test]
    fn there_are_never_more_than_allowed_and_it_is_known_that_some_are_missing() {
        let known = Known::new(10);
        for n in 0..20_u64 {
            assert_eq!(known.progress.overflowed.load(Relaxed), n > 10);
            known.add(&[revocation(Revoked::Token(Id::hash(&[&n.to_be_bytes()])), u64::MAX, FAR)]);
        }
        assert_eq!(known.len(), 10);
    }

    #[test]
    fn its_memory_is_known() {
        let known = Known::new(1_000_000);
        let empty = known.bytes();
        for n in 0..100_000_u64 {
            known.add(&[revocation(Revoked::Token(Id::hash(&[&n.to_be_bytes()])), u64::MAX, FAR)]);
        }
        let each = (known.bytes() - empty) / 100_000;
        assert!((34..=100).contains(&each), "{each} bytes for each");
    }
}
