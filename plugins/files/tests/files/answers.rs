//! What is said of a file.

use tidegate_core::Method;

use crate::{Tree, builder, route};

fn site() -> Tree {
    Tree::new(&[
        ("index.html", "<p>home"),
        ("app.3f2a.js", "let a"),
        ("styles.css", "p {}"),
        ("images/logo.png", "png"),
        ("manifest.json", "{}"),
        ("docs/index.html", "<p>docs"),
        ("empty", ""),
        ("bare/file.txt", "text"),
        ("gr\u{fc}n b.txt", "green"),
        ("404.html", "<p>lost"),
    ])
}

#[tokio::test]
async fn a_site_is_served_with_its_types_and_what_caches_need() {
    let tree = site();
    let gateway = tree.serve("").await;
    for (path, body, media) in [
        ("/", "<p>home", "text/html; charset=utf-8"),
        ("/index.html", "<p>home", "text/html; charset=utf-8"),
        ("/app.3f2a.js", "let a", "text/javascript; charset=utf-8"),
        ("/styles.css?v=1", "p {}", "text/css; charset=utf-8"),
        ("/images/logo.png", "png", "image/png"),
        ("/manifest.json", "{}", "application/json"),
        ("/docs/", "<p>docs", "text/html; charset=utf-8"),
        ("/empty", "", "application/octet-stream"),
        ("/gr%C3%BCn%20b.txt", "green", "text/plain; charset=utf-8"),
    ] {
        let answer = gateway.get(path).await.expect(200);
        assert_eq!(answer.text(), body, "{path}");
        let length = body.len().to_string();
        for (name, value) in [
            ("content-type", media),
            ("content-length", &length),
            ("cache-control", "no-cache"),
            ("accept-ranges", "bytes"),
            ("x-content-type-options", "nosniff"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{path}: {name}");
        }
        assert!(answer.header("etag").is_some_and(|tag| tag.starts_with('"')), "{answer:#?}");
        assert!(answer.header("last-modified").is_some_and(|date| date.ends_with(" GMT")), "{answer:#?}");
        assert!(!answer.headers.has("vary") && !answer.headers.has("content-encoding"), "{answer:#?}");
    }
    let missing = gateway.get("/nothing").await.expect(404);
    assert_eq!(missing.json()["code"], "not_found");
    gateway.get("/bare/").await.expect(404);
    gateway.get("/bare").await.expect(404);
    gateway.get("/index.html/").await.expect(404);
}

#[tokio::test]
async fn both_versions_of_http_say_the_same_and_head_says_it_without_the_body() {
    let tree = site();
    tree.write("large.bin", vec![7; 200_000]);
    let gateway = tree.serve("").await;
    for path in ["/app.3f2a.js", "/empty", "/large.bin", "/"] {
        let get = gateway.get(path).await.expect(200);
        let named = |answer: &tidegate_testkit::Answer| {
            let fields = answer
                .headers
                .iter()
                .filter(|(name, _)| !["date", "x-request-id", "connection"].contains(&&*name.to_lowercase()));
            let mut fields: Vec<_> = fields.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
            fields.sort();
            fields
        };
        let head = gateway.request(Method::HEAD, path).send().await.expect(200);
        assert_eq!(named(&head), named(&get), "{path}");
        let h2 = gateway.request(Method::GET, path).h2().send().await.expect(200);
        assert_eq!((named(&h2), &h2.body), (named(&get), &get.body), "{path}");
        let h2 = gateway.request(Method::HEAD, path).h2().send().await.expect(200);
        assert_eq!((named(&h2), h2.body.len()), (named(&get), 0), "{path}");
    }
    // The connection is good for the next request after each of them.
    let mut client = gateway.connect().await;
    for _ in 0..3 {
        client.send(tidegate_testkit::call(Method::HEAD, "/large.bin")).await.expect(200);
        assert_eq!(client.get("/large.bin").await.expect(200).body.len(), 200_000);
    }
}

#[tokio::test]
async fn a_folder_without_its_slash_is_sent_to_the_path_with_it_on_this_site() {
    let tree = site();
    tree.write("gr\u{fc}n/index.html", "");
    let gateway = tree.serve("").await;
    for (path, location) in [
        ("/docs", "/docs/"),
        ("/docs?a=b&c=%2F", "/docs/?a=b&c=%2F"),
        ("/docs?//evil.example", "/docs/?//evil.example"),
        ("/gr%C3%BCn", "/gr%C3%BCn/"),
    ] {
        let answer = gateway.get(path).await.expect(307);
        assert_eq!(answer.header("location"), Some(location), "{path}");
    }
    for path in ["//docs", "///docs", "/\\docs", "/%2Fdocs", "//evil.example/..", "//evil.example", "/%5Cevil.example"]
    {
        let answer = gateway.get(path).await;
        assert!(matches!(answer.status, 400 | 404) && !answer.headers.has("location"), "{path}: {answer:#?}");
    }
}

#[tokio::test]
async fn the_route_says_below_which_path_the_folder_appears() {
    let tree = site();
    let gateway = builder().start(&route("/static/**", &tree.root(), "")).await;
    assert_eq!(gateway.get("/static/docs/").await.expect(200).text(), "<p>docs");
    assert_eq!(gateway.get("/static/").await.expect(200).text(), "<p>home");
    assert_eq!(gateway.get("/static").await.expect(307).header("location"), Some("/static/"));
    assert_eq!(gateway.get("/static/docs").await.expect(307).header("location"), Some("/static/docs/"));
    gateway.get("/staticdocs/").await.expect(404);

    let gateway = builder().start(&route("/bare/**", &tree.root(), ", at: /")).await;
    assert_eq!(gateway.get("/bare/file.txt").await.expect(200).text(), "text");
    // One path of the site, which is one below the root.
    let gateway = builder().start(&route("/manifest.json", &tree.root(), "")).await;
    assert_eq!(gateway.get("/manifest.json").await.expect(200).text(), "{}");
}

#[tokio::test]
async fn other_methods_are_told_which_there_are() {
    let tree = site();
    let gateway = tree.serve("").await;
    let allowed = Some("GET, HEAD, OPTIONS");
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
        let answer = gateway.request(method, "/index.html").body("x").send().await.expect(405);
        assert_eq!(answer.header("allow"), allowed);
    }
    let answer = gateway.request(Method::OPTIONS, "/index.html").send().await.expect(204);
    assert_eq!(answer.header("allow"), allowed);
    assert_eq!(std::fs::read_to_string(tree.path("index.html")).expect("there"), "<p>home");
}

#[tokio::test]
async fn cache_control_goes_by_path() {
    let tree = site();
    let rules = ", cache_control: [{ path: \"*.????.js\", value: \"public, max-age=31536000, immutable\" }, \
                 { path: \"/images/**\", value: \"max-age=3600\" }]";
    let gateway = tree.serve(rules).await;
    for (path, value) in [
        ("/app.3f2a.js", "public, max-age=31536000, immutable"),
        ("/images/logo.png", "max-age=3600"),
        ("/", "no-cache"),
        ("/docs/", "no-cache"),
    ] {
        let answer = gateway.get(path).await.expect(200);
        assert_eq!(answer.header("cache-control"), Some(value), "{path}");
        let tag = answer.header("etag").expect("a tag").to_owned();
        let again = gateway.request(Method::GET, path).header("If-None-Match", tag).send().await.expect(304);
        assert_eq!(again.header("cache-control"), Some(value), "{path}");
    }
}

#[tokio::test]
async fn a_404_has_a_page_of_its_own_that_nobody_keeps() {
    let tree = site();
    let gateway = tree.serve(", not_found: /404.html, cache_control: [{ path: \"*\", value: \"max-age=60\" }]").await;
    for path in ["/nothing", "/nothing.js", "/.env", "/bare/"] {
        let fields = [("If-None-Match", "*"), ("Range", "bytes=0-1"), ("If-Match", "\"x\"")];
        let asked =
            fields.iter().fold(gateway.request(Method::GET, path), |asked, (name, value)| asked.header(*name, *value));
        let answer = asked.send().await.expect(404);
        assert_eq!(answer.text(), "<p>lost");
        assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
        assert_eq!(answer.header("cache-control"), Some("no-cache"));
        assert!(!answer.headers.has("etag") && !answer.headers.has("content-range"), "{answer:#?}");
        let head = gateway.request(Method::HEAD, path).send().await.expect(404);
        assert_eq!((head.header("content-length"), head.body.len()), (Some("7"), 0));
    }
    std::fs::remove_file(tree.path("404.html")).expect("removed");
    assert_eq!(gateway.get("/nothing").await.expect(404).json()["code"], "not_found");
}

#[tokio::test]
async fn what_is_served_is_counted_by_outcome() {
    let tree = site();
    let gateway = tree.serve("").await;
    gateway.get("/styles.css").await.expect(200);
    gateway.get("/nothing").await.expect(404);
    gateway.get("/docs").await.expect(307);
    gateway.post("/").send().await.expect(405);
    gateway.get("/%00").await.expect(400);
    gateway.request(Method::GET, "/styles.css").header("Range", "bytes=1-2").send().await.expect(206);
    gateway.request(Method::GET, "/styles.css").header("Range", "bytes=9-").send().await.expect(416);
    gateway.request(Method::GET, "/styles.css").header("If-None-Match", "*").send().await.expect(304);
    gateway.request(Method::GET, "/styles.css").header("If-Match", "\"x\"").send().await.expect(412);
    let metrics = gateway.metrics().await;
    for (outcome, count) in [
        ("whole", 1.0),
        ("not_found", 1.0),
        ("redirected", 1.0),
        ("refused", 2.0),
        ("partial", 1.0),
        ("unsatisfiable", 1.0),
        ("not_modified", 1.0),
        ("precondition_failed", 1.0),
        ("failed", 0.0),
    ] {
        let labels = [("route", "site"), ("outcome", outcome)];
        assert_eq!(metrics.sum("tidegate_files_requests_total", &labels), count, "{outcome}");
    }
    assert_eq!(metrics.sum("tidegate_files_bytes_total", &[("route", "site")]), 6.0);
}

#[tokio::test]
async fn a_file_that_is_replaced_is_served_anew_with_another_tag() {
    let tree = site();
    let gateway = tree.serve("").await;
    let before = gateway.get("/app.3f2a.js").await.expect(200);
    // As long, and as old: only the inode tells.
    let times = std::fs::metadata(tree.path("app.3f2a.js")).expect("there").modified().expect("a time");
    tree.write("new", "let b");
    std::fs::File::options().write(true).open(tree.path("new")).expect("open").set_modified(times).expect("set");
    std::fs::rename(tree.path("new"), tree.path("app.3f2a.js")).expect("renamed");
    let after = gateway.get("/app.3f2a.js").await.expect(200);
    assert_eq!(after.text(), "let b");
    assert_eq!(before.header("last-modified"), after.header("last-modified"));
    assert_ne!(before.header("etag"), after.header("etag"));
}
