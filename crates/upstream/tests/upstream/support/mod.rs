//! What the stories need: upstreams from YAML, a name server, and a clock turned by hand.

mod by_hand;
mod clock;
mod little_server;
mod name_server;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use tidegate_core::config::{ConfigErrors, RawConfig, Value};
use tidegate_core::{Clock, Metrics};
use tidegate_upstream::{Pick, Picked, Pool, UpstreamConfig, Upstreams};

pub(crate) use by_hand::{ByHand, Does, kept_port};
pub(crate) use clock::ManualClock;
pub(crate) use little_server::LittleServer;
pub(crate) use name_server::{NameServer, Says, Service};

/// Reads YAML as the gateway does.
pub(crate) fn config(yaml: &str) -> BTreeMap<String, UpstreamConfig> {
    read(yaml).unwrap_or_else(|errors| panic!("{errors}\n{yaml}"))
}

pub(crate) fn read<T: DeserializeOwned>(yaml: &str) -> Result<T, ConfigErrors> {
    let yaml: serde_yaml::Value = serde_yaml::from_str(yaml).unwrap_or_else(|error| panic!("{error}\n{yaml}"));
    RawConfig::new(value(yaml), "").read()
}

fn value(yaml: serde_yaml::Value) -> Value {
    use serde_yaml::Value as Yaml;
    match yaml {
        Yaml::Null => Value::Null,
        Yaml::Bool(b) => Value::from(b),
        Yaml::Number(n) => n.as_i64().map_or_else(|| Value::from(n.as_f64().unwrap()), Value::from),
        Yaml::String(text) => Value::from(text),
        Yaml::Sequence(elements) => Value::from(elements.into_iter().map(value).collect::<Vec<_>>()),
        Yaml::Mapping(map) => {
            Value::map(map.into_iter().map(|(key, of)| (key.as_str().unwrap().to_owned(), value(of))))
        }
        Yaml::Tagged(_) => panic!("no tags in these tests"),
    }
}

pub(crate) fn build(yaml: &str) -> Result<Upstreams, ConfigErrors> {
    build_after(yaml, None)
}

/// As after a reload.
pub(crate) fn build_after(yaml: &str, before: Option<&Upstreams>) -> Result<Upstreams, ConfigErrors> {
    Upstreams::build(&config(yaml), before, &Metrics::new(), &Clock::system())
}

pub(crate) fn build_at(yaml: &str, clock: &ManualClock) -> Upstreams {
    Upstreams::build(&config(yaml), None, &Metrics::new(), &Clock::new(clock.clone())).unwrap()
}

pub(crate) fn pick(pool: &Arc<Pool>) -> Picked {
    pool.pick(&Pick::default()).expect("a live target")
}

/// Waits until `condition` holds; fails when it doesn't for longer than any machine needs.
pub(crate) async fn until(what: &str, condition: impl Fn() -> bool) {
    let patience = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), patience).await.unwrap_or_else(|_| panic!("never happened: {what}"));
}
