//! The memory of a zone without a gateway around it, for benches and for tests that count allocations. Not for anybody else.

pub mod zipf;

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
        Self(Store::new(limits, Marks::new(), Clock::system(), metrics).without_chance())
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
