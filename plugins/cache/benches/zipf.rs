//! Hits of a zone in memory on a million requests, beside those of an admission that knows the future.
//!
//! `cargo bench -p tidegate-cache --bench zipf`

use std::time::Instant;

use tidegate_cache::bench::zipf::Trace;

const OBJECTS: usize = 100_000;
const REQUESTS: usize = 1_000_000;

/// What an answer takes beside its body, about.
const BESIDE: u64 = 1_200;

fn main() {
    println!("{OBJECTS} objects of 512 B to 128 KiB, {REQUESTS} requests; hits in percent");
    println!("skew  memory  zone   most asked for  by size  us/request");
    for skew in [0.9, 1.0] {
        let trace = Trace::new(OBJECTS, REQUESTS, skew, 1);
        for percent in [1, 10] {
            let bytes = trace.bytes() / 100 * percent;
            // What an answer takes beside its body takes room from both.
            let takes = |size| u64::from(size) + BESIDE;
            let begun = Instant::now();
            let zone = trace.play(bytes) * 100.0;
            let took = begun.elapsed().as_secs_f64() * 1e6 / REQUESTS as f64;
            let (often, sized) = (trace.optimum(bytes, takes) * 100.0, trace.optimum_by_size(bytes, takes) * 100.0);
            println!("{skew:4}  {percent:5}%  {zone:5.2}  {often:14.2}  {sized:7.2}  {took:10.2}");
            assert!(zone > often - 2.0, "more than two points below what is possible");
        }
    }
}
