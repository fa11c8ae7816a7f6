//! What a zone says that it takes is what it takes.

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tidegate_cache::bench::{Memory, OVERHEAD};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const FIELDS: &[(&str, &str)] = &[
    ("content-type", "application/json; charset=utf-8"),
    ("cache-control", "public, max-age=3600"),
    ("etag", "\"0123456789abcdef\""),
    ("date", "Sun, 06 Nov 1994 08:49:37 GMT"),
    ("x-request-cost", "17"),
];

/// Bytes that were allocated since, and not given back.
fn live(region: &Region<'_, System>) -> u64 {
    let change = region.change();
    (change.bytes_allocated as i64 - change.bytes_deallocated as i64).max(0) as u64
}

/// One test: others beside it would allocate as well.
#[test]
fn what_is_counted_is_what_the_allocator_gave() {
    // What is made once for all.
    drop(Memory::new(1 << 20));
    for (length, memory) in [(100, 16 << 20), (1_000, 16 << 20), (5_000, 16 << 20), (100_000, 64 << 20)] {
        let region = Region::new(ALLOCATOR);
        let zone = Memory::new(memory);
        let mut names = 0;
        // More than fits, each asked for once in a while.
        while names < 3 * memory / (length as u64 + 1_000) {
            let key = zone.key(&format!("/objects/{names}"));
            zone.put(&key, FIELDS, length);
            zone.find(&key);
            names += 1;
        }
        let (counted, real, objects) = (zone.bytes(), live(&region), zone.objects());
        let of_each = real / objects - length as u64;
        println!("{length} B: {objects} objects, counted {counted}, allocated {real}; {of_each} beside each body");
        assert!(counted <= memory, "{counted} of {memory}");
        assert!(counted > memory / 100 * 90, "{counted} of {memory}");
        let apart = (real as f64 - counted as f64).abs() / counted as f64;
        assert!(apart < 0.10, "{length} B: {counted} counted, {real} allocated");
        drop(zone);
        assert!(live(&region) < 64 << 10, "{} left", live(&region));
    }
    println!("{OVERHEAD} beside key, head and body");
}
