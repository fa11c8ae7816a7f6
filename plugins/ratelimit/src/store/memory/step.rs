//! One key's steps: take, hold, commit, undo, and any other change of its state.

use super::atoms::{Atoms, Wait};
use super::cell::{Cell, Sight};
use super::scale::Scale;
use super::table::{Find, Put, Table};
use super::word::{Kind, Word};
use crate::algorithm::State;
use crate::rule::{Now, Rule, Verdict};

/// One limit asked for one key, and the tag under which its state is kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Want<'a> {
    pub(super) rule: &'a Rule,
    pub(super) tag: u64,
    /// Which limit, by which takes are ordered first: of one route's requests it is always the same order.
    pub(super) limit: u64,
    pub(super) cost: u64,
    /// Its place among the asks of the request.
    pub(super) at: usize,
    pub(super) policy: u16,
    /// What was seen of the tag's home set; none or outdated does no harm.
    pub(super) glance: u8,
}

/// A take of one key by what was seen of it: the word there, and the one to put in its place. Once it is made, both
/// say what to put back. Without a cell the key is new, or, when made, not tracked.
#[derive(Debug)]
pub(super) struct Step<'a, A: Atoms> {
    cell: Option<&'a Cell<A>>,
    seen: Word,
    next: Word,
}

/// Whether a take may yet be undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hold {
    /// It must be committed or undone.
    Pending,
    /// It is final.
    Final,
}

/// Why there is no step.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) verdict: Verdict,
    /// Takes that may yet be undone stand in the way.
    pub(super) pending: u64,
}

impl Want<'_> {
    fn word(&self, state: State) -> Word {
        Word::new(Kind::of(&self.rule.shape), state)
    }

    fn scale(&self) -> Scale {
        Scale::of(self.rule, self.policy)
    }
}

impl<A: Atoms> Step<'_, A> {
    /// Whether there is anything to commit or undo once it is made.
    fn changes(&self) -> bool {
        self.seen != self.next
    }
}

impl<A: Atoms> Table<A> {
    /// What a take would be by what was found, and what it would say.
    #[inline(always)]
    pub(super) fn step<'a>(
        &'a self,
        want: &Want<'_>,
        find: Find<'a, A>,
        now: Now,
    ) -> Result<(Step<'a, A>, Verdict), Refused> {
        let (cell, seen) = match find {
            Find::At(cell, word) => (Some(cell), word),
            Find::Absent => (None, want.word(State::FRESH)),
            Find::Changing => self.after_change(want),
        };
        match want.rule.shape.take(seen.state(), now, want.cost) {
            Ok((state, verdict)) => Ok((Step { cell, seen, next: seen.with(state) }, verdict)),
            Err(verdict) => Err(Refused { verdict, pending: seen.pending() }),
        }
    }

    #[cold]
    fn after_change(&self, want: &Want<'_>) -> (Option<&Cell<A>>, Word) {
        match self.find_patiently(want.tag) {
            Find::At(cell, word) => (Some(cell), word),
            Find::Absent | Find::Changing => (None, want.word(State::FRESH)),
        }
    }

    /// Makes the take; false if others were faster.
    #[inline(always)]
    pub(super) fn make<'a>(&'a self, want: &Want<'_>, step: &mut Step<'a, A>, hold: Hold, now: Now) -> bool {
        if !step.changes() {
            return true;
        }
        if hold == Hold::Pending {
            // If more are pending than can be counted, they will be done soon.
            let Some(held) = step.next.held() else { return false };
            step.next = held;
        }
        let Some(cell) = step.cell else { return self.make_new(want, step, hold, now) };
        let made = cell.replace(step.seen, step.next);
        if made {
            cell.count_for(want.policy);
        }
        made
    }

    #[inline(never)]
    fn make_new<'a>(&'a self, want: &Want<'_>, step: &mut Step<'a, A>, hold: Hold, now: Now) -> bool {
        match self.put(want.tag, want.scale(), step.next, now) {
            Put::At(cell, word) => {
                let before = if hold == Hold::Pending { word.let_go() } else { word };
                *step = Step { cell: Some(cell), seen: before.with(State::FRESH), next: word };
                true
            }
            Put::Known => false,
            Put::NoRoom => {
                step.next = step.seen;
                true
            }
        }
    }

    /// Takes, however often others are faster. A refusal while takes of others are pending is not final: they may be
    /// undone. `own` are the pending takes of this very request on the same key, for which nobody can wait.
    pub(super) fn take<'a>(
        &'a self,
        want: &Want<'_>,
        hold: Hold,
        own: u64,
        now: Now,
    ) -> Result<(Step<'a, A>, Verdict), Verdict> {
        let mut wait = Wait::default();
        loop {
            match self.step(want, self.find(want.tag), now) {
                Ok((mut step, verdict)) => {
                    if self.make(want, &mut step, hold, now) {
                        return Ok((step, verdict));
                    }
                }
                Err(refused) if refused.pending <= own || !wait.go_on::<A>() => return Err(refused.verdict),
                Err(_) => {}
            }
        }
    }

    /// A pending take becomes final.
    #[inline(always)]
    pub(super) fn commit(&self, made: &Step<'_, A>, tag: u64) {
        let Some(cell) = made.cell.filter(|_| made.changes()) else { return };
        if !cell.replace(made.next, made.next.let_go()) {
            rewrite(cell, tag, Word::let_go);
        }
    }

    /// A pending take never was. If nothing else happened to the key meanwhile, it is exactly as before.
    pub(super) fn undo(&self, made: &Step<'_, A>, want: &Want<'_>, now: Now) {
        let Some(cell) = made.cell.filter(|_| made.changes()) else { return };
        if !cell.replace(made.next, made.seen) {
            let undone = |word: Word| want.rule.shape.undo(word.state(), now, now, want.cost);
            rewrite(cell, want.tag, |word| word.with(undone(word)).let_go());
        }
    }

    /// Changes a key's state whatever its limit says, and returns what the last `change` said.
    pub(super) fn update<R>(&self, want: &Want<'_>, now: Now, change: impl Fn(State) -> (State, R)) -> R {
        loop {
            let find = self.find_patiently(want.tag);
            let before = state_in(find);
            let (after, said) = change(before);
            let done = match find {
                _ if before == after => true,
                Find::At(cell, word) => cell.replace(word, word.with(after)),
                Find::Absent => !matches!(self.put(want.tag, want.scale(), want.word(after), now), Put::Known),
                Find::Changing => {
                    self.pass_untracked();
                    true
                }
            };
            if done {
                return said;
            }
        }
    }

    /// Changes the state of a key if it is known.
    pub(super) fn change_known(&self, tag: u64, change: impl Fn(State) -> State) {
        while let Find::At(cell, word) = self.find_patiently(tag) {
            if cell.replace(word, word.with(change(word.state()))) {
                return;
            }
        }
    }

    /// What a key's state is, without changing anything.
    pub(super) fn state(&self, tag: u64) -> State {
        state_in(self.find_patiently(tag))
    }

    /// Looks until the key neither comes nor goes, or it has been long enough.
    fn find_patiently(&self, tag: u64) -> Find<'_, A> {
        let mut wait = Wait::default();
        loop {
            match self.find(tag) {
                Find::Changing if wait.go_on::<A>() => {}
                find => return find,
            }
        }
    }
}

fn state_in<A: Atoms>(find: Find<'_, A>) -> State {
    match find {
        Find::At(_, word) => word.state(),
        Find::Absent | Find::Changing => State::FRESH,
    }
}

/// Of a cell with a pending take, which therefore can not change hands.
#[cold]
fn rewrite<A: Atoms>(cell: &Cell<A>, tag: u64, change: impl Fn(Word) -> Word) {
    while let Sight::Theirs(word) = cell.sight(tag) {
        if cell.replace(word, change(word)) {
            return;
        }
    }
    debug_assert!(false, "a cell changed hands under a pending take");
}
