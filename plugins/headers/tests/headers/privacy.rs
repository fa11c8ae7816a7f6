//! What clients may learn about the upstream.

use tidegate_core::Method;
use tidegate_testkit::{Http, Script, refusing, upstream};

use crate::{before, builder, route_to};

/// An upstream that tells everything it can.
fn telltale() -> Script {
    Script::status(302)
        .header("Location", "http://10.0.2.45:3000/x?y=1")
        .header("Content-Location", "http://10.0.2.45:3000/x")
        .header("Refresh", "3; url=http://10.0.2.45:3000/x")
        .header("Link", "<http://10.0.2.45:3000/x?page=2>; rel=\"next\"")
        .header("Server", "Express")
        .header("X-Powered-By", "Express")
        .header("Via", "1.1 express-7")
        .header("X-AspNet-Version", "Express 4")
        .header("X-Backend-Server", "10.0.2.45")
        .header("Set-Cookie", "a=b; Domain=10.0.2.45")
        .interim(103, &[("Server", "Express"), ("Link", "<http://10.0.2.45:3000/style.css>; rel=preload")])
}

#[tokio::test]
async fn nothing_on_the_wire_tells_of_the_upstream() {
    let app = upstream().route("/*", telltale()).start().await;
    let gateway = before(&app, "{}").await;
    let wire = gateway.raw("GET / HTTP/1.1\r\nHost: api.example.com\r\nConnection: close\r\n\r\n").await;
    let text = wire.text();
    assert!(text.contains(" 302 "), "{text}");
    assert!(!text.contains("10.0.") && !text.to_ascii_lowercase().contains("express"), "{text}");

    let answer = gateway.request(Method::GET, "/").host("api.example.com").h2().send().await.expect(302);
    assert_eq!(answer.header("location"), Some("http://api.example.com/x?y=1"));
    assert_eq!(answer.header("content-location"), Some("http://api.example.com/x"));
    assert_eq!(answer.header("refresh"), Some("3; url=http://api.example.com/x"));
    assert_eq!(answer.header("link"), Some("<http://api.example.com/x?page=2>; rel=\"next\""));
    assert_eq!(answer.header("set-cookie"), Some("a=b"));
    assert_eq!(answer.headers.count("date"), 1, "the upstream sent none");
}

#[tokio::test]
async fn an_error_of_the_gateways_own_does_not_tell_where_the_upstream_is() {
    let nobody = refusing();
    let gateway = builder().start(&route_to(&nobody.addr().to_string(), "{}")).await;
    let wire = gateway.raw("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert_eq!(wire.status(), Some(502));
    let port = nobody.addr().port().to_string();
    assert!(!wire.text().contains(&port) && !wire.text().to_ascii_lowercase().contains("pingora"), "{}", wire.text());
}

#[tokio::test]
async fn server_is_hidden_kept_or_named_and_date_is_there_once() {
    let dated = Script::reply("hi").header("Server", "Express").header("Date", "Sat, 21 Nov 2026 00:00:00 GMT");
    let app = upstream().route("/*", dated).start().await;
    for (server, expected) in [("hide", None), ("keep", Some("Express")), ("{ set: tidegate }", Some("tidegate"))] {
        let gateway = before(&app, &format!("privacy: {{ server: {server} }}")).await;
        for http in Http::BOTH {
            let answer = gateway.request(Method::GET, "/").by(http).send().await.expect(200);
            assert_eq!(answer.headers.all("server").collect::<Vec<_>>(), Vec::from_iter(expected));
            assert_eq!(answer.headers.count("date"), 1);
        }
    }
    let gateway = builder().start(&route_to(&refusing().addr().to_string(), "privacy: { server: { set: me } }")).await;
    assert_eq!(gateway.get("/").await.expect(502).headers.all("server").collect::<Vec<_>>(), ["me"]);
}

#[tokio::test]
async fn a_redirect_to_the_name_that_the_upstream_was_given_leads_to_the_client_s_host() {
    let app = upstream().start().await;
    let own = format!("http://{}/login", app.target());
    app.set("/*", Script::status(302).header("Location", &own));
    let yaml = route_to(&app.target(), "{}");
    let given = yaml.replace("targets:", "host_header: upstream, targets:");
    let gateway = builder().start(&given).await;
    let answer = gateway.request(Method::GET, "/").host("api.example.com").send().await.expect(302);
    assert_eq!(answer.header("location"), Some("http://api.example.com/login"));
    assert_eq!(app.request().authority, app.target());

    // Told the client's host, an upstream that speaks of another one means it: this is loopback, not a private address.
    let gateway = builder().start(&yaml).await;
    let answer = gateway.request(Method::GET, "/").host("api.example.com").send().await.expect(302);
    assert_eq!(answer.header("location"), Some(own.as_str()));
}

#[tokio::test]
async fn internal_hosts_are_led_away_and_other_redirects_stay() {
    let app = upstream().start().await;
    let gateway = before(&app, "privacy: { internal_hosts: [\"*.internal\", users-service] }").await;
    for (location, expected) in [
        ("https://users-service:8443/a", "http://api.example.com:8080/a"),
        ("http://a.b.internal/", "http://api.example.com:8080/"),
        ("https://login.example.org/?next=http://a.internal/", "https://login.example.org/?next=http://a.internal/"),
        ("/relative", "/relative"),
    ] {
        app.set("/*", Script::status(302).header("Location", location));
        let answer = gateway.request(Method::GET, "/").host("api.example.com:8080").send().await.expect(302);
        assert_eq!(answer.header("location"), Some(expected));
    }
}

#[tokio::test]
async fn what_is_to_be_kept_is_kept() {
    let app = upstream().route("/*", telltale()).start().await;
    let gateway = before(&app, "privacy: { server: keep, fingerprints: keep, locations: keep }").await;
    let answer = gateway.get("/").await.expect(302);
    assert_eq!(answer.header("location"), Some("http://10.0.2.45:3000/x?y=1"));
    assert_eq!((answer.header("server"), answer.header("via")), (Some("Express"), Some("1.1 express-7")));
}

#[tokio::test]
async fn every_cookie_leaves_with_the_forced_attributes() {
    let two = Script::reply("hi").header("Set-Cookie", "a=b").header("Set-Cookie", "XSRF-TOKEN=1; Domain=app.internal");
    let app = upstream().route("/*", two).start().await;
    let policy = "cookies:\n  force: [secure, httponly, samesite=lax]\n  except: [XSRF-TOKEN]\n  \
                  domain: { app.internal: example.com }";
    let gateway = before(&app, policy).await;
    for http in Http::BOTH {
        let answer = gateway.request(Method::GET, "/").by(http).send().await.expect(200);
        let cookies: Vec<_> = answer.headers.all("set-cookie").collect();
        assert_eq!(cookies, ["a=b; Secure; HttpOnly; SameSite=Lax", "XSRF-TOKEN=1; Domain=example.com"]);
    }
}

#[tokio::test]
async fn an_upgrade_goes_through_and_tells_nothing() {
    let switched =
        "HTTP/1.1 101 Switching Protocols\r\nServer: Express\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    let app = upstream().route("/*", Script::raw(switched)).start().await;
    let gateway = before(&app, "{ response: { set: { X-Route: \"{route}\" } } }").await;
    let request = gateway.request(Method::GET, "/").header("Connection", "Upgrade").header("Upgrade", "websocket");
    let request = request.header("Sec-WebSocket-Version", "13").header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
    let answer = request.send().await.expect(101);
    assert_eq!((answer.header("server"), answer.header("upgrade")), (None, Some("websocket")));
    assert_eq!(answer.header("x-route"), Some("app"));
}

#[tokio::test]
async fn interim_answers_pass_only_where_nothing_is_to_be_hidden() {
    let app = upstream().route("/*", telltale()).start().await;
    let gateway = before(&app, "{}").await;
    assert!(gateway.get("/").await.expect(302).interim.is_empty());
    let gateway = before(&app, "privacy: { server: keep, fingerprints: keep, locations: keep }").await;
    let statuses: Vec<_> = gateway.get("/").await.interim.iter().map(|interim| interim.status).collect();
    assert_eq!(statuses, [103]);

    app.set("/*", Script::reply("hi").interim(100, &[]));
    let gateway = before(&app, "{}").await;
    let answer = gateway.post("/").header("Expect", "100-continue").body("x").send().await.expect(200);
    assert_eq!(answer.interim.first().map(|interim| interim.status), Some(100));
}
