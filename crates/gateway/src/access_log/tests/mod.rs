mod files;
mod lines;

use super::*;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use http::{HeaderMap, HeaderValue};
use serde_json::Value;
use tidegate_core::config::Value as Yaml;
use tidegate_core::{AnsweredBy, RawConfig};

const SOON: Duration = Duration::from_secs(30);

fn section(to: Yaml, more: Vec<(&str, Yaml)>) -> AccessLogConfig {
    let value = Yaml::map(more.into_iter().chain([("to", to)]));
    RawConfig::new(value, "access_log").read().expect("a section")
}

fn file(path: &Path) -> Yaml {
    Yaml::map([("file", Yaml::from(&*path.to_string_lossy()))])
}

fn opened(config: &AccessLogConfig, metrics: &Metrics, before: Option<&AccessLog>) -> AccessLog {
    AccessLog::open(config, metrics, before).expect("valid").expect("on")
}

fn dropped(metrics: &Metrics) -> u64 {
    let counter = metrics.counter("tidegate_access_log_dropped_total", "the same", &[]).expect("made");
    counter.with_label_values::<&str>(&[]).get()
}

struct Scene {
    folder: tempfile::TempDir,
    metrics: Metrics,
    log: AccessLog,
}

impl Scene {
    fn new(more: Vec<(&str, Yaml)>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let metrics = Metrics::new();
        let log = opened(&section(file(&folder.path().join("a.log")), more), &metrics, None);
        Self { log, folder, metrics }
    }

    fn write(&self, entry: &Entry<'_>) {
        self.log.write_at(UNIX_EPOCH + Duration::from_millis(1_767_323_045_678), entry);
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("a.log")
    }

    fn text(&self) -> String {
        assert!(self.log.0.writer.flush(SOON));
        fs::read_to_string(self.path()).expect("text")
    }
}

fn plain(headers: &HeaderMap) -> Entry<'_> {
    Entry {
        request_id: "id-1",
        method: "GET",
        path: "/",
        query: None,
        host: "a.test",
        scheme: "http",
        protocol: "HTTP/1.1",
        client: [192, 0, 2, 1].into(),
        peer: None,
        listener: "main",
        tls: None,
        route: "none",
        status: 404,
        duration: Duration::from_micros(133),
        bytes_in: 0,
        bytes_out: 120,
        answered_by: AnsweredBy::Gateway,
        upstream: None,
        target: None,
        tries: 0,
        retry_reason: None,
        retry_refused: None,
        code: None,
        error: None,
        subject: None,
        headers,
    }
}

fn full_headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("user-agent", "curl/8 \"x\""),
        ("referer", "https://b.test/p?token=canary&a=1"),
        ("x-tenant", "acme"),
        ("x-tenant", "evil"),
        ("authorization", "Bearer canary"),
        ("cookie", "session=canary"),
    ] {
        headers.append(name, HeaderValue::from_static(value));
    }
    headers
}

fn full<'a>(headers: &'a HeaderMap, error: &'a str) -> Entry<'a> {
    Entry {
        method: "POST",
        path: "/v1/users/a b",
        query: Some("page=2&access_token=canary"),
        host: "api.example.com:8443",
        scheme: "https",
        protocol: "HTTP/2",
        client: "2001:db8::1".parse().expect("an address"),
        peer: Some("10.0.0.1:4711".parse().expect("an address")),
        tls: Some("TLSv1.3"),
        route: "users",
        status: 502,
        duration: Duration::from_micros(12_345),
        bytes_in: 17,
        bytes_out: 0,
        answered_by: AnsweredBy::Gateway,
        upstream: Some("users"),
        target: Some("10.0.2.45:3000"),
        tries: 2,
        retry_reason: Some("connect"),
        retry_refused: Some("exhausted"),
        code: Some("upstream_refused"),
        error: Some(error),
        subject: Some("alice"),
        ..plain(headers)
    }
}
