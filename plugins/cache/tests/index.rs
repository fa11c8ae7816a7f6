//! The index of a disk takes at most 32 bytes for each answer, whatever their number.

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tidegate_cache::bench::DiskIndex;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// One test: others beside it would allocate as well.
#[test]
fn ten_gibibytes_of_answers_of_5_kib_take_64_mib_of_memory_and_fewer_take_less() {
    let region = Region::new(ALLOCATOR);
    let live = || {
        let change = region.change();
        change.bytes_allocated as i64 - change.bytes_deallocated as i64
    };
    let index = DiskIndex::new();
    let all = (10_u64 << 30) / (5 << 10);
    for number in 0..all {
        // Hashes are spread over all 64 bits.
        index.insert(
            (number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(31).wrapping_mul(0xD6E8_FEB8_6659_FD93),
            5 << 10,
        );
        if number > 20_000 && number % 997 == 0 {
            let each = live() as f64 / number as f64;
            assert!(each <= 32.0, "{each} bytes each of {number}");
        }
    }
    assert_eq!(index.objects(), all);
    assert!(live() <= 64 << 20, "{} bytes", live());
}
