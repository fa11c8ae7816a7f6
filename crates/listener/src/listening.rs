//! What all connections of one listener have in common: its configuration, checked and ready to use.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use pingora_core::protocols::http::v2::server::{H2Options, default_h2_options};
use tidegate_core::config::{ConfigErrors, Duration as Configured};

use crate::config::{ListenerConfig, Protocol};
use crate::pulse::Times;
use crate::strict::HeadLimits;
use crate::tls::Tls;

#[derive(Debug)]
pub(crate) struct Listening {
    pub(crate) name: Arc<str>,
    pub(crate) tls: Option<Tls>,
    pub(crate) http1: bool,
    pub(crate) http2: bool,
    pub(crate) h2_options: H2Options,
    pub(crate) times: Times,
    pub(crate) body_timeout: Duration,
    pub(crate) head: HeadLimits,
    pub(crate) max_requests: u32,
    pub(crate) max_connections: usize,
    /// Of these, how many are taken.
    pub(crate) open: AtomicUsize,
}

impl Listening {
    pub(crate) fn new(config: &ListenerConfig) -> Result<Self, ConfigErrors> {
        let mut errors = config.faults();
        let protocols = config.protocols();
        let tls = config.tls.as_ref().and_then(|tls| errors.collect(Tls::new(tls, protocols)));
        let listening = Self {
            name: config.name().into(),
            tls,
            http1: protocols.contains(&Protocol::Http1),
            http2: protocols.contains(&Protocol::H2) || protocols.contains(&Protocol::H2c),
            h2_options: h2_options(config),
            times: times(config),
            body_timeout: config.body_timeout.get(),
            head: HeadLimits { bytes: config.max_header_bytes.as_usize(), fields: usize::from(config.max_headers) },
            max_requests: config.max_requests_per_connection.get(),
            max_connections: usize::try_from(config.max_connections.get()).unwrap_or(usize::MAX),
            open: AtomicUsize::new(0),
        };
        errors.into_result(listening)
    }
}

fn times(config: &ListenerConfig) -> Times {
    let millis = |time: Configured| u32::try_from(time.as_millis()).unwrap_or(u32::MAX / 2);
    Times {
        handshake: config.tls.as_ref().map_or(0, |tls| millis(tls.handshake_timeout)),
        head: millis(config.head_timeout),
        idle: millis(config.idle_timeout),
        body: millis(config.body_timeout),
        write: millis(config.write_timeout),
    }
}

/// Pingora's bounds on what a client may make us hold (CVE-2026-105297), with our limit on heads.
fn h2_options(config: &ListenerConfig) -> H2Options {
    let mut options = default_h2_options();
    options.max_header_list_size(u32::try_from(config.max_header_bytes.bytes()).unwrap_or(u32::MAX));
    options
}
