#![doc = include_str!("../README.md")]

mod config;
mod one_pool;

use std::net::IpAddr;
use std::time::Duration;

use tidegate_core::prometheus::IntCounter;
use tidegate_core::{
    BuildCx, ConfigError, ConfigErrors, Cx, Flow, Handler, HeaderValue, Plugin, Reply, ResponseHeader, Result, Route,
    header,
};

pub use config::{Config, Policy};
pub use one_pool::OnePool;

/// The plugin: what all routes share.
pub struct Maintenance {
    retry_after: Duration,
    turned_away: tidegate_core::prometheus::IntCounterVec,
}

/// One route that is being worked on.
pub struct Closed {
    message: String,
    allow: Vec<IpAddr>,
    retry_after: HeaderValue,
    turned_away: IntCounter,
}

impl Plugin for Maintenance {
    const NAME: &'static str = "maintenance";
    type Config = Config;
    type Policy = Policy;
    type Handler = Closed;

    fn build(config: Config, cx: &mut BuildCx<'_>) -> Result<Self, ConfigErrors> {
        let name = "tidegate_maintenance_turned_away_total";
        let turned_away = cx.metrics().counter(name, "Requests answered with 503, by route.", &["route"]);
        let turned_away = turned_away.map_err(|error| ConfigError::at("", error.to_string()))?;
        Ok(Self { retry_after: config.retry_after.get(), turned_away })
    }

    fn handler(&self, policy: Policy, route: &Route) -> Result<Closed, ConfigErrors> {
        if policy.message.is_empty() {
            let error = ConfigError::at("message", "clients must be told something");
            return Err(error.help("leave it out for the default").into());
        }
        Ok(Closed {
            message: policy.message,
            allow: policy.allow,
            // Everything a request needs is made here, once: the header's value, and the counter with its label.
            retry_after: HeaderValue::from(self.retry_after.as_secs()),
            turned_away: self.turned_away.with_label_values(&[&**route.name()]),
        })
    }
}

impl Handler for Closed {
    /// Early: whoever is turned away need not say who they are.
    async fn early_request(&self, cx: &mut Cx<'_>) -> Result<Flow> {
        if self.allow.contains(&cx.client()) {
            return Ok(Flow::Continue);
        }
        self.turned_away.inc();
        let reply = Reply::unavailable("maintenance", self.message.clone());
        Ok(Flow::Respond(reply.header(header::RETRY_AFTER, self.retry_after.clone())))
    }

    /// Those who are let in see that others are not.
    async fn response(&self, cx: &mut Cx<'_>, head: &mut ResponseHeader) -> Result<()> {
        if self.allow.contains(&cx.client()) {
            head.insert_header("X-Maintenance", "on")?;
        }
        Ok(())
    }
}
