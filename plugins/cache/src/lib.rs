#![doc = include_str!("../README.md")]

mod admin;
pub mod config;
mod purge;
mod store;
mod zones;
mod warm;

use tidegate_core::{BuildCx, ConfigErrors, Handler, Plugin, Route};

use config::{Config, Policy};

/// The plugin; its section is `cache`. See the crate's own page for what it does.
#[derive(Debug)]
pub struct Cache;

/// One route's share.
#[derive(Debug)]
pub struct CacheRoute;

impl Plugin for Cache {
    const NAME: &'static str = "cache";
    type Config = Config;
    type Policy = Policy;
    type Handler = CacheRoute;

    fn build(_: Config, _: &mut BuildCx<'_>) -> Result<Self, ConfigErrors> {
        Ok(Self)
    }

    fn handler(&self, _: Policy, _: &Route) -> Result<CacheRoute, ConfigErrors> {
        Ok(CacheRoute)
    }
}

impl Handler for CacheRoute {}
