//! A gateway in the test's own process.

use std::net::SocketAddr;
use std::path::PathBuf;

use http::Method;
use tempfile::TempDir;
use tidegate::{ConfigSource, Gateway, Running};
use tidegate_core::{Clock, Plugin, Router};

use crate::metrics::Metrics;
use crate::request::{RawAnswer, Request};
use crate::routes::Routes;
use crate::{Answer, Client, H2Client, ManualClock, wait_until};

/// A gateway to be started: its router, its plugins, its clock.
///
/// Without [`router`](GatewayBuilder::router) it has [`Routes`], which matches paths only.
pub struct GatewayBuilder {
    gateway: Gateway,
}

/// A gateway without plugins.
pub fn gateway() -> GatewayBuilder {
    GatewayBuilder { gateway: Gateway::new().router::<Routes>() }
}

impl GatewayBuilder {
    /// With this router in place of the kit's.
    #[must_use]
    pub fn router<R: Router>(self) -> Self {
        Self { gateway: self.gateway.router::<R>() }
    }

    /// With this plugin, after those before it.
    #[must_use]
    pub fn plugin<P: Plugin>(self) -> Self {
        Self { gateway: self.gateway.plugin::<P>() }
    }

    /// On this clock.
    #[must_use]
    pub fn clock(self, clock: &ManualClock) -> Self {
        Self { gateway: self.gateway.clock(Clock::new(clock.clone())) }
    }

    /// Starts it with this configuration; panics with the rendered errors when it can't.
    ///
    /// What the configuration leaves out is added: `listeners` (one called `main` on an ephemeral port of loopback
    /// that speaks HTTP/1 and h2c), `admin` (an ephemeral port), and `access_log` (a file, see
    /// [`TestGateway::access_log`]).
    pub async fn start(self, yaml: &str) -> TestGateway {
        self.try_start(yaml).await.unwrap_or_else(|error| panic!("{error}"))
    }

    /// The same; the rendered errors when it can't start.
    pub async fn try_start(self, yaml: &str) -> Result<TestGateway, String> {
        let dir = tempfile::tempdir().expect("a directory");
        let source = ConfigSource::yaml(complete(yaml, &dir));
        let running = self.gateway.start(source).await.map_err(|error| error.to_string())?;
        Ok(TestGateway { running, dir })
    }

    /// Starts it with this configuration in a file that it watches; see [`TestGateway::rewrite`].
    pub async fn start_from_file(self, yaml: &str) -> TestGateway {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join(CONFIG_FILE);
        std::fs::write(&file, complete(yaml, &dir)).expect("the configuration is written");
        let running = self.gateway.start(ConfigSource::file(file)).await;
        TestGateway { running: running.unwrap_or_else(|error| panic!("{error}")), dir }
    }

    /// What is wrong with a configuration, rendered; `Ok` when nothing is.
    pub fn check(&self, yaml: &str) -> Result<(), String> {
        let dir = tempfile::tempdir().expect("a directory");
        self.gateway.check(&ConfigSource::yaml(complete(yaml, &dir))).map_err(|error| error.to_string())
    }
}

impl std::fmt::Debug for GatewayBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("GatewayBuilder")
    }
}

const CONFIG_FILE: &str = "tidegate.yaml";
const LOG_FILE: &str = "access.log";

/// Adds what a configuration leaves out, at its end, so that lines keep their numbers.
fn complete(yaml: &str, dir: &TempDir) -> String {
    let has = |key: &str| yaml.lines().any(|line| line.strip_prefix(key).is_some_and(|rest| rest.starts_with(':')));
    let log = dir.path().join(LOG_FILE);
    let mut whole = yaml.to_owned();
    whole.push('\n');
    if !has("listeners") {
        whole.push_str("listeners: [{ name: main, bind: \"127.0.0.1:0\", protocols: [http1, h2c] }]\n");
    }
    if !has("admin") {
        whole.push_str("admin: { bind: \"127.0.0.1:0\" }\n");
    }
    if !has("access_log") {
        whole.push_str(&format!("access_log: {{ to: {{ file: {log:?} }} }}\n"));
    }
    whole
}

/// The lines of a log. Not the one that is being written.
fn whole_lines(log: &[u8]) -> Vec<String> {
    let end = log.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    String::from_utf8_lossy(&log[..end]).lines().map(str::to_owned).collect()
}

/// A gateway that runs until this is dropped.
#[derive(Debug)]
pub struct TestGateway {
    running: Running,
    dir: TempDir,
}

impl TestGateway {
    /// The address of the first listener.
    pub fn addr(&self) -> SocketAddr {
        let first = self.running.addresses().first().expect("a gateway has a listener");
        self.addr_of(&first.0)
    }

    /// The address of the listener called `name`.
    pub fn addr_of(&self, name: &str) -> SocketAddr {
        self.running.address(name).unwrap_or_else(|| panic!("no listener {name} on TCP in {:?}", self.running))
    }

    /// The address of the admin listener.
    pub fn admin_addr(&self) -> SocketAddr {
        self.running.admin_address().expect("the admin listener is on TCP")
    }

    /// The gateway itself.
    pub fn running(&self) -> &Running {
        &self.running
    }

    /// Sends a GET on a connection of its own.
    pub async fn get(&self, path: &str) -> Answer {
        self.request(Method::GET, path).send().await
    }

    /// A POST, to be given a body and sent on a connection of its own.
    pub fn post(&self, path: &str) -> Request<'_> {
        self.request(Method::POST, path)
    }

    /// A request, to be completed and sent on a connection of its own.
    pub fn request(&self, method: Method, path: &str) -> Request<'_> {
        Request::new(self.addr(), method, path)
    }

    /// Sends these bytes, whatever they are, on a connection of their own, and reads what comes back.
    pub async fn raw(&self, bytes: impl AsRef<[u8]>) -> RawAnswer {
        RawAnswer::to(self.addr(), bytes.as_ref()).await
    }

    /// A connection to the first listener.
    pub async fn connect(&self) -> Client {
        Client::connect(self.addr()).await
    }

    /// An HTTP/2 connection to the first listener, by prior knowledge.
    pub async fn connect_h2(&self) -> H2Client {
        H2Client::connect(self.addr()).await
    }

    /// Asks the admin listener.
    pub async fn admin(&self, path: &str) -> Answer {
        Client::connect(self.admin_addr()).await.get(path).await
    }

    /// What `/metrics` says.
    pub async fn metrics_text(&self) -> String {
        self.admin("/metrics").await.expect(200).text()
    }

    /// All metrics, as `/metrics` says them now.
    pub async fn metrics(&self) -> Metrics {
        Metrics::parse(&self.metrics_text().await)
    }

    /// The sum of all series of `name` that have these labels; 0 when there is none.
    pub async fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.metrics().await.sum(name, labels)
    }

    /// Waits until the access log has `count` lines, and gives them. Only when the configuration has no
    /// `access_log` of its own.
    pub async fn access_log(&self, count: usize) -> Vec<String> {
        let path = self.log_file();
        let mut lines = Vec::new();
        wait_until(&format!("{count} lines in the access log"), || {
            lines = whole_lines(&std::fs::read(&path).unwrap_or_default());
            lines.len() >= count
        })
        .await;
        lines
    }

    /// Where the access log is that the kit adds.
    pub fn log_file(&self) -> PathBuf {
        self.dir.path().join(LOG_FILE)
    }

    /// Replaces the configuration; the rendered errors when that is refused. What it leaves out is added as at the start.
    pub async fn reload(&self, yaml: &str) -> Result<(), String> {
        let source = ConfigSource::yaml(complete(yaml, &self.dir));
        self.running.reload(source).await.map_err(|error| error.to_string())
    }

    /// Writes the watched file anew, the way editors do: a new file renamed over the old one.
    pub fn rewrite(&self, yaml: &str) {
        let (file, new) = (self.dir.path().join(CONFIG_FILE), self.dir.path().join("tidegate.yaml.new"));
        std::fs::write(&new, complete(yaml, &self.dir)).expect("the configuration is written");
        std::fs::rename(new, file).expect("the configuration is replaced");
    }

    /// Drains; `true` when every request came to its end.
    pub async fn shutdown(&self) -> bool {
        self.running.shutdown().await
    }
}

#[cfg(test)]
mod tests {
    use super::whole_lines;

    #[test]
    fn a_line_counts_when_it_is_whole() {
        assert_eq!(whole_lines(b"{\"a\":1}\n{\"a\":2}\n{\"a\""), ["{\"a\":1}", "{\"a\":2}"]);
        assert!(whole_lines(b"{\"a\"").is_empty() && whole_lines(b"").is_empty());
        assert_eq!(whole_lines("a\n\u{e9}".as_bytes().get(..3).unwrap_or_default()), ["a"]);
    }
}
