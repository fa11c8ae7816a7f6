//! The sticky cookie.

use super::*;

const STICKY: &str = "sticky: { cookie: t, secret: 0123456789abcdef }";

/// The value that a browser keeps of the answer.
fn cookie(picked: &Picked, sent: Option<&str>) -> Option<String> {
    let header = picked.set_cookie(sent)?.to_str().unwrap();
    Some(header.strip_prefix("t=").unwrap().split(';').next().unwrap().to_owned())
}

fn send(bed: &Bed, sticky: &str) -> Picked {
    bed.pool.pick(&Pick { sticky: Some(sticky), ..Pick::default() }).unwrap()
}

#[test]
fn a_browser_stays_on_the_target_of_its_first_answer() {
    for lb in ALGORITHMS {
        let bed = Bed::alike(&format!("{STICKY}, lb: {lb}"), 5);
        let first = bed.pick();
        let kept = cookie(&first, None).unwrap();
        for _ in 0..20 {
            let again = send(&bed, &kept);
            assert_eq!(again.id(), first.id(), "{lb}");
            assert_eq!(cookie(&again, Some(&kept)), None, "{lb}");
        }
    }
}

#[test]
fn a_cookie_outlives_a_restart_of_its_target() {
    let bed = Bed::alike(STICKY, 3);
    let kept = cookie(&bed.pick(), None).unwrap();
    bed.fell_ill([1]);
    let elsewhere = send(&bed, &kept);
    assert_ne!(port_of(elsewhere.address()), 1);
    assert_ne!(cookie(&elsewhere, Some(&kept)), None, "the browser is told where it is now");
    bed.recovered([1]);
    assert_eq!(port_of(send(&bed, &kept).address()), 1);
}

#[test]
fn a_target_that_drains_gets_nobody_back() {
    let bed = Bed::alike(STICKY, 2);
    let kept = cookie(&bed.pick(), None).unwrap();
    bed.mark(1, Reason::Draining, true);
    assert_eq!(port_of(send(&bed, &kept).address()), 2);
}

#[test]
fn a_forged_cookie_is_ignored_and_replaced() {
    let bed = Bed::alike(STICKY, 3);
    for forged in ["", "10.0.0.1:2", "AAAAAAAAAAAAAAAAAAAAAA", "\u{fc}", "2"] {
        let picked = send(&bed, forged);
        assert!(cookie(&picked, Some(forged)).is_some(), "{forged}");
    }
    let ports: Vec<_> = (0..3).map(|_| port_of(send(&bed, "AAAAAAAAAAAAAAAAAAAAAA").address())).collect();
    assert_eq!(ports, [3, 1, 2], "as without a cookie, after five turns");
}

#[test]
fn a_retry_leaves_the_target_of_the_cookie() {
    let bed = Bed::alike(STICKY, 2);
    let first = bed.pick();
    let kept = cookie(&first, None).unwrap();
    let tried = [first.id()];
    for _ in 0..10 {
        let second = bed.pool.pick(&Pick { sticky: Some(&kept), tried: &tried, hash: None }).unwrap();
        assert_ne!(second.id(), first.id());
    }
}

#[test]
fn a_browser_stays_on_a_later_tier_when_the_first_recovers() {
    let bed = Bed::new(STICKY, &["1", "11, priority: 1"]);
    bed.fell_ill([1]);
    let kept = cookie(&bed.pick(), None).unwrap();
    bed.recovered([1]);
    assert_eq!(port_of(send(&bed, &kept).address()), 11);
    assert_eq!(port_of(bed.pick().address()), 1);
}

#[test]
fn two_upstreams_with_one_secret_have_other_cookies() {
    let of = |name: &str| {
        let yaml = format!("{{ {name}: {{ targets: [\"10.0.0.1:1\"], {STICKY} }} }}");
        let pools = Upstreams::build(&serde_yaml::from_str(&yaml).unwrap(), None, &Metrics::new(), &Clock::system());
        let picked = pools.unwrap().get(name).unwrap().pick(&Pick::default()).unwrap();
        cookie(&picked, None).unwrap()
    };
    assert_eq!(of("app"), of("app"));
    assert_ne!(of("app"), of("web"));
}

#[test]
fn a_pool_without_sticky_sets_no_cookie() {
    let bed = Bed::alike("", 2);
    assert_eq!(bed.pick().set_cookie(None), None);
    assert_eq!(bed.pool.sticky_cookie(), None);
    assert_eq!(Bed::alike(STICKY, 2).pool.sticky_cookie(), Some("t"));
}
