//! Of two who write the same answer, the one that was asked for last is right, and a purge is right against both.

use std::collections::HashMap;
use std::time::SystemTime;

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
    /// When the answer was asked for that was put into its place last.
    placed: Option<SystemTime>,
}

/// When one began, and when what it writes was asked for. To be given back.
#[derive(Debug, Clone, Copy)]
pub(super) struct Turn {
    begun: u64,
    asked: SystemTime,
}

impl Turns {
    pub(super) fn begin(&self, id: Id, asked: SystemTime) -> Turn {
        let mut state = self.0.lock();
        state.last += 1;
        state.of.entry(id.0).or_default().count += 1;
        Turn { begun: state.last, asked }
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

    /// Whether it is still right. If so, nothing that was asked for earlier may come after it.
    pub(super) fn take(&self, id: Id, turn: Turn) -> bool {
        let mut state = self.0.lock();
        let Some(writers) = state.of.get_mut(&id.0) else { return false };
        let is_right = writers.valid_from <= turn.begun && writers.placed <= Some(turn.asked);
        if is_right {
            writers.placed = Some(turn.asked);
        }
        is_right
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
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_was_asked_for_before_another_or_begun_before_a_purge_comes_too_late() {
        let (turns, id) = (Turns::default(), Id(7));
        let begin = |second| turns.begin(id, SystemTime::UNIX_EPOCH + Duration::from_secs(second));
        let [third, first, second] = [3, 1, 2].map(begin);
        assert!(turns.take(id, second));
        assert!(!turns.take(id, first));
        assert!(turns.take(id, third));
        let fourth = begin(4);
        turns.supersede(id);
        assert!(!turns.take(id, fourth));
        let fifth = begin(5);
        assert!(turns.take(id, fifth));
        (0..5).for_each(|_| turns.end(id));
        assert!(turns.0.lock().of.is_empty());
    }
}
