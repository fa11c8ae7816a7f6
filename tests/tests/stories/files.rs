//! A single-page application in a real browser: Chromium, driven by the npm package `playwright-core`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde::Deserialize;
use tempfile::TempDir;
use tidegate_cache::Cache;
use tidegate_compress::Compress;
use tidegate_files::Files;
use tidegate_headers::Headers;
use tidegate_routing::Routing;
use tidegate_testkit::{TestGateway, gateway, wait_until, wait_until_async};

/// What came of one step of the browser's.
#[derive(Debug, Deserialize)]
struct Step {
    /// What the application shows.
    text: String,
    /// What the console says is wrong, and requests that failed.
    errors: Vec<String>,
    /// What came, from wherever.
    responses: Vec<Response>,
}

#[derive(Debug, Deserialize)]
struct Response {
    path: String,
    status: u16,
    /// From the browser's own cache.
    cached: bool,
    headers: BTreeMap<String, String>,
    /// What the server sent: 304 where the page gets what the browser had.
    wire: Option<Wire>,
}

#[derive(Debug, Deserialize)]
struct Wire {
    status: u16,
    headers: BTreeMap<String, String>,
}

impl Response {
    /// What a cache on the way says of it.
    #[track_caller]
    fn cache_status(&self) -> &str {
        let wire = self.wire.as_ref().unwrap_or_else(|| panic!("it was the browser's own: {self:#?}"));
        wire.headers.get("cache-status").unwrap_or_else(|| panic!("no cache: {self:#?}"))
    }

    fn is_hit(&self) -> bool {
        self.cache_status().contains("; hit")
    }
}

impl Step {
    #[track_caller]
    fn shows(&self, text: &str) -> &Self {
        assert!(self.errors.is_empty() && self.text == text, "{self:#?}");
        self
    }

    #[track_caller]
    fn response(&self, path: &str) -> &Response {
        self.responses.iter().find(|response| response.path == path).unwrap_or_else(|| panic!("no {path} in {self:#?}"))
    }

    /// What came from the server, if only a 304.
    fn sent(&self) -> impl Iterator<Item = &Response> {
        self.responses.iter().filter(|it| !it.cached)
    }

    /// The same, each path once: an icon is asked for as a picture, and as the icon.
    fn distinct(&self) -> BTreeSet<&str> {
        self.sent().map(|it| &*it.path).collect()
    }

    /// What the server was asked for.
    fn asked(&self) -> Vec<&str> {
        let mut asked: Vec<_> = self.sent().map(|it| &*it.path).collect();
        asked.sort_unstable();
        asked
    }
}

/// The longest that a browser may take for all of its steps. Each of them has a limit of its own, of 30 s, in the script.
const BROWSING: Duration = Duration::from_secs(180);

/// Does the steps in one browser, which begins with an empty cache.
async fn browse(steps: Vec<(&'static str, String)>) -> Vec<Step> {
    let (packages, browser) = (packages(), browser());
    let asked = serde_json::to_string(&steps).expect("JSON");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/browser/browse.mjs");
    let mut node = tokio::process::Command::new("node");
    node.arg(script).arg(asked).env("PACKAGES", packages).env("CHROMIUM", browser).kill_on_drop(true);
    let done = tokio::time::timeout(BROWSING, node.output()).await.expect("the browser does its steps");
    let done = done.expect("node runs");
    let (said, complained) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{said}\n{complained}");
    let told: Vec<Step> = said.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    assert_eq!(told.len(), steps.len(), "{said}");
    told
}

/// Where `scripts/need test` has put the packages: in the target directory.
fn packages() -> PathBuf {
    let own = std::env::current_exe().expect("this program");
    let mut folders = own.ancestors().map(|folder| folder.join("browser"));
    let found = folders.find(|folder| folder.join("node_modules/playwright-core").is_dir());
    found.expect("the packages of npm are there: run `scripts/need test`, or `make test`")
}

fn browser() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join("chromium")).find(|file| file.is_file());
    found.expect("Chromium is there: run `scripts/need test`, or `make test`")
}

/// The application as a build would leave it: with compressed siblings.
fn application() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/app/.");
    let copied = Command::new("cp").arg("-r").arg(from).arg(folder.path()).status().expect("cp runs");
    let compress = ["-k", "assets/app.4f1c.js", "assets/style.9a2b.css", "index.html"];
    let compressed = Command::new("gzip").args(compress).current_dir(folder.path()).status().expect("gzip runs");
    assert!(copied.success() && compressed.success());
    folder
}

/// A gateway that serves it, with what has been compressed ahead.
async fn site(root: &Path) -> TestGateway {
    site_with(root, "[zst, br, gz]", "{}").await
}

/// The same, with these kinds of compressed siblings, and these fields in all its answers.
async fn site_with(root: &Path, precompressed: &str, fields: &str) -> TestGateway {
    let yaml = format!(
        "routing:\n  routes:\n    - name: app\n      match: {{ path: \"/**\" }}\n      endpoint:\n        files:\n          \
         root: {root:?}\n          spa_fallback: /index.html\n          precompressed: {precompressed}\n          \
         cache_control:\n            - {{ path: \"/assets/**\", value: \"public, max-age=31536000, immutable\" }}\n      \
         plugins: {{ headers: {{ response: {{ set: {fields} }}, security: {{ preset: helmet, \
         content_security_policy: \"default-src 'self'\" }} }} }}\n"
    );
    gateway().router::<Routing>().plugin::<Headers>().plugin::<Files>().start(&yaml).await
}

/// A gateway in front of that one; what its route asks of plugins is the caller's.
async fn edge(site: &TestGateway, plugins: &str) -> TestGateway {
    let yaml = format!(
        "upstreams: {{ site: {{ targets: [\"{}\"] }} }}\n\
         routing: {{ routes: [{{ name: edge, upstream: site, plugins: {{ {plugins} }} }}] }}\n",
        site.addr()
    );
    let gateway = gateway().router::<Routing>().plugin::<Headers>();
    gateway.plugin::<Cache>().plugin::<Compress>().start(&yaml).await
}

/// How often the site was asked, by what came of it.
async fn outcomes(site: &TestGateway) -> BTreeMap<&'static str, f64> {
    let metrics = site.metrics().await;
    let count = |outcome| metrics.sum("tidegate_files_requests_total", &[("outcome", outcome)]);
    ["whole", "fallback", "not_modified", "not_found", "failed"].map(|outcome| (outcome, count(outcome))).into()
}

/// The application at this address: loaded, walked through, opened at a deep link, and loaded again.
async fn assert_works(at: &TestGateway, site: &TestGateway) {
    let url = |path: &str| format!("http://{}{path}", at.addr());
    let steps = vec![
        ("open", url("/")),
        ("click", "#seven".to_owned()),
        ("open", url("/users/7")),
        ("open", url("/")),
        ("open", url("/users/12")),
    ];
    let told = browse(steps).await;
    let [first, clicked, deep, second, other] = &told[..] else { panic!("{told:#?}") };

    first.shows("hello home, styled");
    for (path, media, coding, cache) in [
        ("/", "text/html; charset=utf-8", Some("gzip"), "no-cache"),
        ("/assets/app.4f1c.js", "text/javascript; charset=utf-8", Some("gzip"), "public, max-age=31536000, immutable"),
        ("/assets/users.77aa.js", "text/javascript; charset=utf-8", None, "public, max-age=31536000, immutable"),
        ("/assets/style.9a2b.css", "text/css; charset=utf-8", Some("gzip"), "public, max-age=31536000, immutable"),
        ("/data/greeting.json", "application/json", None, "no-cache"),
        ("/images/logo.svg", "image/svg+xml", None, "no-cache"),
        ("/images/buoy.png", "image/png", None, "no-cache"),
    ] {
        let response = first.response(path);
        let field = |name: &str| response.headers.get(name).map(String::as_str);
        assert_eq!((response.status, field("content-type")), (200, Some(media)), "{path}");
        assert_eq!((field("content-encoding"), field("cache-control")), (coding, Some(cache)), "{path}");
        assert_eq!(field("x-content-type-options"), Some("nosniff"), "{path}");
    }
    // The application's own router: no page is asked for.
    assert!(!clicked.shows("hello user 7, styled").asked().contains(&"/users/7"), "{clicked:#?}");
    // And ours: a page that is none of the folder's.
    assert_eq!(deep.shows("hello user 7, styled").response("/users/7").status, 200);
    assert_eq!(other.shows("hello user 12, styled").response("/users/12").status, 200);

    // Files whose names change with their content are not asked for again, whatever the page.
    for step in [deep, second, other] {
        let again: Vec<_> = step.asked().into_iter().filter(|path| path.starts_with("/assets/")).collect();
        assert!(again.is_empty(), "{again:?} in {step:#?}");
    }
    let asked = || std::fs::read_to_string(at.log_file()).unwrap_or_default();
    wait_until("the last page in the log", || asked().contains("/users/12")).await;
    for path in ["/assets/app.4f1c.js", "/assets/users.77aa.js", "/assets/style.9a2b.css"] {
        assert_eq!(asked().matches(path).count(), 1, "{path} in {}", asked());
    }
    second.shows("hello home, styled");
    let outcomes = outcomes(site).await;
    assert!(outcomes["fallback"] >= 2.0 && outcomes["not_modified"] >= 1.0, "{outcomes:?}");
    assert_eq!((outcomes["not_found"], outcomes["failed"]), (0.0, 0.0), "{outcomes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_loads_a_single_page_application_from_a_folder() {
    let folder = application();
    let site = site(folder.path()).await;
    assert_works(&site, &site).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_loads_a_single_page_application_through_a_gateway_in_front() {
    let folder = application();
    let site = site(folder.path()).await;
    let edge = edge(&site, "headers: {}").await;
    assert_works(&edge, &site).await;
}

/// What the site was asked for by the edge, each time.
async fn asked_of(site: &TestGateway) -> f64 {
    site.metric("tidegate_files_requests_total", &[]).await
}

/// How the edge sends what the application consists of.
fn assert_compressed(step: &Step) {
    for (path, coding) in [
        ("/", Some("zstd")),
        ("/assets/app.4f1c.js", Some("zstd")),
        ("/assets/users.77aa.js", Some("zstd")),
        ("/assets/style.9a2b.css", Some("zstd")),
        ("/data/greeting.json", Some("zstd")),
        ("/images/logo.svg", Some("zstd")),
        ("/images/buoy.png", None),
    ] {
        let headers = &step.response(path).headers;
        let field = |name: &str| headers.get(name).map(String::as_str);
        let varies = field("vary").is_some_and(|vary| vary.contains("Accept-Encoding"));
        assert_eq!((field("content-encoding"), varies), (coding, coding.is_some()), "{path}: {headers:#?}");
    }
}

/// Pages are `no-cache` for browsers, and for an hour the gateway's in front: that is `CDN-Cache-Control`.
#[tokio::test(flavor = "multi_thread")]
async fn what_one_browser_has_loaded_the_next_gets_from_the_cache_compressed() {
    let folder = application();
    let site = site_with(folder.path(), "[]", "{ CDN-Cache-Control: max-age=3600 }").await;
    let edge = edge(&site, "headers: {}, cache: {}, compress: { min_size: 1B }").await;
    let url = |path: &str| format!("http://{}{path}", edge.addr());
    let both = || vec![("open", url("/")), ("open", url("/users/7"))];

    // The first finds nothing stored: each file is fetched, compressed and stored, once.
    let told = browse(both()).await;
    let [first, deep] = &told[..] else { panic!("{told:#?}") };
    assert_compressed(first.shows("hello home, styled"));
    let files = first.distinct();
    for path in &files {
        let response = first.response(path);
        assert!(response.cache_status().contains("; stored"), "{response:#?}");
    }
    assert!(!deep.shows("hello user 7, styled").response("/users/7").is_hit(), "{deep:#?}");
    // And the page by its deep link.
    let all = files.len() as f64 + 1.0;
    wait_until_async("each file, once", async || asked_of(&site).await >= all).await;

    // A browser that has never been here: all of it is stored. Then it asks whether what it has is still good.
    let mut steps = both();
    steps.extend([("open", url("/")), ("click", "#seven".to_owned())]);
    let told = browse(steps).await;
    let [first, deep, again, clicked] = &told[..] else { panic!("{told:#?}") };
    assert_compressed(first.shows("hello home, styled"));
    assert_eq!(deep.shows("hello user 7, styled").response("/users/7").status, 200);
    for step in [first, deep, again.shows("hello home, styled"), clicked.shows("hello user 7, styled")] {
        assert!(step.sent().all(Response::is_hit), "{step:#?}");
    }
    assert_eq!(first.distinct(), files);
    assert!(!deep.asked().iter().any(|path| path.starts_with("/assets/")), "{deep:#?}");
    for (step, path) in [(deep, "/data/greeting.json"), (again, "/"), (clicked, "/data/greeting.json")] {
        let response = step.response(path);
        assert_eq!(response.wire.as_ref().map(|wire| wire.status), Some(304), "{response:#?}");
    }

    // Nobody has asked the site since: this is the next request.
    edge.get("/assets/none.js").await.expect(404);
    wait_until_async("the next request", async || asked_of(&site).await > all).await;
    assert_eq!(asked_of(&site).await, all + 1.0, "{:?}", outcomes(&site).await);
    let stored = edge.metric("tidegate_cache_memory_objects", &[("zone", "main")]).await;
    assert_eq!(stored, all + 1.0, "one of each: all browsers take the same coding");
}

/// Who presses reload wants it from the source: that is passed on, and what is stored is good again.
#[tokio::test(flavor = "multi_thread")]
async fn a_reload_asks_the_source_unless_the_cache_may_answer_it() {
    let folder = application();
    let site = site_with(folder.path(), "[]", "{ CDN-Cache-Control: max-age=3600 }").await;
    for (policy, source) in [("{}", true), ("{ respect_client: false }", false)] {
        let edge = edge(&site, &format!("headers: {{}}, cache: {policy}, compress: {{ min_size: 1B }}")).await;
        let asked = outcomes(&site).await["not_modified"];
        let told = browse(vec![("open", format!("http://{}/", edge.addr())), ("reload", String::new())]).await;
        let [first, reloaded] = &told[..] else { panic!("{told:#?}") };
        first.shows("hello home, styled");
        let page = reloaded.shows("hello home, styled").response("/");
        assert_eq!(page.wire.as_ref().map(|wire| wire.status), Some(304), "{page:#?}");
        assert_eq!(page.is_hit(), !source, "{page:#?}");
        if source {
            assert!(page.cache_status().contains("fwd=request; fwd-status=304"), "{page:#?}");
            wait_until_async("the source", async || outcomes(&site).await["not_modified"] > asked).await;
        } else {
            assert_eq!(outcomes(&site).await["not_modified"], asked, "{page:#?}");
        }
    }
}
