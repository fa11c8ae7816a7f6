//! Every example in `conf/` starts, and does with requests what its comments say.

mod cache;
mod manual;
mod site;
mod support;

use std::collections::BTreeMap;

use http::Method;
use tidegate_testkit::{Client, H2Client, call, manual_clock};

use crate::support::{CameFrom, GRPC, HOST, names, start, start_on};

#[tokio::test(flavor = "multi_thread")]
async fn every_example_starts_and_listens_where_it_says() {
    let names = names();
    assert!(names.len() >= 8, "{names:?}");
    for name in names {
        let example = start(&name).await;
        let listeners = example.text.matches("bind: ").count();
        let bound = example.gateway.addresses().len() + usize::from(example.gateway.admin_address().is_some());
        assert_eq!(bound, listeners, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn upstreams_are_chosen_checked_and_found_as_the_file_says() {
    let example = start("upstreams").await;
    for _ in 0..8 {
        example.get("main", "/users/1").await.came_from(&[3001, 3002, 3003], "/users");
    }
    assert!(example.upstream(3004).requests().iter().all(|asked| asked.path() == "/"), "checks only: it is a standby");
    let mine = || call(Method::GET, "/carts/1").host(HOST).header("X-User", "ada");
    let first = example.send("main", mine()).await.expect(200).text();
    for _ in 0..4 {
        assert_eq!(example.send("main", mine()).await.text(), first, "a user stays");
    }
    let shop = example.get("main", "/shop/1").await.expect(200);
    let cookie = shop.header("set-cookie").expect("a cookie").to_owned();
    assert!(cookie.starts_with("shop=") && cookie.contains("HttpOnly"), "{cookie}");
    let pair = cookie.split(';').next().expect("name and value");
    for _ in 0..4 {
        let again = call(Method::GET, "/shop/2").host(HOST).header("Cookie", pair);
        assert_eq!(example.send("main", again).await.text(), shop.text(), "a browser stays");
    }
    example.get("main", "/legacy/1").await.came_from(&[3001], "/legacy");
    example.get("main", "/search/1").await.came_from(&[3001, 3002], "/search");
    example.get("main", "/files/1").await.came_from(&[3006, 3007], "/files");
}

#[tokio::test(flavor = "multi_thread")]
async fn quickstart_answers_the_three_lines_that_make_run_prints() {
    let example = start("quickstart").await;

    let home = example.get("main", "/").await.expect(200);
    assert!(home.text().contains("Tidegate is up"), "{home:#?}");
    assert!(home.headers.has("x-request-id") && home.headers.has("x-content-type-options"), "{home:#?}");

    let demo = example.get("main", "/demo/hello").await.expect(200);
    assert!(demo.text().contains("Hello from the demo upstream"), "{demo:#?}");
    assert_eq!(demo.header("saw-path"), Some("/hello"));
    assert_eq!(demo.header("saw-asked-by"), Some("127.0.0.1"));
    assert_eq!(demo.header("saw-request-id"), demo.header("x-request-id"));
    assert!(!demo.headers.has("server") && !demo.headers.has("x-powered-by"), "{demo:#?}");

    let nowhere = example.get("main", "/demo/../nowhere").await.expect(404);
    assert_eq!(nowhere.header("content-type"), Some("application/problem+json"));
    assert_eq!(nowhere.json()["request_id"].as_str(), nowhere.header("x-request-id"));
}

#[tokio::test(flavor = "multi_thread")]
async fn path_routing_sends_each_path_to_its_service() {
    let example = start("path-routing").await;
    for (path, ports) in [
        ("/", &[3000][..]),
        ("/v1/auth/login", &[3001]),
        ("/v1/users", &[3002, 3012]),
        ("/v1/users/7", &[3002, 3012]),
        ("/v1/docs/a/b", &[3003]),
        ("/v1/files/a", &[3004]),
        ("/admin/", &[3005]),
        ("/%61dmin", &[3005]),
        ("/v1/../admin", &[3005]),
        ("/images/a.png", &[3000]),
        ("/adminer", &[3000]),
    ] {
        example.get("main", path).await.came_from(ports, path);
    }
    example.get("main", "/v1/users-export").await.expect(404);
    // Docs are read only, so this is no route of theirs, and what is left of the API is a 404.
    example.send("main", call(Method::POST, "/v1/docs/a").host(HOST)).await.expect(404);
    assert_eq!(example.upstream(3005).requests().last().expect("a request").path(), "/", "/admin is stripped");
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_have_their_own_services_and_some_are_internal() {
    let example = start("hosts-and-tls").await;
    for (host, ports) in
        [("example.com", &[3000][..]), ("api.example.com", &[3001, 3002]), ("a.b.apps.example.com", &[3000])]
    {
        let answer = example.tls("https", host, "/x").await;
        assert!(answer.headers.has("strict-transport-security"), "{answer:#?}");
        answer.came_from(ports, host);
    }
    let internal = "reports.example.internal";
    example.tls("https", internal, "/").await.expect(421);
    example.send("internal", call(Method::GET, "/").host(internal)).await.came_from(&[3003], internal);

    let plain = example.send("http", call(Method::POST, "/x?y=1").host("example.com")).await.expect(308);
    assert_eq!(plain.header("location"), Some("https://example.com/x?y=1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_and_its_api_share_one_origin_and_one_connection() {
    let example = start("single-origin").await;
    let address = example.gateway.address("https").expect("it listens");
    let mut client = Client::tls(address, "example.com", &example.certs).await;
    client.get("/").await.came_from(&[3000], "/");
    client.get("/api/users").await.came_from(&[4000], "/api/users");
    client.get("/apiary").await.came_from(&[3000], "/apiary");
    assert_eq!(example.upstream(4000).request().path(), "/users");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_gets_its_testers_and_its_share() {
    let example = start("canary").await;
    for _ in 0..5 {
        let asked = call(Method::GET, "/").host(HOST).header("X-Canary", "yes");
        example.send("main", asked).await.came_from(&[3003], "testers");
    }
    let mut sides = BTreeMap::<bool, u32>::new();
    for user in 0..200 {
        let cookie = format!("sid=user-{user}");
        let asked = || call(Method::GET, "/").host(HOST).header("Cookie", &cookie);
        let first = example.send("main", asked()).await.text() == "upstream 3003";
        let second = example.send("main", asked()).await.text() == "upstream 3003";
        assert_eq!(first, second, "{cookie} stays where it is");
        *sides.entry(first).or_default() += 1;
    }
    let canaries = sides.get(&true).copied().unwrap_or(0);
    assert!((2..=24).contains(&canaries), "5% of 200 is 10, not {canaries}");
}

#[tokio::test(flavor = "multi_thread")]
async fn cors_is_for_the_named_origins_and_preflights_stay_here() {
    let example = start("cors-api").await;
    let preflight = |origin: &str| {
        let asked = call(Method::OPTIONS, "/things").host(HOST).header("Origin", origin);
        asked.header("Access-Control-Request-Method", "PUT")
    };
    for origin in ["https://app.example.com", "https://pr-1.preview.example.com", "http://localhost:5173"] {
        let answer = example.send("main", preflight(origin)).await;
        assert_eq!(answer.header("access-control-allow-origin"), Some(origin), "{answer:#?}");
    }
    let answer = example.send("main", preflight("https://evil.example")).await;
    assert_eq!(answer.header("access-control-allow-origin"), None, "{answer:#?}");
    assert!(example.upstream(3000).requests().is_empty());

    let forged = call(Method::GET, "/things").host(HOST).header("X-User-ID", "admin");
    example.send("main", forged).await.came_from(&[3000], "/things");
    assert!(!example.upstream(3000).request().headers.has("x-user-id"));
}

#[tokio::test(flavor = "multi_thread")]
async fn grpc_and_websocket_paths_have_the_upstreams_that_speak_them() {
    let example = start("websocket-grpc").await;
    let address = example.gateway.address("grpc").expect("it listens");
    let asked =
        call(Method::POST, "/helloworld.Greeter/SayHello").host(HOST).header("content-type", "application/grpc");
    H2Client::connect(address).await.send(asked).await.came_from(&[GRPC], "gRPC");
    example.get("main", "/chat").await.came_from(&[3000], "/chat");
    example.get("main", "/events/prices").await.came_from(&[3001], "/events/prices");
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_proxy_only_the_proxies_word_counts() {
    let example = start("behind-a-proxy").await;
    let forged =
        call(Method::GET, "/").host(HOST).header("X-Forwarded-For", "192.0.2.1").header("X-Request-ID", "mine");
    let answer = example.send("main", forged).await;
    assert_ne!(answer.header("x-request-id"), Some("mine"));
    answer.came_from(&[3000], "/");
    assert_eq!(example.upstream(3000).request().header("x-forwarded-for"), Some("127.0.0.1"));
    example.get("main", "/alive").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_have_their_upstreams_and_the_old_one_says_it_will_go() {
    let example = start("versioned-api").await;
    let old = example.get("main", "/v1/users").await;
    assert_eq!(old.header("sunset"), Some("Wed, 30 Jun 2027 00:00:00 GMT"), "{old:#?}");
    assert!(old.headers.has("deprecation"), "{old:#?}");
    old.came_from(&[3001], "/v1/users");
    let reports = example.get("main", "/v1/reports/1").await;
    assert_eq!(reports.header("sunset"), Some("Thu, 31 Dec 2026 00:00:00 GMT"), "{reports:#?}");
    let new = example.get("main", "/v2/users").await;
    assert!(!new.headers.has("sunset"), "{new:#?}");
    new.came_from(&[3002], "/v2/users");
    let unknown = example.get("main", "/v3/users").await.expect(404);
    assert!(unknown.text().contains("v1") && unknown.text().contains("v2"), "it says which there are: {unknown:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_and_replies_need_no_upstream() {
    let example = start("redirects").await;
    let www = example.send("main", call(Method::GET, "/a?b=c").host("www.example.com")).await.expect(308);
    assert_eq!(www.header("location"), Some("http://example.com/a?b=c"));
    let moved = example.get("main", "/blog/tides").await.expect(301);
    assert_eq!(moved.header("location"), Some("https://blog.example.com/tides"));
    let status = example.get("main", "/status").await.expect(200);
    assert_eq!(status.json(), serde_json::json!({ "status": "ok" }));
    example.get("main", "/robots.txt").await.expect(200);
    example.get("main", "/v0/users").await.expect(410);
}

#[tokio::test(flavor = "multi_thread")]
async fn ratelimit_counts_logins_by_themselves_and_needs_no_store_to_do_it() {
    // Time stands still: what is left comes back with it.
    let example = start_on("ratelimit", &manual_clock()).await;
    for status in [200, 200, 200, 200, 200, 429] {
        example.get("http", "/v1/auth/login").await.expect(status);
    }
    let answer = example.get("http", "/v1/users").await.expect(200);
    assert_eq!(answer.header("ratelimit-policy"), Some("\"general\";q=100;w=900"));
    assert!(answer.header("ratelimit").is_some_and(|limit| limit.starts_with("\"general\";r=94;")), "{answer:#?}");
    example.get("http", "/v1/projects/7/tasks").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn people_log_in_and_programs_bring_keys_as_the_file_says() {
    let example = start("auth").await;
    let ask = async |method: Method, path: &str, field: &str, value: &str| {
        example.send("http", call(method, path).host(HOST).header(field, value)).await
    };
    let post = async |path: &str, body: serde_json::Value| {
        let call = call(Method::POST, path).host(HOST).header("Content-Type", "application/json");
        example.send("http", call.body(body.to_string())).await
    };
    let told = || example.upstream(3000).requests().pop().expect("a request");

    let account = serde_json::json!({ "name": "ada", "password": "a long enough sentence" });
    let ada = post("/auth/signup", account.clone()).await.expect(201).json()["id"].as_str().expect("an id").to_owned();
    let login = post("/auth/login", account).await.expect(200).json();
    let bearer = format!("Bearer {}", login["access_token"].as_str().expect("a token"));
    for (method, path, status) in [
        (Method::GET, "/v1/docs/1", 200),
        (Method::PUT, "/v1/docs/1", 403),
        (Method::GET, "/v1/admin/x", 403),
        (Method::GET, &format!("/v1/profiles/{ada}"), 200),
        (Method::GET, "/v1/profiles/bob", 403),
        (Method::POST, "/v1/reports/1", 401),
        (Method::GET, "/v1/search", 200),
    ] {
        ask(method.clone(), path, "Authorization", &bearer).await.expect(status);
    }
    assert_eq!((told().header("x-user-id"), told().header("x-user-roles")), (Some(ada.as_str()), Some("user")));
    ask(Method::GET, "/v1/search", "X-User-ID", "root").await.expect(200);
    assert_eq!(told().header("x-user-id"), None);
    ask(Method::GET, "/v1/search", "Authorization", "Bearer nonsense").await.expect(401);
    example.get("http", "/v1/docs/1").await.expect(401);

    ask(Method::POST, "/v1/reports/1", "X-API-Key", "ci.only-for-this-example-0123456789").await.expect(200);
    assert_eq!(told().header("x-user-id"), Some("ci"));
    let keys = example.get("http", "/.well-known/jwks.json").await.expect(200).json();
    assert!(!keys["keys"].as_array().expect("a list").is_empty(), "{keys}");
    ask(Method::POST, "/auth/logout", "Authorization", &bearer).await.expect(204);
    let gone = ask(Method::GET, "/v1/docs/1", "Authorization", &bearer).await.expect(401);
    assert_eq!(gone.json()["code"], "token_revoked");
}

#[tokio::test(flavor = "multi_thread")]
async fn included_files_are_one_configuration() {
    let example = start("several-files").await;
    example.get("main", "/users/1").await.came_from(&[3001], "/users/1");
    example.get("main", "/orders/1").await.came_from(&[3002], "/orders/1");
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_serves_a_request_through_every_plugin() {
    let example = start("everything").await;
    let answer = example.tls("https", "api.example.com", "/v2/users/7").await;
    assert!(answer.headers.has("x-content-type-options") && answer.headers.has("x-request-id"), "{answer:#?}");
    answer.came_from(&[4001], "/v2/users/7");
    assert_eq!(example.upstream(4001).request().path(), "/accounts/7");
    let again = example.tls("https", "api.example.com", "/v2/users/7?utm_source=x").await;
    assert!(again.header("cache-status").is_some_and(|did| did.contains("; hit")), "{again:#?}");
    example.tls("https", "api.example.com", "/v2/users/7?limit=many").await.expect(422);
    example.tls("https", "api.example.com", "/v2/customers/7").await.expect(401);
    example.write("tide.txt", &"tide ".repeat(1000));
    let asked = call(Method::GET, "/assets/tide.txt").host("example.com").header("Accept-Encoding", "zstd");
    let address = example.gateway.address("https").expect("it listens");
    let file = Client::tls(address, "example.com", &example.certs).await.send(asked).await.expect(200);
    assert_eq!(file.header("content-encoding"), Some("zstd"), "{file:#?}");
    let answer = example.tls("https", "api.example.com", "/v2/things").await;
    assert_eq!(answer.header("x-route"), Some("v2"), "{answer:#?}");
    answer.came_from(&[4000, 4001], "/v2/things");
    example.tls("https", "example.com", "/builds/7").await.expect(401);
    let ping = example.tls("https", "example.com", "/ping").await.expect(200);
    assert!(!ping.headers.has("x-content-type-options"), "this route turned the plugin off: {ping:#?}");
}
