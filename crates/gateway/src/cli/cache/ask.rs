//! Requests to the admin listener.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use tidegate_core::Clock;
use tidegate_listener::{BindAddr, install_crypto_provider};
use tidegate_upstream::{ResolveConfig, Web};
use tokio::runtime::{Builder, Runtime};

use crate::cli::in_runtime;
use crate::gateway::Gateway;
use crate::source::ConfigSource;

/// How long an answer may take: `explain` waits for an upstream.
const WITHIN: Duration = Duration::from_secs(40);
/// Longest answer.
const LONGEST: usize = 16 << 20;

/// The admin listener of a gateway that runs.
pub(super) struct Admin {
    address: SocketAddr,
    web: Web,
    runtime: Runtime,
}

impl Admin {
    /// At `address`, or where the configuration says.
    pub(super) fn new(gateway: &Gateway, address: Option<SocketAddr>, source: &ConfigSource) -> Result<Self, String> {
        install_crypto_provider();
        let address = match address {
            Some(address) => address,
            None => configured(gateway, source)?,
        };
        let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
        let web = runtime.block_on(async { Web::new(&ResolveConfig::default(), &Clock::system()) });
        Ok(Self { address, web, runtime })
    }

    /// The answer to `/cache/<path>`, or why there is none.
    pub(super) fn ask(&self, method: Method, path: &str, query: &[(&str, String)]) -> Result<Value, String> {
        let query: Vec<_> = query.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        let url = format!("http://{}/cache/{path}?{}", self.address, query.join("&"));
        let request = Request::builder().method(method).uri(url).body(Bytes::new()).map_err(|e| e.to_string())?;
        let answer = self.runtime.block_on(self.web.ask(request, None, WITHIN, LONGEST));
        let answer = answer.map_err(|error| format!("the admin listener {} does not answer: {error}", self.address))?;
        match answer.status().is_success() {
            true => {
                serde_json::from_slice(answer.body()).map_err(|error| format!("not an answer of Tidegate's: {error}"))
            }
            false => Err(String::from_utf8_lossy(answer.body()).trim().to_owned()),
        }
    }
}

fn encoded(value: &str) -> String {
    utf8_percent_encode(value, NON_ALPHANUMERIC).to_string()
}

fn configured(gateway: &Gateway, source: &ConfigSource) -> Result<SocketAddr, String> {
    let (generation, _) = in_runtime(|| gateway.dry_run(source)).map_err(|bad| bad.to_string())?;
    let admin = generation.settings.admin.as_ref().ok_or("the configuration has `admin: off`; name one by --admin")?;
    match &admin.bind {
        BindAddr::Tcp(address) if address.ip().is_unspecified() => {
            Ok(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), address.port()))
        }
        BindAddr::Tcp(address) => Ok(*address),
        _ => Err("the admin listener has no TCP address; name one by --admin".to_owned()),
    }
}
