//! Of two who write the same answer, the one that began last is right, and a purge is right against both.

use std::collections::HashMap;

use parking_lot::Mutex;

use super::Id;

/// Who is writing what, and since when.
#[derive(Default)]
pub(super) struct Turns(Mutex<State>);

#[derive(Default)]
struct State {
    last: u64,
    of: HashMap<u64, Writers>,
}

/// Those of one answer.
#[derive(Default)]
struct Writers {
    count: usize,
    /// Who began before this writes what is no longer right.
    valid_from: u64,
}

/// When one began. To be given back.
#[derive(Debug, Clone, Copy)]
pub(super) struct Turn(u64);

impl Turns {
    pub(super) fn begin(&self, id: Id) -> Turn {
        let mut state = self.0.lock();
        state.last += 1;
        state.of.entry(id.0).or_default().count += 1;
        Turn(state.last)
    }

    pub(super) fn end(&self, id: Id) {
        let mut state = self.0.lock();
        if let Some(writers) = state.of.get_mut(&id.0) {
            writers.count -= 1;
            if writers.count == 0 {
                state.of.remove(&id.0);
            }
        }
    }

    /// Whether nobody who began later was first. If so, nobody who began earlier may come after.
    pub(super) fn take(&self, id: Id, turn: Turn) -> bool {
        let mut state = self.0.lock();
        let Some(writers) = state.of.get_mut(&id.0).filter(|writers| writers.valid_from <= turn.0) else {
            return false;
        };
        writers.valid_from = turn.0;
        true
    }

    /// What is being written now is no longer right.
    pub(super) fn supersede(&self, id: Id) {
        let mut state = self.0.lock();
        let next = state.last + 1;
        if let Some(writers) = state.of.get_mut(&id.0) {
            writers.valid_from = next;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_began_before_another_or_before_a_purge_comes_too_late() {
        let (turns, id) = (Turns::default(), Id(7));
        let [first, second, third] = [(); 3].map(|()| turns.begin(id));
        assert!(turns.take(id, second));
        assert!(!turns.take(id, first));
        assert!(turns.take(id, third));
        let fourth = turns.begin(id);
        turns.supersede(id);
        assert!(!turns.take(id, fourth));
        let fifth = turns.begin(id);
        assert!(turns.take(id, fifth));
        (0..5).for_each(|_| turns.end(id));
        assert!(turns.0.lock().of.is_empty());
    }
}
