//! Examples, each with upstreams in place of its targets.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use http::Method;
use tempfile::TempDir;
use tidegate::{ConfigSource, Gateway, Running};
use tidegate_auth::Auth;
use tidegate_cache::Cache;
use tidegate_compress::Compress;
use tidegate_core::Clock;
use tidegate_files::Files;
use tidegate_headers::Headers;
use tidegate_ratelimit::RateLimit;
use tidegate_routing::Routing;
use tidegate_testkit::{Answer, Call, Certs, Client, ManualClock, Upstream, call, certs, upstream};
use tidegate_upstream_oauth::UpstreamOauth;
use tidegate_validation::Validation;

pub(crate) const HOST: &str = "app.test";
/// The port of gRPC servers, which speak HTTP/2.
pub(crate) const GRPC: u16 = 50051;

/// All that the binary has, in its order.
pub(crate) fn tidegate() -> Gateway {
    let gateway = Gateway::new().router::<Routing>().plugin::<RateLimit>().plugin::<Auth>();
    let gateway = gateway.plugin::<Validation>().plugin::<UpstreamOauth>().plugin::<Headers>();
    gateway.plugin::<Cache>().plugin::<Compress>().plugin::<Files>()
}

/// A running example, with an upstream in place of each of its targets.
pub(crate) struct Example {
    pub(crate) text: String,
    pub(crate) gateway: Running,
    upstreams: BTreeMap<u16, Upstream>,
    pub(crate) certs: Certs,
    folder: TempDir,
}

impl Example {
    pub(crate) async fn get(&self, listener: &str, path: &str) -> Answer {
        self.send(listener, call(Method::GET, path).host(HOST)).await
    }

    pub(crate) async fn send(&self, listener: &str, call: Call) -> Answer {
        let address = self.gateway.address(listener).expect("it listens");
        Client::connect(address).await.send(call).await
    }

    pub(crate) async fn tls(&self, listener: &str, host: &str, path: &str) -> Answer {
        let address = self.gateway.address(listener).expect("it listens");
        Client::tls(address, "example.com", &self.certs).await.send(call(Method::GET, path).host(host)).await
    }

    /// Puts a file into the folder of the site.
    pub(crate) fn write(&self, path: &str, text: &str) {
        let file = self.folder.path().join("site").join(path);
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("it is there");
        std::fs::write(file, text).expect("written");
    }

    /// What stands for the target with this port in the file.
    pub(crate) fn upstream(&self, port: u16) -> &Upstream {
        self.upstreams.get(&port).expect("a target")
    }
}

pub(crate) trait CameFrom {
    fn came_from(self, ports: &[u16], what: &str);
}

impl CameFrom for Answer {
    #[track_caller]
    fn came_from(self, ports: &[u16], what: &str) {
        let expected: Vec<_> = ports.iter().map(|port| format!("upstream {port}")).collect();
        assert!(self.status == 200 && expected.contains(&self.text()), "{what}: {self:#?}");
    }
}

pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../conf")
}

pub(crate) fn names() -> Vec<String> {
    let files = std::fs::read_dir(folder()).expect("the folder").map(|entry| entry.expect("an entry").path());
    let examples = files.filter(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    let mut names: Vec<_> = examples.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect();
    names.sort();
    names
}

/// Starts an example on free ports.
pub(crate) async fn start(name: &str) -> Example {
    start_by(name, Clock::default()).await
}

/// The same, and it is as late as the test says.
pub(crate) async fn start_on(name: &str, clock: &ManualClock) -> Example {
    start_by(name, Clock::new(clock.clone())).await
}

async fn start_by(name: &str, clock: Clock) -> Example {
    // A port that is free now may be taken by another test a moment later.
    for _ in 0..5 {
        match try_start(name, &clock).await {
            Ok(example) => return example,
            Err(error) if error.contains("in use") => {}
            Err(error) => panic!("{name}: {error}"),
        }
    }
    panic!("{name}: no free ports");
}

async fn try_start(name: &str, clock: &Clock) -> Result<Example, String> {
    let folder = tempfile::tempdir().expect("a folder");
    let (certs, mut upstreams) = (certs(), BTreeMap::new());
    let leaf = certs.leaf(&["example.com", "*.example.com"]);
    std::fs::copy(&leaf.cert, folder.path().join("site.pem")).expect("copied");
    std::fs::copy(&leaf.key, folder.path().join("site.key")).expect("copied");
    for part in ["parts", "state", "cache", "site"] {
        std::fs::create_dir(folder.path().join(part)).expect("a folder");
    }
    let file = |name: &str| std::fs::read_to_string(self::folder().join(name)).expect("an example");
    for part in ["parts/upstreams.yaml", "parts/targets.yaml"] {
        let text = freed(&file(part), &mut upstreams).await;
        std::fs::write(folder.path().join(part), text).expect("written");
    }

    let mut text = freed(&file(&format!("{name}.yaml")), &mut upstreams).await;
    text = text.replace("${TLS_DIR:-tls}", &folder.path().to_string_lossy());
    text = text.replace("${STATE_DIRECTORY:-/var/lib/tidegate}", &folder.path().join("state").to_string_lossy());
    text = text.replace("${SITE_DIR:-/srv}", &folder.path().join("site").to_string_lossy());
    text = text.replace("${CACHE_DIRECTORY:-/var/cache/tidegate}", &folder.path().join("cache").to_string_lossy());
    text = text.replace("${PARTS:-conf/parts}", &folder.path().join("parts").to_string_lossy());
    // Nobody's: a Redis that happens to run on this machine has no part in it.
    text = text.replace("${REDIS_HOST:-127.0.0.1}:6379", &free_address());
    if !text.contains("\nadmin:") {
        text.push_str("admin: { bind: \"127.0.0.1:0\" }\n");
    }
    if !text.contains("\naccess_log:") {
        text.push_str("access_log: off\n");
    }
    // Not into the test's own output.
    let log = folder.path().join("access.log");
    text = text.replace("\naccess_log: {", &format!("\naccess_log: {{ to: {{ file: {log:?} }},"));
    let path = folder.path().join("tidegate.yaml");
    std::fs::write(&path, &text).expect("written");
    let gateway = tidegate().clock(clock.clone());
    let gateway = gateway.start(ConfigSource::file(path)).await.map_err(|error| error.to_string())?;
    Ok(Example { text, gateway, upstreams, certs, folder })
}

/// The text with free ports to listen on, and with upstreams in place of targets: each answers with the port of the
/// file. A listener that is a target as well keeps being one.
async fn freed(text: &str, upstreams: &mut BTreeMap<u16, Upstream>) -> String {
    let mut freed = text.to_owned();
    for (address, port) in addresses(text) {
        let bound = text.contains(&format!("bind: \"{address}\""));
        let targeted = text.contains(&format!("[\"{address}\"]"));
        let new = match (bound, targeted) {
            (true, false) => "127.0.0.1:0".to_owned(),
            (true, true) => free_address(),
            (false, _) => {
                let server = upstream().reply("*", format!("upstream {port}"));
                let server = if port == GRPC { server.h2() } else { server }.start().await;
                let host = address.split(':').next().unwrap_or_default();
                let target = server.target().replace("127.0.0.1", host);
                upstreams.insert(port, server);
                target
            }
        };
        freed = freed.replace(&format!("\"{address}\""), &format!("\"{new}\""));
    }
    freed
}

/// Every `"host:port"` of this machine, each once.
fn addresses(text: &str) -> BTreeMap<&str, u16> {
    let quoted = text.split('"').skip(1).step_by(2);
    quoted
        .filter_map(|text| {
            let (host, port) = text.split_once(':')?;
            let here = ["127.0.0.1", "0.0.0.0", "localhost"].contains(&host);
            here.then(|| Some((text, port.parse().ok()?))).flatten()
        })
        .collect()
}

fn free_address() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").to_string()
}
