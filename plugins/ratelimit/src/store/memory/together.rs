//! Several limits taken all or none.
//!
//! First a look at all of them: a request that lacks one touches none. Then each is taken as pending, and when the
//! last is had, all are made final; if one is lost to others in between, those taken are undone. Keys are taken in one
//! order, by limit and tag, so that two requests never wait for each other. Nobody takes a refusal for final while a take
//! is pending, so nobody is refused because of a take that is then undone, unless it stays pending for all of one's
//! patience: some 10,000 rounds, milliseconds. Then the refusal stands; a thread that was interrupted in the middle of
//! a take must not hold up all others.

use smallvec::SmallVec;

use super::atoms::Atoms;
use super::step::{Hold, Step, Want};
use super::table::Table;
use crate::rule::{Now, Verdict};

/// The limit that refused, by its place among the asks, and what it said.
pub(super) type Refusal = (usize, Verdict);

/// The takes of one request, of as many wants as there are steps. `None`: it is not decided what to do.
type Steps<'a, A> = SmallVec<[Option<Step<'a, A>>; 4]>;

impl<A: Atoms> Table<A> {
    /// Takes all or none, and writes what they said to `verdicts`. `rest` is asked when all are had, and has the last
    /// word; `None` if there is nothing else to ask.
    #[inline(always)]
    pub(super) fn take_all(
        &self,
        wants: &mut [Want<'_>],
        now: Now,
        verdicts: &mut [Verdict],
        rest: Option<impl FnOnce(&mut [Verdict]) -> Result<(), Refusal>>,
    ) -> Result<(), Refusal> {
        wants.sort_unstable_by_key(|want| (want.limit, want.tag));
        let mut steps = Steps::new();
        self.look_at_all(wants, now, verdicts, &mut steps)?;
        let last = if rest.is_some() { wants.len() } else { wants.len().saturating_sub(1) };
        for place in 0..wants.len() {
            let hold = if place < last { Hold::Pending } else { Hold::Final };
            let (Some(want), Some(step)) = (wants.get(place), steps.get_mut(place)) else { break };
            if step.as_mut().is_some_and(|step| self.make(want, step, hold, now)) {
                continue;
            }
            match self.take(want, hold, same_key(wants, place), now) {
                Ok((made, verdict)) => {
                    *step = Some(made);
                    write(verdicts, want, verdict);
                }
                Err(verdict) => {
                    self.undo_all(wants.iter().zip(&steps).take(place), now);
                    return Err((want.at, verdict));
                }
            }
        }
        if let Some(Err(refusal)) = rest.map(|rest| rest(verdicts)) {
            self.undo_all(wants.iter().zip(&steps), now);
            return Err(refusal);
        }
        for (want, step) in wants.iter().zip(&steps).take(last) {
            if let Some(step) = step {
                self.commit(step, want.tag);
            }
        }
        Ok(())
    }

    /// The steps to take, or the first refusal. All home sets are glanced at first: what is not in the processor's
    /// cache comes at the same time.
    #[inline(always)]
    fn look_at_all<'a>(
        &'a self,
        wants: &mut [Want<'_>],
        now: Now,
        verdicts: &mut [Verdict],
        steps: &mut Steps<'a, A>,
    ) -> Result<(), Refusal> {
        for want in &mut *wants {
            want.glance = self.glance(want.tag);
        }
        for want in &*wants {
            match self.step(want, self.find_from(want.tag, want.glance), now) {
                Ok((step, verdict)) => {
                    steps.push(Some(step));
                    write(verdicts, want, verdict);
                }
                // Nothing is held yet that others might wait for. Whether to wait is decided when it is its turn.
                Err(refused) if refused.pending > 0 => steps.push(None),
                Err(refused) => return Err((want.at, refused.verdict)),
            }
        }
        Ok(())
    }

    #[cold]
    fn undo_all<'s, 'a: 's>(&'a self, made: impl Iterator<Item = (&'s Want<'s>, &'s Option<Step<'a, A>>)>, now: Now) {
        for (want, step) in made {
            if let Some(step) = step {
                self.undo(step, want, now);
            }
        }
    }
}

/// How many takes before this one are of the same key.
#[cold]
fn same_key(wants: &[Want<'_>], place: usize) -> u64 {
    let tag = wants.get(place).map(|want| want.tag);
    wants.iter().take(place).filter(|want| Some(want.tag) == tag).count() as u64
}

#[inline(always)]
fn write(verdicts: &mut [Verdict], want: &Want<'_>, verdict: Verdict) {
    if let Some(place) = verdicts.get_mut(want.at) {
        *place = verdict;
    }
}
