//! The rules that the manual offers to Prometheus: they fire when they should, and speak of metrics that there are.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use tidegate_testkit::{Client, program, upstream, wait_until_async};

use crate::Tidegate;

fn rules() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/alerts")
}

async fn promtool(what: [&str; 2], file: &str) {
    let mut promtool = program("promtool", "prometheus").args(what).arg(rules().join(file)).spawn();
    let status = promtool.wait().await;
    assert!(status.success(), "{}", promtool.output());
}

#[tokio::test]
async fn a_spike_of_failures_raises_the_alarm_and_everyday_life_does_not() {
    promtool(["check", "rules"], "auth.yaml").await;
    promtool(["test", "rules"], "auth.test.yaml").await;
}

#[tokio::test]
async fn rules_are_about_metrics_that_the_gateway_has() {
    let text = std::fs::read_to_string(rules().join("auth.yaml")).expect("the rules");
    let name = |c: char| !(c.is_ascii_lowercase() || c == '_' || c == ':' || c.is_ascii_digit());
    let metrics: BTreeSet<_> = text.split(name).filter(|word| word.starts_with("tidegate_auth_")).collect();
    assert!(metrics.len() >= 5, "{metrics:?}");

    let issuer = upstream().reply("*", "{}").start().await;
    let state = tempfile::tempdir().expect("a folder");
    let tidegate = Tidegate::start(&format!(
        "auth:\n  providers:\n    - service: {{}}\n    - jwt: {{ jwks: {{ url: \"http://{}/jwks\" }}, any_audience: true }}\n  \
         service: {{ issuer: \"https://api.example\", store: {{ file: {:?} }} }}\n\
         routing: {{ routes: [{{ name: all, reply: {{ body: hi }}, plugins: {{ auth: require }} }}] }}",
        issuer.addr(),
        state.path().join("auth.redb"),
    ))
    .await;
    for metric in metrics {
        wait_until_async(metric, async || {
            let text = Client::connect(tidegate.admin).await.get("/metrics").await.text();
            text.lines().any(|line| line.strip_prefix(metric).is_some_and(|rest| rest.starts_with(['{', ' '])))
        })
        .await;
    }
}
