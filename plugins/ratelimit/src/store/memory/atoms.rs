//! The atomic words that cells are made of, as a trait: the machine's own in a gateway, loom's in the tests that try
//! every interleaving of threads.

use std::fmt::Debug;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use portable_atomic::AtomicU128;

/// A word of 128 bits.
pub(super) trait Wide: Default + Debug + Send + Sync {
    /// Acquire.
    fn load(&self) -> u128;
    /// Release.
    fn store(&self, value: u128);
    /// Writes `new` if the word is `old`: acquire and release.
    fn replace(&self, old: u128, new: u128) -> bool;
}

/// A word of 64 bits.
pub(super) trait Narrow: Default + Debug + Send + Sync {
    /// Acquire.
    fn load(&self) -> u64;
    /// Release.
    fn store(&self, value: u64);
    /// Writes `new` if the word is `old`.
    fn replace(&self, old: u64, new: u64) -> bool;
}

/// One bit that one thread at a time holds.
pub(super) trait Latch: Default + Debug + Send + Sync {
    fn try_close(&self) -> bool;
    fn open(&self);
}

/// A family of atomics.
pub(super) trait Atoms: Debug + 'static {
    type Wide: Wide;
    type Narrow: Narrow;
    type Latch: Latch;

    /// Lets another thread get on with what this one waits for; false when it has waited long enough.
    fn pause(round: u32) -> bool;
}

/// The machine's.
#[derive(Debug)]
pub(super) struct Machine;

/// Rounds of waiting without giving the core away: somebody is in the middle of a few instructions.
const SPINS: u32 = 64;
/// Rounds of giving the core away: whoever is waited for was interrupted. Some milliseconds altogether.
const YIELDS: u32 = 10_000;

impl Atoms for Machine {
    type Wide = AtomicU128;
    type Narrow = AtomicU64;
    type Latch = AtomicBool;

    fn pause(round: u32) -> bool {
        if round < SPINS {
            std::hint::spin_loop();
        } else {
            std::thread::yield_now();
        }
        round < SPINS + YIELDS
    }
}

impl Wide for AtomicU128 {
    #[inline]
    fn load(&self) -> u128 {
        self.load(Ordering::Acquire)
    }
    fn store(&self, value: u128) {
        self.store(value, Ordering::Release);
    }
    #[inline]
    fn replace(&self, old: u128, new: u128) -> bool {
        self.compare_exchange(old, new, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

impl Narrow for AtomicU64 {
    #[inline]
    fn load(&self) -> u64 {
        self.load(Ordering::Acquire)
    }
    fn store(&self, value: u64) {
        self.store(value, Ordering::Release);
    }
    fn replace(&self, old: u64, new: u64) -> bool {
        self.compare_exchange(old, new, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

impl Latch for AtomicBool {
    fn try_close(&self) -> bool {
        self.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }
    fn open(&self) {
        self.store(false, Ordering::Release);
    }
}

/// How long somebody has been waiting.
#[derive(Debug, Default)]
pub(super) struct Wait(u32);

impl Wait {
    /// Waits a moment; false if it has been long enough.
    pub(super) fn go_on<A: Atoms>(&mut self) -> bool {
        let patient = A::pause(self.0);
        self.0 = self.0.saturating_add(1);
        patient
    }
}
