//! To choose a target allocates nothing, whatever the algorithm.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::sync::Arc;

use alloc_tracker::Session;
use tidegate_core::{Clock, Metrics};
use tidegate_upstream::{Pick, Pool, Upstreams};

#[global_allocator]
static ALLOCATOR: alloc_tracker::Allocator<std::alloc::System> = alloc_tracker::Allocator::system();

fn allocations(work: impl FnOnce()) -> u64 {
    let session = Session::new();
    let operation = session.operation("work");
    let span = operation.measure_thread();
    work();
    drop(span);
    session.to_report().operations().map(|(_, work)| work.total_allocations_count()).sum()
}

/// Weights that differ, two zones, two tiers, a sticky cookie and a slow start: every branch there is.
fn pool(algorithm: &str) -> Arc<Pool> {
    let target = |n: u16| {
        let (zone, tier) = (if n.is_multiple_of(2) { "a" } else { "b" }, u16::from(n > 100));
        format!("{{ address: \"10.0.0.1:{n}\", weight: {}, zone: {zone}, priority: {tier} }}", n % 7 + 1)
    };
    let targets: Vec<_> = (1..=110).map(target).collect();
    let yaml = format!(
        "{{ app: {{ targets: [{}], lb: {{ algorithm: {algorithm}, zone_aware: {{ local: a }} }}, slow_start: 10s, \
         sticky: {{ secret: 0123456789abcdef }} }} }}",
        targets.join(", ")
    );
    let config: BTreeMap<_, _> = serde_yaml::from_str(&yaml).unwrap();
    Upstreams::build(&config, None, &Metrics::new(), &Clock::system()).unwrap().get("app").unwrap().clone()
}

#[test]
fn a_pick_allocates_nothing() {
    assert!(allocations(|| drop(std::hint::black_box(Box::new(0_u8)))) > 0, "nothing is counted");
    for algorithm in ["round_robin", "random", "least_request", "peak_ewma", "consistent_hash"] {
        let pool = pool(algorithm);
        let kept = pool.pick(&Pick::default()).unwrap();
        let header = kept.set_cookie(None).unwrap().to_str().unwrap();
        let sticky = header.split(['=', ';']).nth(1);
        let tried: Vec<_> = (0..3).map(|_| pool.pick(&Pick::default()).unwrap().id()).collect();
        let all = {
            let mut all = Vec::new();
            while pool.has_untried(&all) {
                all.push(pool.pick(&Pick { tried: &all, ..Pick::default() }).unwrap().id());
            }
            all
        };
        let picks = [
            Pick::default(),
            Pick { hash: Some(7), ..Pick::default() },
            Pick { sticky, ..Pick::default() },
            Pick { sticky: Some("forged"), ..Pick::default() },
            Pick { tried: &tried, ..Pick::default() },
            Pick { tried: &all[..100], ..Pick::default() },
            Pick { tried: &all, ..Pick::default() },
        ];
        // What a thread needs once: its random numbers, and a place in the snapshot's ledger.
        drop(pool.pick(&Pick::default()).unwrap());
        for pick in &picks {
            let mut picked = None;
            let count = allocations(|| picked = pool.pick(pick).ok());
            assert_eq!(count, 0, "{algorithm}: {pick:?}");
            let mut picked = picked.unwrap();
            let count = allocations(|| {
                picked.connected(false);
                picked.answered();
                drop(picked);
            });
            assert_eq!(count, 0, "{algorithm}: the end of {pick:?}");
        }
    }
}
