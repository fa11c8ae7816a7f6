//! `tidegate cache`: the cache of a gateway that runs, by its admin listener.

mod ask;
mod explain;
mod warm;

use std::process::ExitCode;

use clap::{ArgGroup, Args, Subcommand};
use http::Method;

use self::ask::Admin;
use crate::cli::{Config, print, unusable};
use crate::gateway::Gateway;

/// The cache of a gateway that runs, asked for on its admin listener.
#[derive(Debug, Args)]
pub(super) struct Cache {
    #[command(subcommand)]
    command: Command,
    /// The admin listener. Default: where the configuration says.
    #[arg(long, value_name = "IP:PORT", global = true)]
    admin: Option<std::net::SocketAddr>,
    #[command(flatten)]
    config: Config,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// What is stored, by zone.
    Zones,
    /// Use no longer what is stored, by URL, prefix, host or tag.
    ///
    /// Example: tidegate cache purge --tag product-7 --soft
    Purge(Purge),
    /// Fetch what clients will ask for: what the configuration says, or the URLs given.
    ///
    /// Example: tidegate cache warm --list urls.txt
    Warm(warm::Warm),
    /// Ask for a URL as a client would, and say what the cache did with it and why.
    ///
    /// Example: tidegate cache explain https://shop.example/
    Explain {
        /// The URL, with scheme and host as clients write them.
        url: String,
    },
}

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("what").required(true).multiple(false)))]
struct Purge {
    /// One URL, in all its variants.
    #[arg(long, group = "what")]
    url: Option<String>,
    /// All whose URL begins with this: https://shop.example/img/
    #[arg(long, group = "what")]
    prefix: Option<String>,
    /// All of one host.
    #[arg(long, group = "what")]
    host: Option<String>,
    /// All that the upstream gave this tag.
    #[arg(long, group = "what")]
    tag: Option<String>,
    /// Everything.
    #[arg(long, group = "what")]
    all: bool,
    /// Keep it as stale: used while a new one is fetched, or when the upstream fails, where the route allows it.
    #[arg(long)]
    soft: bool,
    /// In this zone only.
    #[arg(long)]
    zone: Option<String>,
}

pub(super) fn cache(gateway: &Gateway, asked: Cache) -> ExitCode {
    let admin = match Admin::new(gateway, asked.admin, &asked.config.source()) {
        Ok(admin) => admin,
        Err(why) => return unusable(&why),
    };
    let done = match asked.command {
        Command::Zones => admin.ask(Method::GET, "zones", &[]).map(|answer| format!("{answer:#}")),
        Command::Purge(purge) => admin.ask(Method::POST, "purge", &purge.query()).map(|answer| purged(&answer)),
        Command::Warm(warm) => warm.run(&admin),
        Command::Explain { url } => admin.ask(Method::POST, "explain", &[("url", url)]).map(|a| explain::told(&a)),
    };
    match done {
        Ok(text) => print(&text),
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

impl Purge {
    fn query(self) -> Vec<(&'static str, String)> {
        let Self { url, prefix, host, tag, all, soft, zone } = self;
        let given = [("url", url), ("prefix", prefix), ("host", host), ("tag", tag), ("zone", zone)];
        let mut query: Vec<_> = given.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        let flags = [("all", all), ("soft", soft)].into_iter().filter(|(_, on)| *on);
        query.extend(flags.map(|(name, _)| (name, "true".to_owned())));
        query
    }
}

fn purged(answer: &serde_json::Value) -> String {
    format!("purged: {}", answer["purged"].as_str().unwrap_or("?"))
}
