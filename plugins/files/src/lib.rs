#![doc = include_str!("../README.md")]

mod answer;
mod body;
mod coding;
mod conditional;
pub mod config;
mod disk;
mod listing;
mod media;
mod metrics;
mod parts;
mod pattern;
mod place;
mod quality;
mod ranges;
mod root;
mod site;
mod tree;
mod version;

use tidegate_core::{BuildCx, ConfigError, ConfigErrors, EndpointOffer, Handler, NoConfig, Plugin, Route};

use config::{Config, Folder};
use disk::Disk;
use metrics::FilesMetrics;
use site::Shared;

#[doc(hidden)]
pub use ranges::{ByteRange, MOST as MOST_RANGES, Ranges, ranges};
pub use site::Site;

/// The plugin; its section is `files`. See the crate's own page for what it does.
#[derive(Debug)]
pub struct Files {
    shared: Shared,
}

/// A route's share of the plugin: none, for all it does is the endpoint's.
#[derive(Debug)]
pub struct FilesRoute;

impl Plugin for Files {
    const NAME: &'static str = "files";
    type Config = Config;
    type Policy = NoConfig;
    type Handler = FilesRoute;

    fn build(config: Config, cx: &mut BuildCx<'_>) -> Result<Self, ConfigErrors> {
        if !(1..=512).contains(&config.reads) {
            return Err(ConfigError::at("reads", "it must be 1 to 512").into());
        }
        let metrics = FilesMetrics::new(cx.metrics())?;
        // One for all configurations: those of the one before may still be reading.
        let disk = cx.retain(&format!("disk/{}", config.reads), || Disk::new(config.reads));
        let shared = Shared { disk: (*disk).clone(), metrics, clock: cx.clock().clone() };
        Ok(Self { shared })
    }

    fn handler(&self, _: NoConfig, route: &Route) -> Result<FilesRoute, ConfigErrors> {
        let error = ConfigError::at("", format!("route `{}` has nothing to say to files here", route.name()));
        Err(error.help("serve a folder: endpoint: { files: { root: /srv/site } }").into())
    }

    fn endpoints(&self) -> Vec<EndpointOffer> {
        let shared = self.shared.clone();
        vec![EndpointOffer::new("files", move |config: Folder, route| Site::new(&config, route, &shared))]
    }
}

impl Handler for FilesRoute {}
