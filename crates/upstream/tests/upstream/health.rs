//! Active health checks: when a target is asked, and what the answers change. What each kind of check finds is tested
//! beside it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tidegate_core::{Clock, Metrics};
use tidegate_upstream::{Pick, Pool, Upstreams};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::support::{ByHand, Does, ManualClock, config, kept_port, until};
use crate::tls::{ALL, Authority, Server, server};

/// Upstreams whose checks go on beside the test.
struct Running {
    upstreams: Upstreams,
    metrics: Metrics,
    clock: Clock,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Running {
    fn start(yaml: &str, clock: Clock) -> Self {
        let metrics = Metrics::new();
        let upstreams = Upstreams::build(&config(yaml), None, &metrics, &clock).unwrap();
        let mut running = Self { upstreams, metrics, clock, stop: watch::channel(false).0, tasks: JoinSet::new() };
        running.spawn();
        running
    }

    fn spawn(&mut self) {
        for task in self.upstreams.start(&self.stop.subscribe()) {
            self.tasks.spawn(task);
        }
    }

    fn reload(&mut self, yaml: &str) {
        let next = Upstreams::build(&config(yaml), Some(&self.upstreams), &self.metrics, &self.clock).unwrap();
        self.upstreams = next;
        self.spawn();
    }

    fn pool(&self) -> Arc<Pool> {
        self.upstreams.get("app").unwrap().clone()
    }

    fn serves(&self) -> bool {
        self.pool().is_ready()
    }

    /// How many checks had a result so far.
    fn checks(&self) -> u64 {
        let families = self.metrics.registry().gather();
        let checks = families.iter().filter(|family| family.name().ends_with("upstream_health_checks_total"));
        checks.flat_map(|family| family.get_metric()).map(|metric| metric.get_counter().get_value() as u64).sum()
    }

    async fn until_checked(&self, checks: u64) {
        until("so many checks", || self.checks() >= checks).await;
        assert_eq!(self.checks(), checks);
    }

    /// Ends the tasks; a panic in one of them is one of the test.
    async fn end(mut self) {
        self.stop.send(true).unwrap();
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap();
        }
    }
}

fn one(address: impl std::fmt::Display, health: &str) -> String {
    format!("app: {{ targets: [\"{address}\"], health: {{ jitter: 0%, {health} }} }}")
}

/// Turns the clock by one interval after another, and the server to the results one after another (`+` good, `-`
/// failed); returns whether the target served after each.
async fn play(results: &str) -> String {
    let clock = ManualClock::new();
    let target = ByHand::start(Does::status(200)).await;
    let running = Running::start(&one(target.address, "assume_healthy: false"), Clock::new(clock.clone()));
    running.until_checked(1).await;
    assert!(running.serves());

    let mut served = String::new();
    for (count, result) in (2..).zip(results.chars()) {
        target.now_does(Does::status(if result == '+' { 200 } else { 500 }));
        clock.advance(Duration::from_secs(30) - Duration::from_nanos(1));
        tokio::task::yield_now().await;
        assert_eq!(target.count() as u64, count - 1, "not a moment too early");
        clock.advance(Duration::from_nanos(1));
        running.until_checked(count).await;
        served.push(if running.serves() { '+' } else { '-' });
    }
    running.end().await;
    served
}

#[tokio::test]
async fn the_third_failure_in_a_row_takes_a_target_out_and_the_second_success_restores_it() {
    assert_eq!(play("---++").await, "++--+");
}

#[tokio::test]
async fn failures_with_a_success_between_take_no_target_out() {
    assert_eq!(play("-+--+--+").await, "++++++++");
}

#[tokio::test]
async fn a_target_is_not_used_before_its_first_check_and_that_one_decides() {
    let target = ByHand::start(Does::status(200)).await;
    for (answer, serves) in [(Does::status(200), true), (Does::status(500), false)] {
        target.now_does(answer);
        let clock = ManualClock::new();
        let running = Running::start(&one(target.address, ""), Clock::new(clock));
        assert!(!running.serves(), "nobody has asked it yet");
        running.until_checked(1).await;
        assert_eq!(running.serves(), serves);
        running.end().await;
    }
}

#[tokio::test]
async fn a_target_that_is_assumed_to_be_healthy_serves_until_checks_have_failed_often_enough() {
    let clock = ManualClock::new();
    let target = ByHand::start(Does::status(500)).await;
    let running = Running::start(&one(target.address, "assume_healthy: true"), Clock::new(clock.clone()));
    assert!(running.serves());
    for checks in 1..=3 {
        running.until_checked(checks).await;
        assert_eq!(running.serves(), checks < 3);
        clock.advance(Duration::from_secs(30));
    }
    running.end().await;
}

#[tokio::test]
async fn checks_are_made_before_the_first_request() {
    let (good, bad) = (ByHand::start(Does::status(200)).await, ByHand::start(Does::status(500)).await);
    let yaml = format!("app: {{ targets: [\"{}\", \"{}\"], health: {{}} }}", good.address, bad.address);
    let upstreams = Upstreams::build(&config(&yaml), None, &Metrics::new(), &Clock::system()).unwrap();
    upstreams.prepare(Duration::from_secs(20)).await;
    let pool = upstreams.get("app").unwrap();
    for _ in 0..10 {
        assert_eq!(pool.pick(&Pick::default()).unwrap().address(), good.address.to_string());
    }
    assert_eq!((good.count(), bad.count()), (1, 1));
}

#[tokio::test]
async fn a_target_that_does_not_answer_holds_up_no_other() {
    let (stalled, good) = (ByHand::start(Does::nothing()).await, ByHand::start(Does::status(200)).await);
    let targets = format!("[\"{}\", \"{}\"]", stalled.address, good.address);
    let yaml = format!("app: {{ targets: {targets}, health: {{ interval: 10ms, timeout: 60s }} }}");
    let running = Running::start(&yaml, Clock::system());
    until("the good one is checked again and again", || good.count() >= 10).await;
    assert_eq!(stalled.count(), 1, "one check of a target at a time");
    assert!(running.serves());
    running.end().await;
    until("a check that went on is given up", || stalled.open() == 0).await;
}

#[tokio::test]
async fn only_so_many_targets_are_checked_at_a_time() {
    let server = ByHand::start_at("0.0.0.0:0", Does::status(200)).await;
    let port = server.address.port();
    let targets: Vec<_> = (0..300).map(|n| format!("\"127.1.{}.{}:{port}\"", n / 100, n % 100 + 1)).collect();
    let yaml = format!("app: {{ targets: [{}], health: {{ interval: 10ms }} }}", targets.join(", "));
    let running = Running::start(&yaml, Clock::system());
    let pool = running.pool();
    until("each was checked", || server.count() >= 900).await;
    let picked = || (0..300).filter_map(|_| Some(pool.pick(&Pick::default()).ok()?.address().to_owned()));
    until("each serves", || picked().collect::<BTreeSet<_>>().len() == 300).await;
    // A connection that the gateway has closed is seen a moment later.
    assert!(server.most_open() <= 64 + 64, "{}", server.most_open());
    running.end().await;
    until("all connections are closed", || server.open() == 0).await;
}

#[tokio::test]
async fn a_reload_keeps_what_checks_have_found_and_when_the_next_is_due() {
    let clock = ManualClock::new();
    let target = ByHand::start(Does::status(500)).await;
    let mut running = Running::start(&one(target.address, ""), Clock::new(clock.clone()));
    running.until_checked(1).await;
    clock.advance(Duration::from_secs(10));

    let other = ByHand::start(Does::status(200)).await;
    let more = format!("app: {{ targets: [\"{}\", \"{}\"], health: {{ jitter: 0% }} }}", target.address, other.address);
    running.reload(&more);
    until("the new target is checked at once", || other.count() == 1).await;
    until("and serves", || running.serves()).await;
    assert_eq!(running.pool().pick(&Pick::default()).unwrap().address(), other.address.to_string());
    assert_eq!(target.count(), 1, "the old one when it is due");

    clock.advance(Duration::from_secs(20));
    until("it is due", || target.count() == 2).await;
    running.end().await;
}

#[tokio::test]
async fn other_checks_are_asked_anew() {
    let clock = ManualClock::new();
    let target = ByHand::start(Does::status(500)).await;
    let mut running = Running::start(&one(target.address, ""), Clock::new(clock));
    running.until_checked(1).await;
    running.reload(&one(target.address, "expect: { status: [500] }"));
    until("what was wrong is right", || running.serves()).await;
    assert_eq!(target.count(), 2);
    running.end().await;
}

#[tokio::test]
async fn a_target_that_has_served_serves_on_while_other_checks_have_no_answer() {
    let clock = ManualClock::new();
    let target = ByHand::start(Does::status(200)).await;
    let mut running = Running::start(&one(target.address, ""), Clock::new(clock.clone()));
    running.until_checked(1).await;
    target.now_does(Does::nothing());
    let other = one(target.address, "path: /other, timeout: 60s, unhealthy: 1");
    let next = Upstreams::build(&config(&other), Some(&running.upstreams), &running.metrics, &running.clock).unwrap();
    tokio::select! {
        () = next.prepare(Duration::from_secs(60)) => panic!("nobody has answered"),
        () = until("it is asked", || target.count() == 2) => {}
    }
    assert!(!next.get("app").unwrap().is_ready());

    target.now_does(Does::status(500));
    // As in a gateway, where requests go to it until the next one has begun.
    let before = std::mem::replace(&mut running.upstreams, next);
    running.spawn();
    drop(before);

    assert!(running.serves(), "the answer was not there in time");
    until("it is asked at once", || target.count() == 3).await;
    until("and the answer decides", || !running.serves()).await;
    running.end().await;
}

#[tokio::test]
async fn targets_that_are_gone_are_asked_no_more() {
    let clock = ManualClock::new();
    let (kept, gone) = (ByHand::start(Does::status(200)).await, ByHand::start(Does::status(200)).await);
    let both = format!("app: {{ targets: [\"{}\", \"{}\"], health: {{ jitter: 0% }} }}", kept.address, gone.address);
    let mut running = Running::start(&both, Clock::new(clock.clone()));
    running.until_checked(2).await;
    running.reload(&one(kept.address, ""));
    for count in 2..5 {
        clock.advance(Duration::from_secs(30));
        until("the other one is asked", || kept.count() == count).await;
        until("and has answered", || kept.open() == 0).await;
    }
    assert_eq!(gone.count(), 1);
    running.end().await;
}

#[tokio::test]
async fn checks_end_with_the_pool() {
    let target = ByHand::start(Does::nothing()).await;
    let mut running = Running::start(&one(target.address, "timeout: 60s"), Clock::system());
    until("it is asked", || target.count() == 1).await;
    drop(std::mem::take(&mut running.upstreams));
    until("the check is given up", || target.open() == 0).await;
    while let Some(ended) = running.tasks.join_next().await {
        ended.unwrap();
    }
}

#[tokio::test]
async fn a_port_that_closes_is_down_and_one_that_opens_again_is_up() {
    let (address, _kept) = kept_port();
    let target = ByHand::start_at(&address.to_string(), Does::nothing()).await;
    let health = "type: tcp, interval: 10ms, healthy: 2, unhealthy: 3";
    let running = Running::start(&one(address, health), Clock::system());
    until("it serves", || running.serves()).await;
    drop(target);
    until("it is down", || !running.serves()).await;
    let _again = ByHand::start_at(&address.to_string(), Does::nothing()).await;
    until("it serves again", || running.serves()).await;
    running.end().await;
}

#[tokio::test]
async fn tcp_checks_shake_hands_with_the_tls_settings_of_requests() {
    let ours = Authority::new();
    let leaf = ours.leaf("app.test");
    let new = Server::start(server(&leaf, ALL, None)).await;
    let old = Server::start(server(&leaf, &[&rustls::version::TLS12], None)).await;
    for (target, name, serves) in [(&new, "app.test", true), (&new, "other.test", false), (&old, "app.test", false)] {
        let tls = format!("{{ ca: {}, sni: {name}, min_version: \"1.3\" }}", ours.ca().display());
        let yaml = format!("app: {{ targets: [\"{}\"], tls: {tls}, health: {{ type: tcp }} }}", target.address);
        let upstreams = Upstreams::build(&config(&yaml), None, &Metrics::new(), &Clock::system()).unwrap();
        upstreams.prepare(Duration::from_secs(20)).await;
        assert_eq!(upstreams.get("app").unwrap().is_ready(), serves, "{name} {}", target.address == old.address);
    }
}
