#![doc = include_str!("../README.md")]

pub mod config;

use tidegate_core::{BuildCx, ConfigErrors, Handler, Plugin, Route};

use config::{Config, Policy};

/// The plugin; its section is `compress`. See the crate's own page for what it does.
#[derive(Debug)]
pub struct Compress;

/// One route's share.
#[derive(Debug)]
pub struct CompressRoute;

impl Plugin for Compress {
    const NAME: &'static str = "compress";
    type Config = Config;
    type Policy = Policy;
    type Handler = CompressRoute;

    fn build(_: Config, _: &mut BuildCx<'_>) -> Result<Self, ConfigErrors> {
        Ok(Self)
    }

    fn handler(&self, _: Policy, _: &Route) -> Result<CompressRoute, ConfigErrors> {
        Ok(CompressRoute)
    }
}

impl Handler for CompressRoute {}
