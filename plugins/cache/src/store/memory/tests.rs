use crate::bench::zipf::{Sizes, Trace};

fn takes(size: u32) -> u64 {
    u64::from(size) + 1_000
}

#[test]
fn hits_are_near_those_of_an_admission_that_knows_how_often_each_is_asked_for() {
    for (sizes, skew, percent) in [(Sizes::LogNormal, 1.0, 10), (Sizes::Uniform, 1.0, 5)] {
        let trace = Trace::new(5_000, 50_000, skew, sizes, 7);
        let bytes = trace.bytes() / 100 * percent;
        let (zone, optimum, lru) = (trace.zone(bytes), trace.optimum_by_odds(bytes, takes), trace.lru(bytes, takes));
        let what = format!("{sizes:?} {skew} {percent}%: {zone:?}, of {optimum:?}; {lru:?}");
        assert!(zone.requests > optimum.requests - 0.02 && zone.requests > lru.requests + 0.05, "{what}");
        assert!(zone.bytes > optimum.bytes - 0.02, "{what}");
    }
}

#[test]
fn what_is_asked_for_once_and_other_tastes_leave_what_is_worth_most() {
    let trace = || Trace::new(5_000, 25_000, 0.8, Sizes::Uniform, 7);
    let bytes = trace().bytes() / 20;
    for (name, trace) in [("strangers", trace().among_strangers()), ("turned", trace().turned())] {
        let (zone, optimum, lru) = (trace.zone(bytes), trace.optimum_by_size(bytes, takes), trace.lru(bytes, takes));
        let what = format!("{name}: {zone:?}, of {optimum:?}; {lru:?}");
        assert!(zone.requests > optimum.requests - 0.05 && zone.requests > lru.requests + 0.05, "{what}");
        assert!(zone.bytes > lru.bytes, "{what}");
    }
}
