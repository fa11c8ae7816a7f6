//! The memory of a zone without a gateway around it, for benches and for tests that count allocations. Not for anybody else.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tidegate_core::cache::CacheKey;
use tidegate_core::cache::engine::CacheMeta;
use tidegate_core::{Clock, Metrics, ResponseHeader};

use crate::purge::Marks;
use crate::store::disk::{Id, Index};
use crate::store::{Head, Limits, Slot, Store, StoreMetrics};

/// What an answer takes beside its key, its head's fields and its body.
pub const OVERHEAD: usize = crate::store::OVERHEAD;

/// A zone without a disk.
pub struct Memory(Store);

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Memory").finish_non_exhaustive()
    }
}

impl Memory {
    /// One that may take so many bytes.
    pub fn new(bytes: u64) -> Self {
        let metrics = StoreMetrics::new(&Metrics::new()).expect("nothing is there yet").zone("bench");
        let limits = Limits { memory: bytes, max_object: bytes / 2 };
        Self(Store::new(limits, Marks::new(), Clock::system(), metrics))
    }

    /// A key as requests have it.
    pub fn key(&self, name: &str) -> CacheKey {
        let parts = [&b"1"[..], b"https", b"www.example.com", b"443", b"GET", name.as_bytes(), b""];
        parts.into_iter().fold(CacheKey::new(), CacheKey::part).hashed(|key| self.0.hash(key))
    }

    /// Whether it is there, whole.
    pub fn find(&self, key: &CacheKey) -> bool {
        self.0.find(key, None).is_some()
    }

    /// Stores an answer with these fields and a body of so many bytes.
    pub fn put(&self, key: &CacheKey, fields: &[(&'static str, &str)], length: usize) {
        let mut head = ResponseHeader::build(200, None).expect("a status");
        for (name, value) in fields {
            head.insert_header(*name, *value).expect("a field");
        }
        let now = SystemTime::now();
        let head = Arc::new(Head::of(&CacheMeta::new(now + Duration::from_secs(3600), now, 0, 0, head)));
        let memory = self.0.memory();
        let flight = memory.begin(Slot { key: key.hash(), variant: None }, key.as_bytes(), head);
        static PIECE: [u8; 32 << 10] = [b'x'; 32 << 10];
        let mut left = length;
        while left > 0 {
            let piece = &PIECE[..left.min(PIECE.len())];
            memory.append(&flight, piece);
            left -= piece.len();
        }
        memory.commit(&flight);
    }

    /// How many answers are there.
    pub fn objects(&self) -> u64 {
        self.0.stats().objects
    }

    /// How many bytes it says that it takes.
    pub fn bytes(&self) -> u64 {
        self.0.stats().bytes
    }

    /// How much of that is the table, as it is when it is empty.
    pub fn limit(&self) -> u64 {
        self.0.stats().memory
    }
}

/// Requests for objects, some of which are asked for much more often than others, and what there is to win.
pub mod zipf {
    use rand::rngs::SmallRng;
    use rand::{Rng, SeedableRng};

    /// A trace: object by object, and the size of each.
    #[derive(Debug)]
    pub struct Trace {
        /// Which object is asked for.
        pub requests: Vec<u32>,
        /// How big each is.
        pub sizes: Vec<u32>,
    }

    impl Trace {
        /// The object at place `n` is asked for with a probability as 1 / n^`skew`. Sizes are between 512 bytes and 128 KiB,
        /// in each octave as many, whatever the place.
        pub fn new(objects: usize, requests: usize, skew: f64, seed: u64) -> Self {
            let mut random = SmallRng::seed_from_u64(seed);
            let mut sum = 0.0;
            let weights: Vec<f64> = (1..=objects)
                .map(|place| {
                    sum += (place as f64).powf(-skew);
                    sum
                })
                .collect();
            let sizes = (0..objects).map(|_| (512.0 * random.random_range(0.0..8.0_f64).exp2()) as u32).collect();
            let requests = (0..requests).map(|_| {
                let at = random.random_range(0.0..sum);
                weights.partition_point(|weight| *weight < at).min(objects - 1) as u32
            });
            Self { requests: requests.collect(), sizes }
        }

        /// Bytes of all objects.
        pub fn bytes(&self) -> u64 {
            self.sizes.iter().map(|size| u64::from(*size)).sum()
        }

        /// The share of hits of an admission that knows how often each object will be asked for, and stores those only that
        /// are asked for most often and fit: an object's first request is a miss, all others are hits.
        pub fn optimum(&self, bytes: u64, takes: impl Fn(u32) -> u64) -> f64 {
            self.best(bytes, takes, |asked, _| asked as f64)
        }

        /// The same of one that weighs how often an object is asked for against its size: nothing that doesn't change what it
        /// stores has more hits.
        pub fn optimum_by_size(&self, bytes: u64, takes: impl Fn(u32) -> u64) -> f64 {
            self.best(bytes, takes, |asked, takes| (asked - 1) as f64 / takes as f64)
        }

        fn best(&self, bytes: u64, takes: impl Fn(u32) -> u64, worth: impl Fn(u64, u64) -> f64) -> f64 {
            let mut asked = vec![0_u64; self.sizes.len()];
            self.requests.iter().for_each(|object| asked[*object as usize] += 1);
            let mut objects: Vec<(u64, u64)> =
                asked.iter().zip(&self.sizes).filter(|(asked, _)| **asked > 1).map(|(a, s)| (*a, takes(*s))).collect();
            objects.sort_by(|(a, a_takes), (b, b_takes)| worth(*b, *b_takes).total_cmp(&worth(*a, *a_takes)));
            let (mut used, mut hits) = (0, 0);
            for (asked, takes) in objects {
                if used + takes <= bytes {
                    used += takes;
                    hits += asked - 1;
                }
            }
            hits as f64 / self.requests.len() as f64
        }

        /// The share of hits of a zone of so many bytes.
        pub fn play(&self, bytes: u64) -> f64 {
            let memory = super::Memory::new(bytes);
            let keys: Vec<_> = (0..self.sizes.len()).map(|nth| memory.key(&format!("/objects/{nth}"))).collect();
            let mut hits = 0_u64;
            for object in &self.requests {
                let key = &keys[*object as usize];
                if memory.find(key) {
                    hits += 1;
                } else {
                    memory.put(key, &[("content-type", "text/plain")], self.sizes[*object as usize] as usize);
                }
            }
            hits as f64 / self.requests.len() as f64
        }
    }
}

/// What the index of a disk holds, for measuring it.
#[derive(Debug)]
pub struct DiskIndex(Index);

impl DiskIndex {
    /// Nothing yet.
    #[expect(clippy::new_without_default, reason = "for measuring only")]
    pub fn new() -> Self {
        Self(Index::new())
    }

    /// An answer of so many bytes.
    pub fn insert(&self, hash: u64, bytes: u64) {
        self.0.insert(Id(hash), bytes);
    }

    /// How many there are.
    pub fn objects(&self) -> u64 {
        self.0.objects()
    }
}
