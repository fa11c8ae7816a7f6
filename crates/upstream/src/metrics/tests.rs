use super::*;
use tidegate_core::Metrics;

fn text(metrics: &Metrics) -> String {
    let encoder = tidegate_core::prometheus::TextEncoder::new();
    encoder.encode_to_string(&metrics.registry().gather()).expect("encoded")
}

fn pool(metrics: &UpstreamMetrics) -> PoolMetrics {
    PoolMetrics::new("users", metrics)
}

#[test]
fn a_targets_series_end_with_its_last_address() {
    let metrics = Metrics::new();
    let upstreams = UpstreamMetrics::new(&metrics, None).expect("made");
    let pool = pool(&upstreams);
    let (one, other) = (pool.target(&"a:1".into()), pool.target(&"a:1".into()));
    one.outcomes[0].inc();
    other.outcomes[0].inc();
    drop(one);
    assert!(text(&metrics).contains(r#"requests_total{outcome="answered",target="a:1",upstream="users"} 2"#));
    drop(other);
    assert!(!text(&metrics).contains("a:1"), "{}", text(&metrics));
}

#[test]
fn a_target_that_comes_again_before_its_last_request_has_ended_goes_on_counting() {
    let metrics = Metrics::new();
    let pool = pool(&UpstreamMetrics::new(&metrics, None).expect("made"));
    let draining = pool.target(&"a:1".into());
    draining.outcomes[0].inc();
    let again = pool.target(&"a:1".into());
    drop(draining);
    again.outcomes[0].inc();
    assert!(text(&metrics).contains(r#"requests_total{outcome="answered",target="a:1",upstream="users"} 2"#));
}

#[test]
fn a_pools_series_end_with_the_last_pool_of_its_name() {
    let metrics = Metrics::new();
    let before = UpstreamMetrics::new(&metrics, None).expect("made");
    let old = pool(&before);
    old.target(&"a:1".into());
    old.discovered("file", true);
    old.series.hedges();
    old.refused(&Overloaded::Full);
    let after = UpstreamMetrics::new(&metrics, Some(&before)).expect("made");
    let new = pool(&after);
    drop(old);
    assert!(text(&metrics).contains(r#"refused_total{upstream="users",why="full"} 1"#));
    drop(new);
    assert!(!text(&metrics).contains("users"), "{}", text(&metrics));
}

#[test]
fn another_gateways_metrics_are_not_taken_over() {
    let one = UpstreamMetrics::new(&Metrics::new(), None).expect("made");
    let metrics = Metrics::new();
    let other = UpstreamMetrics::new(&metrics, Some(&one)).expect("made");
    pool(&other).refused(&Overloaded::QueueTimeout);
    // It is gone with its pool; that it was there at all shows in the family.
    let kept = pool(&other);
    kept.refused(&Overloaded::QueueTimeout);
    assert!(text(&metrics).contains(r#"refused_total{upstream="users",why="queue_timeout"} 1"#));
}

#[test]
fn targets_beyond_a_thousand_are_counted_together() {
    let metrics = Metrics::new();
    let pool = pool(&UpstreamMetrics::new(&metrics, None).expect("made"));
    let targets: Vec<_> = (0..1_500).map(|nth| pool.target(&format!("10.0.0.1:{nth}").into())).collect();
    targets.iter().for_each(|target| target.outcomes[0].inc());
    let text = text(&metrics);
    assert!(text.contains(r#"requests_total{outcome="answered",target="other",upstream="users"} 500"#), "{text}");
    assert_eq!(text.matches(r#"requests_total{outcome="answered""#).count(), 1_001);
    // Those that were there first still have their own.
    assert!(Arc::ptr_eq(&pool.target(&"10.0.0.1:3".into()), &targets[3]));
}

#[test]
fn a_gauge_that_is_no_longer_asked_for_goes() {
    let metrics = Metrics::new();
    let pool = pool(&UpstreamMetrics::new(&metrics, None).expect("made"));
    let family = &pool.series.families().breaker;
    pool.series.gauge(family, true).expect("wanted").set(1);
    assert!(text(&metrics).contains("breaker_open{"));
    assert!(pool.series.gauge(family, false).is_none());
    assert!(!text(&metrics).contains("breaker_open{"));
}
