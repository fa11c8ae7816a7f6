//! How often what is not stored was asked for lately: a count-min sketch of counters of eight bits, which grow old (TinyLFU,
//! Einziger, Friedman and Manes 2017). Four bits are too few where sizes differ: what is large has to be asked for a hundred
//! times as often as what is small to be worth as much, and would be forgotten each time that it leaves.

/// The counters.
pub(super) struct Sketch {
    /// Eight counters each.
    words: Vec<u64>,
    /// Where growing old has come to.
    hand: usize,
    /// Parts of a word that are due, in units of what a whole pass takes.
    due: u64,
}

/// The most that a counter counts.
pub(super) const MOST: u32 = 255;

/// Four counters for each key.
const ROWS: usize = 4;

/// Counters in a word.
const IN_WORD: usize = 8;

/// The least number of words.
const LEAST: usize = 512;

impl Sketch {
    pub(super) fn new() -> Self {
        Self { words: vec![0; LEAST], hand: 0, due: 0 }
    }

    /// How many different keys it tells apart well.
    pub(super) fn width(&self) -> usize {
        self.words.len() * IN_WORD / ROWS
    }

    /// Room for twice as many. What is known stays known.
    pub(super) fn double(&mut self) {
        self.words.extend_from_within(..);
    }

    pub(super) fn get(&self, hash: u64) -> u32 {
        places(hash).map(|place| self.counter(place)).into_iter().min().unwrap_or(0)
    }

    /// Counts one. Only the lowest of its counters: the others count somebody else as well.
    pub(super) fn add(&mut self, hash: u64) {
        let least = self.get(hash);
        if least < MOST {
            self.raise(hash, least + 1);
        }
    }

    /// Has it be `count` at least.
    pub(super) fn raise(&mut self, hash: u64, count: u32) {
        let count = count.min(MOST);
        for place in places(hash) {
            if self.counter(place) < count {
                let (word, shift) = self.at(place);
                self.words[word] = self.words[word] & !(0xff << shift) | u64::from(count) << shift;
            }
        }
    }

    fn at(&self, place: u64) -> (usize, u32) {
        // A power of two of words: the places of a smaller table are those of a bigger one, doubled.
        let mask = self.words.len() - 1;
        ((place >> 3) as usize & mask, (place & 7) as u32 * 8)
    }

    fn counter(&self, place: u64) -> u32 {
        let (word, shift) = self.at(place);
        (self.words[word] >> shift & 0xff) as u32
    }

    /// Grows older by `asked` requests, where `period` halve everything once: a few words at a time, never all at once.
    pub(super) fn grow_old(&mut self, asked: u64, period: u64) {
        let words = self.words.len() as u64;
        self.due = self.due.saturating_add(asked.saturating_mul(words)).min(period.saturating_mul(words));
        let mut steps = self.due / period.max(1);
        self.due %= period.max(1);
        // Who was not here for long has nothing to fear from more than this.
        steps = steps.min(AT_ONCE);
        for _ in 0..steps {
            self.hand = (self.hand + 1) & (self.words.len() - 1);
            let word = &mut self.words[self.hand];
            *word = *word >> 1 & 0x7f7f_7f7f_7f7f_7f7f;
        }
    }
}

/// How many words grow old at once.
const AT_ONCE: u64 = 8192;

/// Four of one hash.
fn places(hash: u64) -> [u64; ROWS] {
    [
        hash >> 20,
        hash.wrapping_mul(0xc2b2_ae3d_27d4_eb4f) >> 20,
        hash.wrapping_mul(0x1656_67b1_9e37_79f9) >> 20,
        hash.wrapping_mul(0xd6e8_feb8_6659_fd93) >> 20,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread(n: u64) -> u64 {
        (n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    #[test]
    fn it_counts_up_to_255_and_never_too_little() {
        let mut sketch = Sketch::new();
        for key in 0..200 {
            for _ in 0..key * 2 {
                sketch.add(spread(key));
            }
        }
        for key in 0..200 {
            assert!(u64::from(sketch.get(spread(key))) >= (key * 2).min(255), "{key}");
        }
    }

    #[test]
    fn a_bigger_one_knows_what_the_smaller_one_knew() {
        let mut sketch = Sketch::new();
        (0..50).for_each(|key| (0..5).for_each(|_| sketch.add(spread(key))));
        let before: Vec<u32> = (0..50).map(|key| sketch.get(spread(key))).collect();
        sketch.double();
        let after: Vec<u32> = (0..50).map(|key| sketch.get(spread(key))).collect();
        assert_eq!(before, after);
    }

    #[test]
    fn what_is_not_asked_for_any_more_is_forgotten() {
        let mut sketch = Sketch::new();
        (0..8).for_each(|_| sketch.add(spread(1)));
        for _ in 0..1000 {
            sketch.grow_old(1, 1000);
        }
        assert_eq!(sketch.get(spread(1)), 4);
        sketch.grow_old(4000, 1000);
        sketch.grow_old(4000, 1000);
        assert!(sketch.get(spread(1)) <= 1);
    }
}
