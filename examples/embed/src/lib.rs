#![doc = include_str!("../README.md")]

mod app;

use std::path::Path;

use tidegate::{ConfigSource, Gateway, Running, StartError};
use tidegate_headers::Headers;
use tidegate_routing::Routing;

pub use app::App;

/// A gateway before an application that listens on `app`: a `host:port`, or `unix:` and a path.
///
/// It lives in the Tokio runtime this is called in. It handles no signals and never ends the process: that is this
/// program's business. Two of them may run side by side; they share nothing.
pub async fn gateway(app: &str) -> Result<Running, StartError> {
    let config = format!(
        r#"
        listeners: [{{ name: public, bind: "127.0.0.1:0" }}]
        admin: off
        access_log: off
        upstreams:
          app: {{ targets: ["{app}"] }}
        routing:
          routes:
            - name: greetings
              match: {{ path: "/hello/**" }}
              upstream: app
              plugins:
                headers: {{ security: helmet }}
        "#
    );
    Gateway::new().router::<Routing>().plugin::<Headers>().start(ConfigSource::yaml(config)).await
}

/// The same, for an application behind a unix socket.
pub async fn gateway_to_socket(socket: &Path) -> Result<Running, StartError> {
    gateway(&format!("unix:{}", socket.display())).await
}
