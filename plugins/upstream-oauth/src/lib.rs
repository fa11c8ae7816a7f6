#![doc = include_str!("../README.md")]

pub mod config;

use tidegate_core::{BuildCx, ConfigErrors, Handler, Plugin, Route};

use config::{Config, Policy};

/// The plugin; its section is `upstream_oauth`. See the crate's own page for what it does.
#[derive(Debug)]
pub struct UpstreamOauth;

/// One route's share.
#[derive(Debug)]
pub struct UpstreamOauthRoute;

impl Plugin for UpstreamOauth {
    const NAME: &'static str = "upstream_oauth";
    type Config = Config;
    type Policy = Policy;
    type Handler = UpstreamOauthRoute;

    fn build(_: Config, _: &mut BuildCx<'_>) -> Result<Self, ConfigErrors> {
        Ok(Self)
    }

    fn handler(&self, _: Policy, _: &Route) -> Result<UpstreamOauthRoute, ConfigErrors> {
        Ok(UpstreamOauthRoute)
    }
}

impl Handler for UpstreamOauthRoute {}
