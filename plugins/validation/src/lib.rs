#![doc = include_str!("../README.md")]

pub mod config;

use tidegate_core::{BuildCx, ConfigErrors, Handler, Plugin, Route};

use config::{Config, Policy};

/// The plugin; its section is `validation`. See the crate's own page for what it does.
#[derive(Debug)]
pub struct Validation;

/// One route's share.
#[derive(Debug)]
pub struct ValidationRoute;

impl Plugin for Validation {
    const NAME: &'static str = "validation";
    type Config = Config;
    type Policy = Policy;
    type Handler = ValidationRoute;

    fn build(_: Config, _: &mut BuildCx<'_>) -> Result<Self, ConfigErrors> {
        Ok(Self)
    }

    fn handler(&self, _: Policy, _: &Route) -> Result<ValidationRoute, ConfigErrors> {
        Ok(ValidationRoute)
    }
}

impl Handler for ValidationRoute {}
