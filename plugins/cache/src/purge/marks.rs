//! All purges, and what they say of a stored answer.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::{Mutex, RwLock};
use tidegate_core::HeaderMap;

use super::asked::AskedFor;
use super::journal::Journal;
use super::labels::{Place, host, tags};
use super::mark::{Mark, Target, host_and_port};
use crate::store::Keys;

/// What the marks say of a stored answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nobody has purged it.
    Good,
    /// Its time ended then, by a soft purge: it may be used as any other stale answer.
    ExpiredAt(SystemTime),
    /// It is not to be used any more.
    Gone,
}

/// How many marks are kept one by one. Beyond that the older half of them becomes one: all that was asked for before the
/// newest of these is gone. More is purged than was asked for, never less.
const MOST: usize = 200_000;

/// How many prefixes. Each costs a comparison for each answer that is looked at after a purge; more than that become
/// marks of their whole host.
const MOST_PREFIXES: usize = 1_000;

/// How far the latest request is noted ahead: a millisecond, in nanoseconds. Marks are that much ahead of the clock.
const AHEAD: u64 = 1_000_000;

/// All purges that stored answers may still have to be compared with.
pub(crate) struct Marks {
    epoch: AtomicU64,
    /// Nanoseconds since 1970 of the newest mark.
    newest: AtomicU64,
    /// No request so far was asked for later than this: a mark is never before it, though the clock go back.
    latest: AtomicU64,
    table: RwLock<Table>,
    hasher: RandomState,
    journal: Option<Mutex<Journal>>,
    asked_for: AskedFor,
}

#[derive(Debug, Default)]
struct Table {
    /// By a hash of kind and text. Two that share one purge each other: a miss, and no more.
    exact: HashMap<u64, Times>,
    prefixes: Vec<(Box<str>, Times)>,
    all: Times,
}

/// Until when what was asked for is purged, in nanoseconds since 1970; 0: never purged.
#[derive(Debug, Clone, Copy, Default)]
struct Times {
    hard: u64,
    soft: u64,
}

impl Times {
    fn note(&mut self, soft: bool, at: u64) {
        let time = if soft { &mut self.soft } else { &mut self.hard };
        *time = at.max(*time);
    }

    fn add(&mut self, other: Times) {
        self.note(false, other.hard);
        self.note(true, other.soft);
    }

    fn newest(self) -> u64 {
        self.hard.max(self.soft)
    }
}

impl Marks {
    /// Marks that are gone with the process.
    pub(crate) fn new() -> Self {
        Self {
            epoch: AtomicU64::new(1),
            newest: AtomicU64::new(0),
            latest: AtomicU64::new(0),
            table: RwLock::default(),
            hasher: RandomState::new(),
            journal: None,
            asked_for: AskedFor::since(0),
        }
    }

    /// Marks that are kept in `folder`, beside the answers that they are about, and encrypted as these are. What can't be
    /// read of them purges all that is older.
    pub(crate) fn kept(folder: &std::path::Path, keys: &Keys, now: SystemTime) -> std::io::Result<Self> {
        let (journal, found) = Journal::open(folder, keys, nanos(now))?;
        // What is stored there was asked for by another process.
        let before = found.iter().map(|(_, at)| *at).max().unwrap_or(0).max(nanos(now));
        let (journal, asked_for) = (Some(Mutex::new(journal)), AskedFor::since(before));
        let marks = Self { journal, asked_for, latest: AtomicU64::new(before), ..Self::new() };
        for (mark, at) in found {
            marks.note(&mark, at);
        }
        Ok(marks)
    }

    /// Other keys from now on, for what is kept.
    pub(crate) fn seal_with(&self, keys: &Keys) -> std::io::Result<()> {
        self.journal.as_ref().map_or(Ok(()), |journal| journal.lock().seal_with(keys))
    }

    /// Counts up with each purge. An answer that was found good at one epoch is good until the next.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// The time to be noted as when an upstream was asked: after every purge so far, whatever the clock says.
    pub(crate) fn asked(&self, wall: SystemTime) -> SystemTime {
        let asked = nanos(wall).max(self.newest.load(Ordering::Acquire).saturating_add(1));
        if asked > self.latest.load(Ordering::Acquire) {
            // With some time to spare, so that this is not written for each request.
            self.latest.fetch_max(asked.saturating_add(AHEAD), Ordering::AcqRel);
        }
        time(asked)
    }

    /// The same for a URL, as [`Place::url`] has it: from now on it may be stored.
    pub(crate) fn asked_for(&self, url: &str, wall: SystemTime) -> SystemTime {
        let asked = self.asked(wall);
        self.asked_for.note(self.hash(b'u', url), nanos(asked));
        asked
    }

    /// Purges. The time of the mark is that of this gateway's clock, and never before that of another mark or of a request
    /// that has begun. When this
    /// returns without an error the mark survives a crash of the machine, if the marks are kept at all.
    pub(crate) fn add(&self, mark: &Mark, wall: SystemTime) -> std::io::Result<()> {
        self.leave(mark, wall, true)
    }

    /// The same for what an unsafe method made invalid (RFC 9111 section 4.4), a URL as [`Place::url`] has it: survives a
    /// crash of the process. `false` for one that has not been asked for since it was made invalid before, or never: so no
    /// mark is left for each POST that there is.
    pub(crate) fn invalidate(&self, url: String, wall: SystemTime) -> bool {
        let hash = self.hash(b'u', &url);
        let before = {
            let table = self.table.read();
            table.exact.get(&hash).map_or(0, |times| times.hard).max(table.all.hard)
        };
        if self.asked_for.last(hash) <= before {
            return false;
        }
        if let Err(error) = self.leave(&Mark { target: Target::Url(url.into()), soft: false }, wall, false) {
            log::warn!(error:%; "the cache can't keep what was invalidated");
        }
        true
    }

    /// The same for what is known to be of an older version: all of this URL that was asked for until `last`, and nothing
    /// that was asked for after it.
    pub(crate) fn outdate(&self, url: String, last: SystemTime) {
        let (hash, at) = (self.hash(b'u', &url), nanos(last));
        if self.table.read().exact.get(&hash).is_some_and(|times| times.hard >= at) {
            return;
        }
        let mark = Mark { target: Target::Url(url.into()), soft: false };
        self.note(&mark, at);
        let kept = self.journal.as_ref().map_or(Ok(()), |journal| journal.lock().add(&mark, at, false));
        if let Err(error) = kept {
            log::warn!(error:%; "the cache can't keep what is outdated");
        }
    }

    fn leave(&self, mark: &Mark, wall: SystemTime, synced: bool) -> std::io::Result<()> {
        let now = nanos(wall).max(self.latest.load(Ordering::Acquire));
        let next = |newest: u64| Some(now.max(newest.saturating_add(1)));
        let before = self.newest.fetch_update(Ordering::AcqRel, Ordering::Acquire, next).unwrap_or_default();
        let at = next(before).unwrap_or(u64::MAX);
        // In use before it is kept: an operator who is told that it wasn't kept has purged all the same.
        self.note(mark, at);
        match &self.journal {
            Some(journal) => journal.lock().add(mark, at, synced),
            None => Ok(()),
        }
    }

    fn note(&self, mark: &Mark, at: u64) {
        self.newest.fetch_max(at, Ordering::AcqRel);
        let mut table = self.table.write();
        match &mark.target {
            Target::All => table.all.note(mark.soft, at),
            Target::Prefix(prefix) => self.note_prefix(&mut table, prefix, mark.soft, at),
            target => {
                table.exact.entry(self.hash(target.kind(), target.text())).or_default().note(mark.soft, at);
                if table.exact.len() > MOST {
                    fold(&mut table);
                }
            }
        }
        // After the mark: who reads the epoch first and compares then has seen all marks of that epoch.
        drop(table);
        self.epoch.fetch_add(1, Ordering::AcqRel);
    }

    fn note_prefix(&self, table: &mut Table, prefix: &str, soft: bool, at: u64) {
        if let Some((_, times)) = table.prefixes.iter_mut().find(|(known, _)| **known == *prefix) {
            times.note(soft, at);
            return;
        }
        if table.prefixes.len() < MOST_PREFIXES {
            let mut times = Times::default();
            times.note(soft, at);
            table.prefixes.push((prefix.into(), times));
            return;
        }
        let authority = prefix.split("://").nth(1).unwrap_or("").split('/').next().unwrap_or("");
        let (host, _) = host_and_port(authority);
        table.exact.entry(self.hash(b'h', host)).or_default().note(soft, at);
    }

    /// What they say of an answer under `key` (a whole cache key) with these fields, of which the upstream was asked
    /// at that time.
    pub(crate) fn verdict(&self, key: &[u8], headers: &HeaderMap, asked: SystemTime) -> Verdict {
        let Some(place) = Place::of(key) else { return Verdict::Gone };
        let url = place.url();
        let table = self.table.read();
        let mut times = table.all;
        let mut look = |kind: u8, text: &str| {
            if let Some(found) = table.exact.get(&self.hash(kind, text)) {
                times.add(*found);
            }
        };
        if !table.exact.is_empty() {
            look(b'h', &host(place.host));
            look(b'u', &url);
            tags(headers).for_each(|tag| look(b't', tag));
        }
        if !table.prefixes.is_empty() {
            let whole = place.without_query();
            let hit = table.prefixes.iter().filter(|(prefix, _)| whole.starts_with(&**prefix));
            hit.for_each(|(_, found)| times.add(*found));
        }
        let asked = nanos(asked);
        match (asked <= times.hard, asked <= times.soft) {
            (true, _) => Verdict::Gone,
            (false, true) => Verdict::ExpiredAt(time(times.soft)),
            (false, false) => Verdict::Good,
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        let table = self.table.read();
        table.exact.len() + table.prefixes.len() + usize::from(table.all.newest() > 0)
    }

    fn hash(&self, kind: u8, text: &str) -> u64 {
        self.hasher.hash_one((kind, text))
    }
}

/// Makes one of the older half.
fn fold(table: &mut Table) {
    let mut times: Vec<u64> = table.exact.values().map(|times| times.newest()).collect();
    let middle = times.len() / 2;
    let (_, newest, _) = times.select_nth_unstable(middle);
    let newest = *newest;
    table.exact.retain(|_, times| times.newest() > newest);
    table.all.note(false, newest);
    log::warn!(marks = middle; "too many purges are kept one by one: all that was stored before the older half is purged");
}

fn nanos(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

fn time(nanos: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_nanos(nanos)
}

impl std::fmt::Debug for Marks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Marks({})", self.len())
    }
}
