//! Stories of the program itself, and of other programs beside it.

mod alerts;
mod applications;
mod auth;
mod auth_crash;
mod cache;
mod cache_crash;
mod memory;
mod reload;
mod shutdown;
mod upstreams;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use tidegate_testkit::{Client, Program, free_port, program, wait_until_async};

/// The `tidegate` program, built once by the same cargo and profile as these tests.
fn tidegate_program() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(build).clone()
}

fn build() -> PathBuf {
    // `make` has built it, and says where.
    if let Some(built) = std::env::var_os("TIDEGATE").map(PathBuf::from).filter(|path| path.exists()) {
        return built;
    }
    // target/<profile>/deps/process-<hash>
    let own = std::env::current_exe().expect("this program");
    let profile = own.parent().and_then(|deps| deps.parent()).expect("a profile's directory");
    let target = profile.parent().expect("a target directory");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--package", "tidegate-bin", "--bin", "tidegate", "--quiet", "--target-dir"]).arg(target);
    if profile.ends_with("release") {
        cargo.arg("--release");
    }
    let status = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).status().expect("cargo runs");
    assert!(status.success(), "tidegate-bin does not build");
    profile.join("tidegate")
}

/// The program, running.
struct Tidegate {
    program: Program,
    admin: SocketAddr,
}

impl Tidegate {
    /// Starts it with this configuration, listeners and admin added, and waits until it is ready.
    async fn start(yaml: &str) -> Self {
        let builder = program(tidegate_program(), "nothing: it is built here");
        let admin = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let log = builder.dir().join("access.log");
        let whole = format!(
            "{yaml}\nlisteners: [{{ name: main, bind: \"127.0.0.1:{}\", protocols: [http1, h2c] }}]\n\
             admin: {{ bind: \"{admin}\" }}\naccess_log: {{ to: {{ file: {log:?} }} }}\n",
            builder.port(),
        );
        let builder = builder.file("tidegate.yaml", whole).args(["run", "--config", "tidegate.yaml"]);
        Self { program: builder.start().await, admin }
    }

    fn addr(&self) -> SocketAddr {
        self.program.addr()
    }

    async fn connect(&self) -> Client {
        Client::connect(self.addr()).await
    }

    async fn get(&self, path: &str) -> tidegate_testkit::Answer {
        self.connect().await.get(path).await
    }

    /// The status of `/readyz`.
    async fn readiness(&self) -> u16 {
        Client::connect(self.admin).await.get("/readyz").await.status
    }

    async fn until_draining(&self) {
        wait_until_async("/readyz to say 503", async || self.readiness().await == 503).await;
    }

    /// Whether new connections are refused.
    async fn until_refusing(&self) {
        wait_until_async("the listener to close", async || tokio::net::TcpStream::connect(self.addr()).await.is_err())
            .await;
    }
}

fn all_to(target: &str) -> String {
    format!(
        "upstreams: {{ app: {{ targets: [\"{target}\"] }} }}\nrouting: {{ routes: [{{ name: all, upstream: app }}] }}\n"
    )
}
