#![doc = include_str!("../README.md")]

pub mod config;

use tidegate_core::{BuildCx, ConfigErrors, Handler, Plugin, Route};

use config::{Config, Policy};

/// The plugin; its section is `files`. See the crate's own page for what it does.
#[derive(Debug)]
pub struct Files;

/// One route's share.
#[derive(Debug)]
pub struct FilesRoute;

impl Plugin for Files {
    const NAME: &'static str = "files";
    type Config = Config;
    type Policy = Policy;
    type Handler = FilesRoute;

    fn build(_: Config, _: &mut BuildCx<'_>) -> Result<Self, ConfigErrors> {
        Ok(Self)
    }

    fn handler(&self, _: Policy, _: &Route) -> Result<FilesRoute, ConfigErrors> {
        Ok(FilesRoute)
    }
}

impl Handler for FilesRoute {}
