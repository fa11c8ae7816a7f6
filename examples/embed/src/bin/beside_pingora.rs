//! A program built on Pingora's own `Server`, and a gateway before one of its services, in the same process.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use http::Response;
use pingora_core::apps::http_app::ServeHttp;
use pingora_core::protocols::http::ServerSession;
use pingora_core::server::configuration::ServerConf;
use pingora_core::server::{
    RunArgs, Server, ShutdownSignal, ShutdownSignalWatch, ShutdownWatch, UnixShutdownSignalWatch,
};
use pingora_core::services::background::{BackgroundService, background_service};
use pingora_core::services::listening::Service;
use tidegate::Running;
use tidegate_embed_example::gateway_to_socket;

/// The program's own service.
struct App;

#[async_trait]
impl ServeHttp for App {
    async fn response(&self, session: &mut ServerSession) -> Response<Vec<u8>> {
        let body = format!("hello from Pingora's server, which was asked for {}\n", session.req_header().uri.path());
        let mut response = Response::new(body.into_bytes());
        let length = response.body().len();
        response.headers_mut().insert(http::header::CONTENT_LENGTH, length.into());
        response
    }
}

/// The gateway, as one more service of Pingora's.
#[derive(Clone)]
struct Gate {
    app: PathBuf,
    running: Arc<OnceLock<Running>>,
}

#[async_trait]
impl BackgroundService for Gate {
    async fn start(&self, mut shutdown: ShutdownWatch) {
        match gateway_to_socket(&self.app).await {
            Ok(running) => {
                let running = self.running.get_or_init(|| running);
                if let Some(address) = running.address("public") {
                    println!("listening on {address}");
                }
            }
            Err(error) => eprintln!("the gateway can't start: {error}"),
        }
        // The service is what keeps the gateway's runtime; an error means that the server is gone.
        let _ = shutdown.changed().await;
    }
}

/// The gateway is drained before the server hears of the signal: the app must answer until the last request has ended.
#[async_trait]
impl ShutdownSignalWatch for Gate {
    async fn recv(&self) -> ShutdownSignal {
        let signal = UnixShutdownSignalWatch.recv().await;
        if let Some(running) = self.running.get() {
            running.shutdown().await;
            println!("drained");
        }
        signal
    }
}

fn main() {
    let socket = std::env::args_os().nth(1).unwrap_or_else(|| "app.sock".into());
    // Nothing is left to wait for once the gateway is drained.
    let conf = ServerConf { grace_period_seconds: Some(0), ..ServerConf::default() };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();
    let mut app = Service::new("app".to_owned(), App);
    app.add_uds(&socket.to_string_lossy(), None);
    server.add_service(app);
    let gate = Gate { app: socket.into(), running: Arc::default() };
    server.add_service(background_service("gateway", gate.clone()));
    server.run(RunArgs { shutdown_signal: Box::new(gate) });
}
