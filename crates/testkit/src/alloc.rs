//! Counting allocations.

use alloc_tracker::Session;

#[doc(hidden)]
pub type CountingAllocator = alloc_tracker::Allocator<std::alloc::System>;

#[doc(hidden)]
pub const fn counting_allocator() -> CountingAllocator {
    alloc_tracker::Allocator::system()
}

/// Makes [`allocations`] count: once, at the top of a test binary. Only that binary gets the counting allocator.
#[macro_export]
macro_rules! count_allocations {
    () => {
        #[global_allocator]
        static COUNTING_ALLOCATOR: $crate::CountingAllocator = $crate::counting_allocator();
    };
}

/// How many allocations `work` makes on this thread; what other threads do meanwhile doesn't count.
///
/// Panics in a binary that doesn't say [`count_allocations!`](crate::count_allocations).
pub fn allocations(work: impl FnOnce()) -> u64 {
    assert!(count(|| drop(std::hint::black_box(Box::new(0_u8)))) > 0, "put count_allocations!() into this binary");
    count(work)
}

fn count(work: impl FnOnce()) -> u64 {
    let session = Session::new();
    let operation = session.operation("work");
    let span = operation.measure_thread();
    work();
    drop(span);
    session.to_report().operations().map(|(_, work)| work.total_allocations_count()).sum()
}
