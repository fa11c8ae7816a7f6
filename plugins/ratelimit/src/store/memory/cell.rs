//! One key's place in the table, and the protocol by which threads share it without locks.
//!
//! - A **step** replaces the whole word that was read. It fails if anything changed meanwhile, and is then made anew.
//! - A take that may yet be undone is counted in the word as **pending**. A refusal seen while somebody else's take is
//!   pending is not final; a cell with pending takes never changes hands.
//! - A cell **changes hands** in four writes: the word is replaced by a mark with the next version, then the tag and
//!   the scale are written, then the first word of the new key. Whoever read the old word fails to replace it, because
//!   no later word has its version. Whoever reads the new word after it finds the new tag beside it.

use super::atoms::{Atoms, Narrow, Wide};
use super::scale::Scale;
use super::word::Word;

/// 32 bytes: two to a cache line.
#[derive(Debug)]
#[repr(C, align(32))]
pub(super) struct Cell<A: Atoms> {
    word: A::Wide,
    /// Whose it is; 0 is nobody's, and never again once it was somebody's.
    tag: A::Narrow,
    scale: A::Narrow,
}

/// What a cell looks like to somebody who looks for a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sight {
    Theirs(Word),
    /// It changes hands right now: to this tag, or away from it.
    Changing,
    /// It is another's by now.
    Gone,
}

impl<A: Atoms> Default for Cell<A> {
    fn default() -> Self {
        Self { word: A::Wide::default(), tag: A::Narrow::default(), scale: A::Narrow::default() }
    }
}

impl<A: Atoms> Cell<A> {
    #[inline]
    pub(super) fn tag(&self) -> u64 {
        self.tag.load()
    }

    /// The word of `tag`. The tag is read after the word: if it still is this one, the word is its word.
    #[inline]
    pub(super) fn sight(&self, tag: u64) -> Sight {
        let word = Word::from(self.word.load());
        match self.tag.load() {
            found if found != tag => Sight::Gone,
            _ if word.is_claimed() => Sight::Changing,
            _ => Sight::Theirs(word),
        }
    }

    /// Whether no key has or is given it. Read as by [`Cell::sight`]: whoever sees the first key's word sees its tag.
    pub(super) fn is_empty(&self) -> bool {
        matches!(self.sight(0), Sight::Theirs(_))
    }

    /// Replaces a word seen before.
    #[inline]
    pub(super) fn replace(&self, old: Word, new: Word) -> bool {
        self.word.replace(old.into(), new.into())
    }

    /// Word, tag and scale. Whatever is decided by them holds if the word can still be replaced.
    pub(super) fn read(&self) -> (Word, u64, Scale) {
        let word = Word::from(self.word.load());
        (word, self.tag.load(), Scale(self.scale.load()))
    }

    /// The same, all of one key's time in the cell; `None` while it changes hands.
    pub(super) fn snapshot(&self) -> Option<(Word, u64, Scale)> {
        let (before, tag, scale) = self.read();
        let after = Word::from(self.word.load());
        let one_key = !before.is_claimed() && !after.is_claimed() && before.version() == after.version();
        (one_key && tag != 0).then_some((after, tag, scale))
    }

    /// Makes the cell `tag`'s, if its word still is `seen`. Returns the word it then has.
    pub(super) fn claim(&self, seen: Word, tag: u64, scale: Scale, first: Word) -> Option<Word> {
        let mark = seen.claimed();
        if !self.replace(seen, mark) {
            return None;
        }
        self.tag.store(tag);
        self.scale.store(scale.0);
        let word = first.in_place_of(mark);
        self.word.store(word.into());
        Some(word)
    }

    /// After a reload the key's policy may have another number. If the cell changed hands meanwhile, either the scale
    /// differs and nothing happens, or the new key's limit is of the same policy too.
    #[inline]
    pub(super) fn count_for(&self, policy: u16) {
        let scale = Scale(self.scale.load());
        if scale.policy() != policy {
            self.scale.replace(scale.0, scale.with_policy(policy).0);
        }
    }
}
