//! Proof on a real Redis server.

mod cluster;
mod crash;
mod differential;
mod flights;
mod garbage;
mod takes;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use serde_json::json;
use smallvec::SmallVec;
use tidegate_core::config::Rate;
use tidegate_core::redis::{FromRedisValue, cmd};
use tidegate_core::{Metrics, Stop, Stores};
use tokio::sync::watch;

use super::*;
use crate::algorithm::Period;

/// A server and a way to it.
pub(crate) struct Server {
    pub server: tidegate_testkit::Redis,
    pub redis: Redis,
}

pub(crate) async fn server() -> Server {
    let server = tidegate_testkit::redis().await;
    let redis = client(&server, "10s");
    Server { server, redis }
}

/// A handle to a server, as `stores:` opens it.
pub(crate) fn client(server: &tidegate_testkit::Redis, timeout: &str) -> Redis {
    let config = serde_json::from_value(json!({ "redis": server.url(), "timeout": timeout })).expect("a config");
    let stores = Stores::open(&BTreeMap::from([("test".to_owned(), config)]), &Metrics::new(), None).expect("opened");
    stores.redis("test").expect("it is there").clone()
}

impl Server {
    /// A gateway's view of it.
    pub(crate) fn gateway(&self) -> RedisStore {
        self.gateway_at(Pace::default())
    }

    pub(crate) fn gateway_at(&self, pace: Pace) -> RedisStore {
        RedisStore::new(self.redis.clone(), "rl:", Arc::new(Shared::new(pace)))
    }

    pub(crate) async fn ask<T: FromRedisValue>(&self, command: &[&str]) -> T {
        self.redis.command(cmd(command[0]).arg(&command[1..])).await.expect("an answer")
    }

    /// Every key, and the time it has left.
    pub(crate) async fn lives(&self) -> BTreeMap<String, i64> {
        let mut lives = BTreeMap::new();
        for key in self.ask::<Vec<String>>(&["KEYS", "*"]).await {
            let left = self.ask(&["PTTL", &key]).await;
            lives.insert(key, left);
        }
        lives
    }
}

/// The background of a gateway, until this is dropped.
pub(crate) struct Background(#[expect(dead_code, reason = "held")] watch::Sender<bool>);

pub(crate) fn background(store: &RedisStore) -> Background {
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(store.clone().run(Stop::new(stopped)));
    Background(stop)
}

pub(crate) fn key(limit: u64, name: &str) -> Key {
    Key { limit, bytes: SmallVec::from_slice(name.as_bytes()) }
}

pub(crate) fn rate(text: &str) -> Rate {
    text.parse().expect("a rate")
}

pub(crate) fn ask<'a>(rule: &'a Rule, key: &'a Key, cost: u64) -> Ask<'a> {
    Ask { rule, key, cost, shadow: false, policy: 0 }
}

/// One of each kind, and buckets of all sorts.
pub(crate) fn rules() -> Vec<Rule> {
    let bucket = |capacity, refill, delay| Rule::token_bucket(capacity, rate(refill), delay).expect("a rule");
    vec![
        bucket(100, "10/s", Duration::ZERO),
        bucket(3, "3/s", Duration::ZERO),
        bucket(7, "7919/h", Duration::ZERO),
        bucket(2, "1/30d", Duration::ZERO),
        bucket(5, "1000000/s", Duration::ZERO),
        bucket(10, "100/s", Duration::from_millis(500)),
        Rule::leaky_bucket(rate("10/s"), 20).expect("a rule"),
        Rule::fixed_window(rate("10/s")).expect("a rule"),
        Rule::fixed_window(rate("100/15m")).expect("a rule"),
        Rule::sliding_window(rate("10/s")).expect("a rule"),
        Rule::sliding_window(rate("3/h")).expect("a rule"),
        Rule::concurrency(5).expect("a rule"),
        Rule::ban(),
        Rule::calendar(10, Period::Day, TimeZone::UTC).expect("a rule"),
        Rule::calendar(50, Period::Month, TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").expect("known"))
            .expect("a rule"),
    ]
}

/// Whether a key of which this was said just now is there for so long yet. What is in flight has a lease, and what
/// somebody else wrote in a ban's place stays.
fn lasts(rule: &Rule, verdict: &Verdict, at_least: Duration) -> bool {
    matches!(rule.shape, Shape::Concurrency { .. } | Shape::Ban) || u128::from(verdict.reset) >= at_least.as_micros()
}

/// Now, by this machine's clock; for calendars.
pub(crate) fn now() -> Now {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    Now { steady: 0, wall: u64::try_from(since.as_micros()).expect("small") }
}
