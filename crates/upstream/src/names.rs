//! What a pool knows of each name among its targets, and when to ask again.

use std::net::IpAddr;
use std::time::{Duration, Instant, SystemTime};

use crate::dns::{Answer, DnsError};
use crate::ttl::Schedule;

/// One name's last good answer, kept until there is a better one.
#[derive(Clone)]
pub(crate) struct NameState {
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) resolved_at: Option<SystemTime>,
    pub(crate) failure: Option<DnsError>,
    failures: u32,
    /// Whether anybody has said anything, good or not, to the question as it is asked now.
    asked: bool,
    due: Instant,
}

/// What an answer changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum News {
    /// Nothing.
    None,
    /// Requests go elsewhere.
    Moved,
    /// They go where they went, but the name can be resolved again.
    Recovered,
}

impl NameState {
    /// Not asked for yet: due at once.
    pub(crate) fn new(now: Instant) -> Self {
        Self { addresses: Vec::new(), resolved_at: None, failure: None, failures: 0, asked: false, due: now }
    }

    /// How long until the name is to be asked for.
    pub(crate) fn due_in(&self, now: Instant) -> Duration {
        self.due.saturating_duration_since(now)
    }

    /// Whether the name was asked for, with or without an answer.
    pub(crate) fn asked(&self) -> bool {
        self.asked
    }

    /// From now on it is asked for in another way: at once, and what is known is good until there is an answer.
    pub(crate) fn ask_anew(&mut self, now: Instant) {
        self.asked = false;
        self.due = now;
    }

    /// Takes a new answer, and says what that changes.
    pub(crate) fn learn(&mut self, answer: Answer, schedule: Schedule, now: Instant, wall: SystemTime) -> News {
        let news = match self.addresses == answer.addresses {
            false => News::Moved,
            true if self.failure.is_some() => News::Recovered,
            true => News::None,
        };
        self.due = now + schedule.after_answer(answer.ttl);
        self.asked = true;
        self.resolved_at = Some(wall);
        self.failure = None;
        self.failures = 0;
        self.addresses = answer.addresses;
        news
    }

    /// Keeps the last good answer; says how long until the next question.
    pub(crate) fn fail(&mut self, error: DnsError, schedule: Schedule, now: Instant) -> Duration {
        self.asked = true;
        self.failures = self.failures.saturating_add(1);
        self.failure = Some(error);
        let wait = schedule.after_failure(self.failures);
        self.due = now + wait;
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const SCHEDULE: Schedule = Schedule { min: Duration::from_secs(5), max: Duration::from_secs(300) };

    fn answer(last: u8, ttl: Duration) -> Answer {
        Answer { addresses: vec![IpAddr::from([10, 0, 0, last])], ttl }
    }

    #[test]
    fn a_new_name_is_due_at_once() {
        let now = Instant::now();
        let state = NameState::new(now);
        assert_eq!(state.due_in(now), Duration::ZERO);
        assert!(!state.asked());
    }

    #[test]
    fn an_answer_is_good_until_shortly_before_its_ttl_ends() {
        let now = Instant::now();
        let mut state = NameState::new(now);
        assert_eq!(state.learn(answer(1, 60 * SECOND), SCHEDULE, now, SystemTime::now()), News::Moved);
        assert_eq!(state.due_in(now), 55 * SECOND);
        assert_eq!(state.due_in(now + 56 * SECOND), Duration::ZERO);
    }

    #[test]
    fn only_other_addresses_move_traffic() {
        let now = Instant::now();
        let mut state = NameState::new(now);
        state.learn(answer(1, SECOND), SCHEDULE, now, SystemTime::now());
        assert_eq!(state.learn(answer(1, 60 * SECOND), SCHEDULE, now, SystemTime::now()), News::None);
        assert_eq!(state.learn(answer(2, SECOND), SCHEDULE, now, SystemTime::now()), News::Moved);
    }

    #[test]
    fn a_failure_keeps_the_last_good_answer_and_is_forgotten_by_the_next() {
        let now = Instant::now();
        let mut state = NameState::new(now);
        state.learn(answer(1, SECOND), SCHEDULE, now, SystemTime::now());
        assert_eq!(state.fail(DnsError::NoSuchName, SCHEDULE, now), SECOND);
        assert_eq!(state.fail(DnsError::NoSuchName, SCHEDULE, now), 2 * SECOND);
        assert_eq!(state.addresses, [IpAddr::from([10, 0, 0, 1])]);
        assert!(state.failure.is_some());
        assert_eq!(state.learn(answer(1, SECOND), SCHEDULE, now, SystemTime::now()), News::Recovered);
        assert!(state.failure.is_none());
        assert_eq!(state.fail(DnsError::NoSuchName, SCHEDULE, now), SECOND);
    }
}
