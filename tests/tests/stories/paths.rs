//! A path is read one way, by the router and by the upstream alike.

use tidegate_testkit::{Http, Script, upstream};

use crate::tidegate;

/// Everything under `/public` goes up; `/admin` is nobody's business.
fn guarded(target: &str) -> String {
    format!(
        "upstreams: {{ app: {{ targets: [\"{target}\"] }} }}\nrouting:\n  routes:\n\
         \x20   - {{ name: public, match: {{ path: \"/public/**\" }}, upstream: app }}\n\
         \x20   - {{ name: admin, match: {{ path: \"/admin/**\" }}, reply: {{ status: 403 }} }}\n"
    )
}

/// Ways to say `/admin` that a lenient server understands.
const DISGUISES: [&str; 21] = [
    "/admin",
    "/admin/",
    "/admin/x",
    "/%61dmin",
    "/%61%64min/x",
    "//admin",
    "///admin",
    "/./admin",
    "/public/../admin",
    "/public/%2e%2e/admin",
    "/public/%2E./admin",
    "/public/.%2e/admin",
    "/public/..%2fadmin",
    "/public/..%2Fadmin",
    "/public%2f..%2fadmin",
    "/public/..%5cadmin",
    "/public/..\\admin",
    "/public/..;/admin",
    "/public/..;x=1/admin",
    "/public/x/../../admin",
    "/public//../admin",
];

#[tokio::test]
async fn no_spelling_of_a_guarded_path_reaches_the_upstream() {
    let app = upstream().route("*", Script::reply("leaked")).start().await;
    let gateway = tidegate().start(&guarded(&app.target())).await;
    for path in DISGUISES {
        app.forget();
        let answer = gateway.raw(format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")).await;
        for request in app.requests() {
            assert!(understood(request.path()).starts_with("/public/"), "{path} went up as {}", request.target);
        }
        let harmless = answer.status() == Some(200) && !app.requests().is_empty();
        let refused = answer.status().is_some_and(|status| (300..500).contains(&status));
        assert!(harmless || refused, "{path}: {}", answer.text());
    }
}

#[tokio::test]
async fn absolute_and_authority_targets_are_routed_by_what_they_say() {
    let app = upstream().route("*", Script::reply("leaked")).start().await;
    let gateway = tidegate().start(&guarded(&app.target())).await;
    for target in ["http://a/admin", "http://a/public/../admin", "http://a//admin", "http://a/%61dmin"] {
        let answer = gateway.raw(format!("GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")).await;
        assert!(answer.status().is_some_and(|status| (300..500).contains(&status)), "{target}: {}", answer.text());
    }
    assert!(app.requests().is_empty(), "{:#?}", app.requests());
}

#[tokio::test]
async fn by_http2_paths_are_read_the_same_way() {
    let app = upstream().route("*", Script::reply("leaked")).start().await;
    let gateway = tidegate().start(&guarded(&app.target())).await;
    // The client's own URI type takes no backslash.
    for path in DISGUISES.iter().filter(|path| !path.contains('\\')) {
        app.forget();
        let answer = gateway.request(http::Method::GET, path).by(Http::Two).send().await;
        for request in app.requests() {
            assert!(understood(request.path()).starts_with("/public/"), "{path} went up as {}", request.target);
        }
        assert!(answer.status == 200 || (300..500).contains(&answer.status), "{path}: {answer:?}");
        assert_eq!(answer.status == 200, !app.requests().is_empty(), "{path}");
    }
}

/// What a lenient server would make of a path: decoded, slashes of all kinds the same, parameters dropped, dots
/// resolved.
fn understood(path: &str) -> String {
    let decoded = decode(path).replace('\\', "/");
    let mut segments: Vec<&str> = Vec::new();
    for segment in decoded.split('/').map(|segment| segment.split(';').next().unwrap_or_default()) {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            other => segments.push(other),
        }
    }
    format!("/{}/", segments.join("/"))
}

fn decode(path: &str) -> String {
    let mut decoded = String::new();
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('%') {
        decoded.push_str(before);
        let byte = after.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        decoded.push(byte.map_or('%', char::from));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    decoded.push_str(rest);
    decoded
}

#[test]
fn the_lenient_server_of_these_tests_is_lenient() {
    for path in DISGUISES {
        assert!(understood(path).starts_with("/admin/"), "{path}: {}", understood(path));
    }
    assert_eq!(understood("/public/a%2fb"), "/public/a/b/");
}
