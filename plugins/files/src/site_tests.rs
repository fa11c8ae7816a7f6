use std::net::IpAddr;

use tidegate_core::config::Value;
use tidegate_core::{ConfigPath, Metrics, Params, RawConfig, RouteId, Scheme};

use super::*;

fn route() -> Route {
    let route = Route::new(RouteId(0), "site", Vec::new(), ConfigPath::root(), "/static/**");
    route.mounted(vec!["/static".into(), "/static/deep".into()])
}

fn site(root: &Path, more: &[(&'static str, Value)]) -> Site {
    let root = [("root", Value::from(root.to_str().expect("text")))];
    let config = Value::map(root.into_iter().chain(more.iter().cloned()));
    let config: Folder = RawConfig::new(config, "").read().expect("a configuration");
    let metrics = FilesMetrics::new(&Metrics::new()).expect("metrics");
    Site::new(&config, &route(), &Shared { disk: Disk::new(1), metrics, clock: Clock::system() }).expect("a site")
}

fn explain(site: &Site, path: &str, accept: &'static str) -> Vec<String> {
    let headers = HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(accept))]);
    let (method, client) = (&Method::GET, IpAddr::from([127, 0, 0, 1]));
    let (authority, query, scheme, listener) = ("a.test", None, Scheme::Http, "main");
    let head = RequestHead { method, authority, path, query, headers: &headers, client, scheme, listener };
    let (route, params) = (route(), Params::default());
    site.explain(&Asked { head, route: &route, params: &params, identity: None, at: std::time::SystemTime::now() })
}

#[test]
fn it_says_which_file_answers_and_why_none_does() {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, content) in [("index.html", "home"), ("app.js", "let a"), (".env", "x")] {
        std::fs::write(folder.path().join(name), content).expect("written");
    }
    let site = site(folder.path(), &[("spa_fallback", Value::from("index.html"))]);
    let last = |path: &str, accept| explain(&site, path, accept).pop().expect("a line");
    assert_eq!(
        explain(&site, "/static/app.js", "*/*"),
        [
            "looks for \"app.js\" below the root",
            "200: app.js: \"text/javascript; charset=utf-8\", Cache-Control: \"no-cache\""
        ]
    );
    assert!(last("/static/users/7", "text/html").starts_with("200: index.html in its place"));
    assert_eq!(last("/static/users/7", "*/*"), "404: it is not there");
    assert_eq!(last("/static", "*/*"), "307: a folder, to the same path with a slash");
    assert_eq!(last("/static/%2e%2e", "*/*"), "400: the path climbs");
    assert!(explain(&site, "/static/.env", "*/*").contains(&"which is hidden".to_owned()));
}

#[test]
fn the_longest_mount_is_taken_away() {
    let folder = tempfile::tempdir().expect("a folder");
    let site = site(folder.path(), &[]);
    for (path, below) in [
        ("/static/a", "/a"),
        ("/static/deep/a", "/a"),
        ("/static/deeper", "/deeper"),
        ("/static", ""),
        ("/statical", "/statical"),
        ("/other/a", "/other/a"),
    ] {
        assert_eq!(site.below(path), below, "{path}");
    }
}
