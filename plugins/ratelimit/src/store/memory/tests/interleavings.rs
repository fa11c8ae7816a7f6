//! Every interleaving of two or three threads on one small table.

use std::sync::Arc;

use loom::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use loom::thread;

use super::{concurrency, fixed};
use crate::algorithm::State;
use crate::rule::{Now, Rule, Verdict};
use crate::store::memory::atoms::{Atoms, Latch, Narrow, Wide};
use crate::store::memory::step::{Hold, Want};
use crate::store::memory::table::Table;
use crate::store::memory::together::Refusal;
use crate::store::memory::word::Word;

const NOW: Now = Now { steady: 100, wall: 100 };

/// What else a request may ask for: here nothing.
type Rest = fn(&mut [Verdict]) -> Result<(), Refusal>;

#[derive(Debug)]
struct Loom;

/// Loom has no words of 128 bits: the fields of ours, with small numbers, in 64.
#[derive(Debug)]
struct Narrowed(AtomicU64);

/// Widths of time, kind and pending, amount, version; and where they are in a whole word.
const FIELDS: [(u32, u32, u32); 4] = [(12, 0, 0), (12, 12, 52), (16, 24, 64), (10, 40, 118)];

fn narrow(word: u128) -> u64 {
    let narrowed =
        FIELDS.iter().fold(0, |sum, (bits, to, from)| sum | ((word >> from) as u64 & ((1 << bits) - 1)) << to);
    assert_eq!(widen(narrowed), word, "numbers too large for this test");
    narrowed
}

fn widen(word: u64) -> u128 {
    FIELDS.iter().fold(0, |sum, (bits, at, to)| sum | u128::from(word >> at & ((1 << bits) - 1)) << to)
}

impl Default for Narrowed {
    fn default() -> Self {
        Self(AtomicU64::new(0))
    }
}

impl Wide for Narrowed {
    fn load(&self) -> u128 {
        widen(self.0.load(Ordering::Acquire))
    }
    fn store(&self, value: u128) {
        self.0.store(narrow(value), Ordering::Release);
    }
    fn replace(&self, old: u128, new: u128) -> bool {
        self.0.compare_exchange(narrow(old), narrow(new), Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

#[derive(Debug)]
struct Plain(AtomicU64);

impl Default for Plain {
    fn default() -> Self {
        Self(AtomicU64::new(0))
    }
}

impl Narrow for Plain {
    fn load(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
    fn store(&self, value: u64) {
        self.0.store(value, Ordering::Release);
    }
    fn replace(&self, old: u64, new: u64) -> bool {
        self.0.compare_exchange(old, new, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

#[derive(Debug)]
struct Bit(AtomicBool);

impl Default for Bit {
    fn default() -> Self {
        Self(AtomicBool::new(false))
    }
}

impl Latch for Bit {
    fn try_close(&self) -> bool {
        self.0.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }
    fn open(&self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Atoms for Loom {
    type Wide = Narrowed;
    type Narrow = Plain;
    type Latch = Bit;

    fn pause(_: u32) -> bool {
        thread::yield_now();
        true
    }
}

/// One set of four cells.
fn table() -> Table<Loom> {
    Table::new(0)
}

fn want(rule: &Rule, tag: u64) -> Want<'_> {
    Want { rule, tag, limit: 0, cost: 1, at: 0, policy: 0, glance: 0 }
}

fn take(table: &Table<Loom>, rule: &Rule, tag: u64) -> bool {
    table.take(&want(rule, tag), Hold::Final, 0, NOW).is_ok()
}

fn charge(table: &Table<Loom>, rule: &Rule, tag: u64, units: i64) {
    table.update(&want(rule, tag), NOW, |state| (rule.shape.charge(state, NOW, units), ()));
}

fn take_all(table: &Table<Loom>, wants: &[(&Rule, u64)]) -> bool {
    let mut wants: Vec<Want<'_>> = wants.iter().map(|(rule, tag)| want(rule, *tag)).collect();
    table.take_all(&mut wants, NOW, &mut [Verdict::default(); 4], None::<Rest>).is_ok()
}

fn amount(table: &Table<Loom>, tag: u64) -> u64 {
    table.state(tag).amount
}

/// Cells for the tags 1 and 2, so that only the steps interleave.
fn known(table: &Table<Loom>, rule: &Rule) {
    for tag in [1, 2] {
        charge(table, rule, tag, 1);
        charge(table, rule, tag, -1);
    }
}

fn nothing_pends(table: &Table<Loom>) {
    assert!(table.cells().all(|cell| cell.read().0.pending() == 0), "a take stayed pending");
}

fn explore(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 100_000;
    builder.check(model);
}

#[test]
fn of_one_unit_exactly_one_of_two_gets_it() {
    explore(3, || {
        let (table, rule) = (Arc::new(table()), Arc::new(fixed("1/1ms")));
        let other = {
            let (table, rule) = (table.clone(), rule.clone());
            thread::spawn(move || take(&table, &rule, 1))
        };
        let mine = take(&table, &rule, 1);
        assert!(mine ^ other.join().unwrap(), "not exactly one of two new takes was admitted");
        assert_eq!(table.cells().filter(|cell| cell.tag() == 1).count(), 1, "a key has two cells");
    });
}

#[test]
fn two_that_want_the_same_two_limits_get_them_one_after_the_other() {
    explore(2, || {
        let (table, rule) = (Arc::new(table()), Arc::new(concurrency(1)));
        known(&table, &rule);
        let other = {
            let (table, rule) = (table.clone(), rule.clone());
            thread::spawn(move || take_all(&table, &[(&rule, 2), (&rule, 1)]))
        };
        let mine = take_all(&table, &[(&rule, 1), (&rule, 2)]);
        assert!(mine ^ other.join().unwrap(), "not exactly one of two was admitted");
        assert_eq!((amount(&table, 1), amount(&table, 2)), (1, 1));
        nothing_pends(&table);
    });
}

/// One wants A and B; another wants B alone, and then A alone; there is one of each. Either the first gets both and
/// the other nothing, or the other gets both: it is not refused because of a take that is undone, and no undo gives
/// back more or less than was taken.
#[test]
fn an_undone_take_refuses_nobody() {
    explore(3, || {
        let (table, rule) = (Arc::new(table()), Arc::new(concurrency(1)));
        known(&table, &rule);
        let other = {
            let (table, rule) = (table.clone(), rule.clone());
            thread::spawn(move || (take(&table, &rule, 2), take(&table, &rule, 1)))
        };
        let both = take_all(&table, &[(&rule, 1), (&rule, 2)]);
        assert_eq!(other.join().unwrap(), (!both, !both), "when the first got both: {both}");
        assert_eq!((amount(&table, 1), amount(&table, 2)), (1, 1));
        nothing_pends(&table);
    });
}

/// A set with three guilty keys and one that may go: one thread takes from it while another puts a new key there.
#[test]
fn a_cell_that_changes_hands_is_never_charged_for_the_other() {
    explore(3, || {
        let (table, rule) = (Arc::new(table()), Arc::new(fixed("10/1ms")));
        for guilty in [11, 12, 13] {
            charge(&table, &rule, guilty, 10);
        }
        // The same state as the new key's will be, so that only the version tells their words apart.
        charge(&table, &rule, 1, 1);
        let other = {
            let (table, rule) = (table.clone(), rule.clone());
            thread::spawn(move || take(&table, &rule, 2))
        };
        assert!(take(&table, &rule, 1));
        assert!(other.join().unwrap());
        // Whoever was pushed out is as if never seen; the other has its own count, or begun anew.
        let (old, new) = (amount(&table, 1), amount(&table, 2));
        assert!(matches!((old, new), (0, 1) | (1, 0)), "{old} and {new}");
        assert_eq!([11, 12, 13].map(|guilty| amount(&table, guilty)), [10; 3]);
        nothing_pends(&table);
    });
}

/// The only key that may go is taken, and that is made final later, while a new key looks for a place.
#[test]
fn a_cell_with_a_pending_take_never_changes_hands() {
    explore(2, || {
        let (table, rule) = (Arc::new(table()), Arc::new(fixed("10/1ms")));
        for (tag, units) in [(11, 10), (12, 10), (13, 10), (1, 1)] {
            charge(&table, &rule, tag, units);
        }
        let other = {
            let (table, rule) = (table.clone(), rule.clone());
            thread::spawn(move || take(&table, &rule, 2))
        };
        let want = want(&rule, 1);
        let (step, _) = table.take(&want, Hold::Pending, 0, NOW).unwrap();
        table.commit(&step, 1);
        assert!(other.join().unwrap());
        let counted = [1, 2].map(|tag| amount(&table, tag));
        assert!(matches!(counted, [2, 0] | [0, 1] | [1, 0]), "{counted:?}");
        nothing_pends(&table);
    });
}

#[test]
fn a_take_and_a_release_at_once_lose_nothing() {
    explore(3, || {
        let (table, rule) = (Arc::new(table()), Arc::new(concurrency(2)));
        charge(&table, &rule, 1, 2);
        let other = {
            let (table, rule) = (table.clone(), rule.clone());
            thread::spawn(move || charge(&table, &rule, 1, -1))
        };
        let taken = take(&table, &rule, 1);
        other.join().unwrap();
        assert_eq!(amount(&table, 1), 1 + u64::from(taken));
    });
}

/// The last empty cell of a key's home set is given to a key of another home while it looks for a place of its own.
#[test]
fn a_cell_that_comes_to_its_first_key_hides_nobody_further_on() {
    explore(3, || {
        let (table, rule) = (Arc::new(Table::new(3 * table().bytes())), Arc::new(fixed("10/1ms")));
        // Three of four cells of the first set, and all of the last one's.
        for guilty in [11, 12, 13, u64::MAX, u64::MAX - 1, u64::MAX - 2, u64::MAX - 3] {
            charge(&table, &rule, guilty, 10);
        }
        let other = {
            let (table, rule) = (table.clone(), rule.clone());
            thread::spawn(move || take(&table, &rule, u64::MAX - 4))
        };
        assert!(take(&table, &rule, 1) && take(&table, &rule, 1));
        assert!(other.join().unwrap());
        assert_eq!(table.cells().filter(|cell| cell.tag() == 1).count(), 1, "a key has two cells");
        assert_eq!(amount(&table, 1), 2);
    });
}

#[test]
fn words_survive_the_narrowing() {
    let word = Word::new(super::super::word::Kind::Ban, State { time: 4095, amount: 65535 });
    for word in [word, word.claimed()] {
        assert_eq!(widen(narrow(word.into())), word.into());
    }
}
