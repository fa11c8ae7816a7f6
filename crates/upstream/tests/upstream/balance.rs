//! Which target is next.

use std::collections::BTreeMap;
use std::sync::Arc;

use tidegate_upstream::{Pick, Pool, hash_key};

use crate::support::{build, pick};

fn pool(upstream: &str) -> Arc<Pool> {
    build(&format!("app: {upstream}")).unwrap().get("app").unwrap().clone()
}

fn shares(pool: &Arc<Pool>, picks: usize) -> BTreeMap<String, usize> {
    let mut shares = BTreeMap::new();
    for _ in 0..picks {
        *shares.entry(pick(pool).address().to_owned()).or_default() += 1;
    }
    shares
}

const THREE: &str = "[\"10.0.0.1:1\", \"10.0.0.2:1\", \"10.0.0.3:1\"]";

#[test]
fn round_robin_gives_each_of_three_targets_1000_of_3000() {
    let shares = shares(&pool(&format!("{{ targets: {THREE} }}")), 3_000);
    assert_eq!(shares.into_values().collect::<Vec<_>>(), [1_000, 1_000, 1_000]);
}

#[test]
fn round_robin_is_exact_with_many_threads() {
    let pool = pool(&format!("{{ targets: {THREE} }}"));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            std::thread::spawn({
                let pool = pool.clone();
                move || shares(&pool, 750)
            })
        })
        .collect();
    let mut sum = BTreeMap::<String, usize>::new();
    for (address, share) in threads.into_iter().flat_map(|thread| thread.join().unwrap()) {
        *sum.entry(address).or_default() += share;
    }
    assert_eq!(sum.into_values().collect::<Vec<_>>(), [1_000, 1_000, 1_000]);
}

const WEIGHTED: &str = "[{ address: \"10.0.0.1:1\", weight: 5 }, \"10.0.0.2:1\", \"10.0.0.3:1\"]";

#[test]
fn weights_are_exact_and_without_bursts() {
    let pool = pool(&format!("{{ targets: {WEIGHTED} }}"));
    let turns: String = (0..7).map(|_| pick(&pool).address().as_bytes()[7] as char).collect();
    assert_eq!(turns, "1121311");
    assert_eq!(shares(&pool, 700).into_values().collect::<Vec<_>>(), [500, 100, 100]);
}

#[test]
fn random_follows_the_weights() {
    let shares = shares(&pool(&format!("{{ targets: {WEIGHTED}, lb: random }}")), 70_000);
    for (address, expected) in [("10.0.0.1:1", 50_000), ("10.0.0.2:1", 10_000), ("10.0.0.3:1", 10_000)] {
        // Ten standard deviations.
        assert!(shares[address].abs_diff(expected) < 1_200, "{shares:?}");
    }
}

#[test]
fn a_target_that_was_tried_comes_again_only_when_no_other_is_left() {
    for lb in ["round_robin", "random", "least_request", "peak_ewma", "consistent_hash"] {
        let pool = pool(&format!("{{ targets: {WEIGHTED}, lb: {lb} }}"));
        for _ in 0..200 {
            let mut tried = Vec::new();
            for _ in 0..3 {
                let picked = pool.pick(&Pick { tried: &tried, ..Pick::default() }).unwrap();
                assert!(!tried.contains(&picked.id()), "{lb}");
                assert!(pool.has_untried(&tried), "{lb}");
                tried.push(picked.id());
            }
            assert!(!pool.has_untried(&tried), "{lb}");
            assert!(pool.pick(&Pick { tried: &tried, ..Pick::default() }).is_ok(), "{lb}");
        }
    }
}

#[test]
fn to_ask_whether_a_target_is_left_takes_no_turn() {
    let pool = pool(&format!("{{ targets: {THREE} }}"));
    let first = pick(&pool);
    assert!(pool.has_untried(&[first.id()]));
    assert_eq!((first.address(), pick(&pool).address()), ("10.0.0.1:1", "10.0.0.2:1"));
}

#[test]
fn a_target_that_drains_gets_nothing_and_the_rotation_of_the_others_is_exact() {
    let pool = pool(&format!("{{ targets: {THREE} }}"));
    assert!(pool.drain("10.0.0.2:1", true));
    let without = shares(&pool, 1_000);
    assert_eq!(without.into_iter().collect::<Vec<_>>(), [("10.0.0.1:1".into(), 500), ("10.0.0.3:1".into(), 500)]);
    assert!(pool.drain("10.0.0.2:1", false));
    assert_eq!(shares(&pool, 3_000).into_values().collect::<Vec<_>>(), [1_000, 1_000, 1_000]);
}

#[test]
fn gateways_that_list_targets_in_another_order_send_a_user_to_the_same() {
    let of = |targets: &str| {
        let pool = pool(&format!("{{ targets: {targets}, lb: consistent_hash }}"));
        let owner = |user: u32| {
            let hash = Some(hash_key(&user.to_be_bytes()));
            pool.pick(&Pick { hash, ..Pick::default() }).unwrap().address().to_owned()
        };
        (0..1_000).map(owner).collect::<Vec<_>>()
    };
    assert_eq!(of(THREE), of("[\"10.0.0.3:1\", \"10.0.0.1:1\", \"10.0.0.2:1\"]"));
}

#[test]
fn a_browser_comes_back_to_its_target_on_another_gateway_with_the_same_secret() {
    let gateway = || pool(&format!("{{ targets: {THREE}, sticky: {{ secret: 0123456789abcdef, ttl: 1h }} }}"));
    let first = gateway();
    pick(&first);
    let second_target = pick(&first);
    let header = second_target.set_cookie(None).unwrap().to_str().unwrap();
    assert!(header.starts_with("tidegate_target="), "{header}");
    assert!(header.ends_with("; Path=/; HttpOnly; Secure; SameSite=Lax; Max-Age=3600"), "{header}");
    assert!(!header.contains("10.0.0"), "{header}");
    let sticky = header.split(['=', ';']).nth(1);
    let again = gateway().pick(&Pick { sticky, ..Pick::default() }).unwrap();
    assert_eq!(again.address(), "10.0.0.2:1");
    assert_eq!(again.set_cookie(sticky), None);
}

#[test]
fn one_target_serves_every_try() {
    let pool = pool("{ targets: [\"unix:/run/app.sock\"] }");
    let first = pick(&pool);
    let again = pool.pick(&Pick { tried: &[first.id()], ..Pick::default() }).unwrap();
    assert_eq!(again.address(), "unix:/run/app.sock");
}

#[test]
fn a_reload_goes_on_where_the_rotation_was_unless_the_upstream_changed() {
    let yaml = format!("app: {{ targets: {THREE} }}");
    let before = build(&yaml).unwrap();
    pick(before.get("app").unwrap());

    let same = crate::support::build_after(&yaml, Some(&before)).unwrap();
    assert!(Arc::ptr_eq(same.get("app").unwrap(), before.get("app").unwrap()));
    assert_eq!(pick(same.get("app").unwrap()).address(), "10.0.0.2:1");

    let other = crate::support::build_after(&yaml.replace("0.3", "0.4"), Some(&before)).unwrap();
    assert!(!Arc::ptr_eq(other.get("app").unwrap(), before.get("app").unwrap()));
}

#[test]
fn the_snapshot_tells_what_is_served_and_how() {
    let snapshot = pool("{ targets: [\"10.0.0.1:1\", \"unresolved.test:2\"], tls: {} }").snapshot();
    let json = serde_json::to_value(&snapshot).unwrap();
    assert_eq!(
        json,
        serde_json::json!({
            "name": "app", "lb": "round_robin", "protocol": "http1", "tls": true,
            "in_flight": 0, "waiting": 0, "retries": 0, "panic": false,
            "targets": [
                {
                    "target": "10.0.0.1:1", "source": "config", "weight": 1, "priority": 0,
                    "tries": { "total": 0, "failed": 0 },
                    "addresses": [{ "address": "10.0.0.1:1", "usable": true, "in_flight": 0 }],
                },
                { "target": "unresolved.test:2", "source": "config", "weight": 1, "priority": 0, "addresses": [] },
            ],
        })
    );
}
