//! Which route a host and path lead to.

use serde_json::json;

use super::*;

/// Row A5, with more paths.
#[test]
fn paths_lead_to_their_route_and_to_no_other() {
    let built = routes(&[
        ("node", json!({ "path": "/api/**" })),
        ("admin", json!({ "path": "/admin/**" })),
        ("images", json!({ "path": "/images/**" })),
        ("root", json!({ "path": "/" })),
    ]);
    for (path, route, upstream) in [
        ("/", "root", "/"),
        ("/api", "node", "/api"),
        ("/api/", "node", "/api/"),
        ("/api/users", "node", "/api/users"),
        ("/api/users/7", "node", "/api/users/7"),
        ("/api//x", "node", "/api/x"),
        ("//api/x", "node", "/api/x"),
        ("/api///", "node", "/api/"),
        ("/api/./x", "node", "/api/x"),
        ("/api/%78", "node", "/api/x"),
        ("/%61pi/x", "node", "/api/x"),
        ("/api/a%20b", "node", "/api/a%20b"),
        ("/api/%c3%bc", "node", "/api/%C3%BC"),
        ("/api;v=1", "none", ""),
        ("/api/x;v=1", "node", "/api/x;v=1"),
        ("/apiary", "none", ""),
        ("/api.", "none", ""),
        ("/api-x/y", "none", ""),
        ("/API", "none", ""),
        ("/Api/x", "none", ""),
        ("/%2Fapi", "400 bad_path", ""),
        ("/api%2Fx", "400 bad_path", ""),
        ("/api/../admin", "admin", "/admin"),
        ("/api/..", "root", "/"),
        ("/api/%2e%2e/admin/x", "admin", "/admin/x"),
        ("/api/..;/admin", "400 bad_path", ""),
        ("/api/..%2fadmin", "400 bad_path", ""),
        ("/api\\..\\admin", "400 bad_path", ""),
        ("/..", "400 bad_path", ""),
        ("/images/cat.png", "images", "/images/cat.png"),
        ("/images%00", "400 bad_path", ""),
        ("/x/../images/", "images", "/images/"),
        ("/x", "none", ""),
    ] {
        let ask = get(&format!("a.test{path}"));
        assert_eq!(built.decide(&ask), route, "{path}");
        assert_eq!(built.path(&ask).unwrap_or_default(), upstream, "{path}");
    }
}

/// Row A6.
#[test]
fn the_gateway_map_leads_to_six_services() {
    let names = ["auth", "users", "docs", "files", "search", "admin"];
    let matches: Vec<_> = names.iter().map(|name| (*name, json!({ "path": format!("/v1/{name}/**") }))).collect();
    let built = routes(&matches);
    for name in names {
        assert_eq!(built.decide(&get(&format!("api.test/v1/{name}/123?x=1"))), name);
        assert_eq!(
            built.path(&get(&format!("api.test/v1/{name}/123?x=1"))).as_deref(),
            Some(&*format!("/v1/{name}/123"))
        );
    }
    for path in ["/v1/x", "/v1", "/v2/users", "/v1/usersx", "/"] {
        assert_eq!(built.decide(&get(&format!("api.test{path}"))), "none");
    }
}

/// Row A11.
#[test]
fn hosts_in_every_spelling_lead_to_their_route() {
    let built = routes(&[
        ("site", json!({ "host": ["myapp.com", "www.myapp.com"] })),
        ("api", json!({ "host": "api.myapp.com" })),
        ("tenants", json!({ "host": "*.myapp.com" })),
        ("books", json!({ "host": "bücher.example" })),
        ("internal", json!({ "host": "db.myapp.internal", "listener": "private" })),
    ]);
    for (host, route) in [
        ("myapp.com", "site"),
        ("MyApp.com", "site"),
        ("myapp.com.", "site"),
        ("myapp.com:8443", "site"),
        ("MYAPP.COM.:80", "site"),
        ("www.myapp.com", "site"),
        ("api.myapp.com", "api"),
        ("anne.myapp.com", "tenants"),
        ("a.b.myapp.com", "tenants"),
        ("x.api.myapp.com", "tenants"),
        ("xmyapp.com", "none"),
        ("myapp.com.evil.test", "none"),
        ("xn--bcher-kva.example", "books"),
        ("XN--BCHER-KVA.example:80", "books"),
        ("b\u{fc}cher.example", "400 bad_host"),
        ("my app.com", "400 bad_host"),
        ("evil.test@myapp.com", "400 bad_host"),
        ("myapp.com:x", "400 bad_host"),
        ("", "none"),
        ("db.myapp.internal", "421 misdirected"),
    ] {
        assert_eq!(built.decide(&get(&format!("{host}/"))), route, "{host}");
    }
    let private = Ask { listener: "private", ..get("db.myapp.internal/") };
    assert_eq!(built.decide(&private), "internal");
}

#[test]
fn a_host_that_is_no_text_is_refused() {
    let built = routes(&[("all", json!({}))]);
    let mut ask = get("/");
    ask.headers.insert("host", http::HeaderValue::from_bytes(b"b\xfccher.test").expect("opaque"));
    assert_eq!(built.decide(&ask), "400 bad_host");
}

#[test]
fn a_private_host_is_not_served_by_the_public_catch_all() {
    let built = routes(&[("db", json!({ "host": "db.internal", "listener": "private" })), ("all", json!({}))]);
    assert_eq!(built.decide(&get("db.internal/")), "421 misdirected");
    assert_eq!(built.decide(&get("other.internal/")), "all");
}

#[test]
fn parameters_are_places_in_the_normalised_path() {
    let built = routes(&[
        ("user", json!({ "path": "/users/{id}" })),
        ("post", json!({ "path": "/users/{id}/posts/{post}" })),
        ("file", json!({ "path": "/{user}/files/{rest**}" })),
        ("any", json!({ "path": "/*/x/{a}/*/{b}/**" })),
    ]);
    for (path, decided) in [
        ("/users/7", "user id=7"),
        ("/users//%37", "user id=7"),
        ("/users/a%2Cb", "user id=a%2Cb"),
        ("/users/7/posts/8", "post id=7 post=8"),
        ("/anne/files", "file user=anne rest="),
        ("/anne/files/", "file user=anne rest="),
        ("/anne/files/a/b.txt", "file user=anne rest=a/b.txt"),
        ("/users/files/x", "file user=users rest=x"),
        ("/1/x/2/3/4", "any a=2 b=4"),
        ("/1/x/2/3/4/5/6", "any a=2 b=4"),
        ("/users/", "none"),
        ("/users/7/", "none"),
    ] {
        assert_eq!(built.decide(&get(&format!("a.test{path}"))), decided, "{path}");
    }
}

#[test]
fn the_most_specific_route_wins_whatever_the_order_in_the_file() {
    let mut matches = vec![
        ("1", json!({ "host": "a.test", "path": "/x/y" })),
        ("2", json!({ "host": "a.test", "path": "/x/{p}" })),
        ("3", json!({ "host": "a.test", "path": "/x/**" })),
        ("4", json!({ "host": "a.test", "path": "/{p}/y" })),
        ("5", json!({ "host": "a.test" })),
        ("6", json!({ "host": "*.test", "path": "/x/y" })),
        ("7", json!({ "path": "/x/y" })),
    ];
    let request = |built: &Built| built.decide(&get("a.test/x/y")).chars().next().expect("a name").to_string();
    while let Some((most_specific, _)) = matches.first().cloned() {
        let mut reversed = matches.clone();
        reversed.reverse();
        assert_eq!(
            (request(&routes(&matches)), request(&routes(&reversed))),
            (most_specific.into(), most_specific.into())
        );
        matches.remove(0);
    }
}

#[test]
fn a_more_specific_route_that_does_not_want_the_request_leaves_it_to_the_next() {
    let built = routes(&[
        ("exact", json!({ "host": "a.test", "path": "/x/y", "methods": "POST" })),
        ("param", json!({ "host": "a.test", "path": "/x/{p}", "headers": [{ "name": "X-Beta" }] })),
        ("rest", json!({ "host": "*.test", "path": "/x/**", "query": [{ "name": "v", "value": "2" }] })),
        ("all", json!({})),
    ]);
    assert_eq!(built.decide(&ask("POST", "a.test/x/y")), "exact");
    assert_eq!(built.decide(&get("a.test/x/y").header("x-beta", "1")), "param p=y");
    assert_eq!(built.decide(&get("a.test/x/y?v=2")), "rest");
    assert_eq!(built.decide(&get("a.test/x/y")), "all");
}

#[test]
fn path_parameters_never_lead_past_a_route() {
    let built = routes(&[("admin", json!({ "path": "/admin/**" })), ("all", json!({}))]);
    for (path, decided) in [
        ("/admin;x/users", "400 bad_path"),
        ("/x/..;/admin", "400 bad_path"),
        ("/;/admin", "400 bad_path"),
        ("/admin/users;v=1", "admin"),
        ("/heroes;id=15", "all"),
        ("/heroes;id=15/x;y", "all"),
    ] {
        assert_eq!(built.decide(&get(&format!("a.test{path}"))), decided, "{path}");
    }
}

#[test]
fn an_expression_narrows_a_path() {
    let built = routes(&[
        ("png", json!({ "path": "/files/**", "path_regex": "/files/.*\\.png" })),
        ("files", json!({ "path": "/files/**" })),
        ("year", json!({ "path_regex": "/[0-9]{4}(/.*)?" })),
    ]);
    for (path, decided) in [
        ("/files/a.png", "png"),
        ("/files/a.png.txt", "files"),
        ("/2024", "year"),
        ("/2024/01", "year"),
        ("/x/2024", "none"),
        ("/20245", "none"),
    ] {
        assert_eq!(built.decide(&get(&format!("a.test{path}"))), decided, "{path}");
    }
}
