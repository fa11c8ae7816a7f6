//! The public suite of tests for HTTP caches: the npm package `http-cache-tests`, run by node.

mod outcome;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

pub use self::outcome::{Kind, Outcome, Tested};
use crate::process::{Program, program};

/// The suite, with its own upstream.
#[derive(Debug)]
pub struct CacheSuite {
    upstream: Program,
    packages: PathBuf,
}

/// Starts its upstream.
pub async fn cache_suite() -> CacheSuite {
    let packages = crate::packages::npm(FOLDER, PACKAGE);
    let node = program("node", NODE);
    let port = node.port().to_string();
    let server = packages.join("node_modules").join(PACKAGE).join("server/server.mjs");
    let node = node.arg(server).env("npm_config_protocol", "http").env("npm_config_port", port);
    CacheSuite { upstream: node.env("npm_config_pidfile", "pid").start().await, packages }
}

const NODE: &str = "nodejs";
const FOLDER: &str = "cache-tests";
const PACKAGE: &str = "http-cache-tests";
const SOURCE: &str = include_str!("../../assets/cache-tests/run.mjs");
/// It sleeps for three seconds many a time, a hundred tests at once.
const TIME: Duration = Duration::from_secs(150);

impl CacheSuite {
    /// Where the cache is to fetch from.
    pub fn target(&self) -> String {
        self.upstream.addr().to_string()
    }

    /// Runs these tests, or all if there are none, against the cache at `cache`: what came of each by its id.
    pub async fn run(&self, cache: SocketAddr, tests: &[&str]) -> BTreeMap<String, Tested> {
        let tests = serde_json::to_string(tests).expect("a list");
        self.told(&[("BASE", &format!("http://{cache}")), ("TESTS", &tests)]).await
    }

    /// What the package says came of another cache, such as `nginx`.
    pub async fn of_peer(&self, name: &str) -> BTreeMap<String, Tested> {
        self.told(&[("RESULTS", name)]).await
    }

    async fn told(&self, settings: &[(&str, &str)]) -> BTreeMap<String, Tested> {
        let node = program("node", NODE).file("run.mjs", SOURCE).arg("run.mjs").env("PACKAGES", &self.packages);
        let mut node = settings.iter().fold(node, |node, (name, value)| node.env(name, value)).spawn();
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = node.exited() {
                break status;
            }
            assert!(begun.elapsed() < TIME, "the suite does not end:\n{}", node.output());
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        assert!(status.success(), "the suite ended with {status}:\n{}", node.output());
        let results = std::fs::read(node.dir().join("results.json")).expect("what came of it");
        let tested: Vec<Tested> = serde_json::from_slice(&results).expect("a list of tests");
        tested.into_iter().map(|tested| (tested.id.clone(), tested)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_suite_finds_that_an_upstream_is_no_cache() {
        let suite = cache_suite().await;
        let names = ["freshness-none", "freshness-max-age", "stale-close", "stale-close-no-cache"];
        let tested = suite.run(suite.upstream.addr(), &names).await;
        assert_eq!(tested.len(), names.len());
        let of = |id: &str| (tested[id].kind, Outcome::of(id, &tested));
        assert_eq!(of("freshness-none"), (Kind::Check, Outcome::Passed));
        assert!(matches!(of("freshness-max-age"), (Kind::Optimal, Outcome::Failed(_))));
        assert!(matches!(of("stale-close"), (Kind::Check, Outcome::Failed(_))));
        assert_eq!(of("stale-close-no-cache"), (Kind::Required, Outcome::Needs("stale-close".to_owned())));
    }
}
