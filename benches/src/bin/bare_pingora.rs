//! The floor: the least that a Pingora proxy can be. One worker thread, no work stealing, a fixed upstream, every
//! timeout that a proxy on a network needs, and no hook.
//!
//! `bare_pingora LISTEN_PORT UPSTREAM_PORT`

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pingora_core::server::Server;
use pingora_core::server::configuration::ServerConf;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_proxy::{ProxyHttp, Session, http_proxy_service};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

struct Bare(HttpPeer);

#[async_trait]
impl ProxyHttp for Bare {
    type CTX = ();

    fn new_ctx(&self) {}

    async fn upstream_peer(&self, _: &mut Session, (): &mut ()) -> pingora_core::Result<Box<HttpPeer>> {
        Ok(Box::new(self.0.clone()))
    }
}

fn main() {
    let port = |index| std::env::args().nth(index).and_then(|text| text.parse::<u16>().ok());
    let (Some(listen), Some(upstream)) = (port(1), port(2)) else {
        eprintln!("usage: bare_pingora LISTEN_PORT UPSTREAM_PORT");
        std::process::exit(2);
    };
    let mut peer = HttpPeer::new((std::net::Ipv4Addr::LOCALHOST, upstream), false, String::new());
    let options = &mut peer.options;
    options.connection_timeout = Some(Duration::from_secs(5));
    options.total_connection_timeout = Some(Duration::from_secs(5));
    options.read_timeout = Some(Duration::from_secs(60));
    options.write_timeout = Some(Duration::from_secs(60));
    options.idle_timeout = Some(Duration::from_secs(60));

    let conf = ServerConf { threads: 1, work_stealing: false, grace_period_seconds: Some(0), ..ServerConf::default() };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();
    let conf: Arc<ServerConf> = server.configuration.clone();
    let mut service = http_proxy_service(&conf, Bare(peer));
    service.add_tcp(&format!("127.0.0.1:{listen}"));
    server.add_service(service);
    server.run_forever();
}
