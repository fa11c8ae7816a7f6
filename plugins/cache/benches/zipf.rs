//! Hits of a zone in memory on a million requests, beside those of an admission that knows the future.
//!
//! `cargo bench -p tidegate-cache --bench zipf`

use std::time::Instant;

use tidegate_cache::bench::Memory;
use tidegate_cache::bench::zipf::{Share, Sizes, Trace};

const OBJECTS: usize = 100_000;
const REQUESTS: usize = 1_000_000;

/// How far below what is possible a zone may be.
const APART: f64 = 0.02;

fn main() {
    println!("{OBJECTS} objects, {REQUESTS} requests; hits of all requests / of all bytes, in percent");
    println!("by frequency and by size: the future known; by odds: how likely each is asked for known");
    println!(
        "sizes      skew  memory           LRU           zone        by odds   by frequency        by size  us/request"
    );
    for sizes in [Sizes::LogNormal, Sizes::Uniform] {
        for skew in [0.8, 1.0] {
            let trace = Trace::new(OBJECTS, REQUESTS, skew, sizes, 1);
            for percent in [1, 5, 10] {
                print!("{:9}  {skew:4}  {percent:5}%  ", format!("{sizes:?}"));
                let zone = row(&trace, trace.bytes() / 100 * percent);
                let optimum = trace.optimum_by_odds(trace.bytes() / 100 * percent, takes);
                assert!(zone.requests > optimum.requests - APART, "more than two points below what is possible");
            }
        }
    }
    println!("from the middle on others are asked for:");
    let trace = Trace::new(OBJECTS, REQUESTS, 0.8, Sizes::LogNormal, 1).turned();
    print!("LogNormal   0.8      5%  ");
    row(&trace, trace.bytes() / 20);
    println!("every second request is for what is asked for once:");
    let trace = Trace::new(OBJECTS, REQUESTS / 2, 0.8, Sizes::LogNormal, 1);
    let bytes = trace.bytes() / 20;
    print!("LogNormal   0.8      5%  ");
    row(&trace.among_strangers(), bytes);
}

/// What an answer takes takes room from all.
fn takes(size: u32) -> u64 {
    static BESIDE: std::sync::LazyLock<u64> = std::sync::LazyLock::new(|| {
        let memory = Memory::new(64 << 20);
        memory.put(&memory.key("/objects/12345"), &[("content-type", "text/plain")], 1000);
        memory.bytes() - 1000
    });
    u64::from(size) + *BESIDE
}

fn row(trace: &Trace, bytes: u64) -> Share {
    let begun = Instant::now();
    let zone = trace.zone(bytes);
    let took = begun.elapsed().as_secs_f64() * 1e6 / trace.requests.len() as f64;
    let (often, sized) = (trace.optimum(bytes, takes), trace.optimum_by_size(bytes, takes));
    for Share { requests, bytes } in [trace.lru(bytes, takes), zone, trace.optimum_by_odds(bytes, takes), often, sized]
    {
        print!("{:5.2} / {:5.2}  ", requests * 100.0, bytes * 100.0);
    }
    println!("{took:10.2}");
    zone
}
