//! Copies of requests for another upstream: nobody waits for it, and nobody hears what it says.

use http::Method;
use tidegate_testkit::{Http, Script, Upstream, gate, refusing, upstream, wait_until_async};

use crate::tidegate;

fn mirrored(app: &Upstream, mirror: &str, more: &str) -> String {
    format!(
        "upstreams:\n  app: {{ targets: [\"{}\"], mirror: {{ upstream: shadow{more} }} }}\n  shadow: {{ targets: [\"{mirror}\"] }}\n\
         routing: {{ routes: [{{ name: all, upstream: app }}] }}\n",
        app.target()
    )
}

#[tokio::test]
async fn a_copy_says_what_the_request_says_and_its_answer_goes_nowhere() {
    let app = upstream().route("*", Script::reply("real")).start().await;
    let shadow = upstream().route("*", Script::reply("shadow").with_status(500)).start().await;
    let gateway = tidegate().start(&mirrored(&app, &shadow.target(), "")).await;
    for http in Http::BOTH {
        app.forget();
        shadow.forget();
        let get =
            gateway.request(Method::GET, "/a?b=c").by(http).host("asked.test").header("Authorization", "Bearer x");
        assert_eq!(get.send().await.expect(200).text(), "real");
        let post = gateway.post("/post").by(http).host("asked.test").chunks(["one ", "two"]);
        assert_eq!(post.send().await.expect(200).text(), "real");
        let copies = shadow.wait_for(2).await;
        let get = copies.iter().find(|copy| copy.method == "GET").expect("the copy of the GET");
        assert_eq!((get.target.as_str(), get.header("authorization")), ("/a?b=c", Some("Bearer x")), "{http:?}");
        assert_eq!((get.authority.as_str(), get.header("x-forwarded-host")), ("asked.test", Some("asked.test")));
        let post = copies.iter().find(|copy| copy.method == "POST").expect("the copy of the POST");
        assert_eq!((post.text().as_str(), post.complete), ("one two", true), "{http:?}");
        assert_eq!(get.header("x-request-id"), app.requests()[0].header("x-request-id"));
    }
}

/// A token of the gateway's own is for the upstream that it was fetched for.
#[tokio::test]
async fn a_copy_has_no_secret_that_a_plugin_has_added() {
    let app = upstream().route("*", Script::reply("real")).start().await;
    let shadow = upstream().route("*", Script::reply("shadow")).start().await;
    let token = r#"{ "access_token": "t-1", "token_type": "Bearer", "expires_in": 3600 }"#;
    let issuer =
        upstream().route("/token", Script::reply(token).header("Content-Type", "application/json")).start().await;
    let yaml = mirrored(&app, &shadow.target(), "")
        .replace("upstream: app }", "upstream: app, plugins: { upstream_oauth: { client: crm } } }");
    let client = format!("{{ token_url: \"http://{}/token\", client_id: a, client_secret: b }}", issuer.addr());
    let gateway = tidegate().start(&format!("{yaml}upstream_oauth: {{ clients: {{ crm: {client} }} }}\n")).await;
    gateway.request(Method::GET, "/").header("X-Own", "mine").send().await.expect(200);
    assert_eq!(app.request().header("authorization"), Some("Bearer t-1"));
    let copies = shadow.wait_for(1).await;
    assert_eq!((copies[0].header("authorization"), copies[0].header("x-own")), (None, Some("mine")));
}

#[tokio::test]
async fn a_mirror_that_is_slow_or_gone_costs_the_request_nothing() {
    let app = upstream().route("*", Script::reply("real")).start().await;
    let hold = gate();
    let slow = upstream().route("*", Script::reply("late").wait(&hold)).start().await;
    let gateway = tidegate().start(&mirrored(&app, &slow.target(), ", max_in_flight: 2")).await;
    for _ in 0..5 {
        // Each is answered while the mirror says nothing at all.
        assert_eq!(gateway.get("/").await.expect(200).text(), "real");
    }
    slow.wait_for_heads(2).await;
    let dropped = async || {
        gateway.metric("tidegate_upstream_mirrored_total", &[("upstream", "app"), ("result", "dropped")]).await
    };
    assert_eq!(dropped().await, 3.0);
    assert_eq!(slow.requests().len(), 2, "no more than max_in_flight");
    hold.open();
    wait_until_async("the copies' end", async || {
        gateway.metric("tidegate_upstream_mirrored_total", &[("upstream", "app"), ("result", "ok")]).await == 2.0
    })
    .await;
    gateway.get("/").await.expect(200);
    slow.wait_for(3).await;

    let refusing = refusing();
    let gateway = tidegate().start(&mirrored(&app, &refusing.addr().to_string(), "")).await;
    gateway.get("/").await.expect(200);
    wait_until_async("the copy's failure", async || {
        gateway.metric("tidegate_upstream_mirrored_total", &[("upstream", "app"), ("result", "failed")]).await == 1.0
    })
    .await;
}

#[tokio::test]
async fn only_the_share_is_copied_and_no_body_that_is_too_long() {
    let app = upstream().route("*", Script::reply("real")).start().await;
    let shadow = upstream().route("*", Script::reply("shadow")).start().await;
    let gateway = tidegate().start(&mirrored(&app, &shadow.target(), ", share: 50%")).await;
    for _ in 0..200 {
        gateway.get("/").await.expect(200);
    }
    // Six standard deviations to each side.
    assert!((58..=142).contains(&shadow.wait_for(58).await.len()), "{} of 200", shadow.requests().len());

    let shadow = upstream().route("*", Script::reply("shadow")).start().await;
    let gateway = tidegate().start(&mirrored(&app, &shadow.target(), "")).await;
    gateway.post("/long").generated(70_000).send().await.expect(200);
    gateway.post("/long").generated_chunked(70_000).send().await.expect(200);
    gateway.post("/short").generated(60_000).send().await.expect(200);
    let copies = shadow.wait_for(1).await;
    assert_eq!(copies.iter().map(|copy| copy.path()).collect::<Vec<_>>(), ["/short"]);
    assert!(copies[0].check.is_intact() && copies[0].body.len() == 60_000);
    let labels = [("upstream", "app"), ("result", "dropped")];
    assert_eq!(gateway.metric("tidegate_upstream_mirrored_total", &labels).await, 2.0);
}

#[tokio::test]
async fn one_request_is_copied_once_however_many_tries_it_needs() {
    let busy = Script::reply("busy").with_status(503);
    let app = upstream().route("*", busy.then(Script::echo())).start().await;
    let shadow = upstream().route("*", Script::reply("shadow")).start().await;
    let yaml = mirrored(&app, &shadow.target(), "").replace("mirror:", "retry: { on: [503] }, mirror:");
    let gateway = tidegate().start(&yaml).await;
    let put = gateway.request(Method::PUT, "/").body("body");
    assert_eq!(put.send().await.expect(200).text(), "body");
    gateway.get("/after").await.expect(200);
    let copies = shadow.wait_for(2).await;
    let bodies: Vec<_> = copies.iter().filter(|copy| copy.method == "PUT").map(|copy| copy.text()).collect();
    assert_eq!(bodies, ["body"]);
}

#[tokio::test]
async fn a_request_whose_first_server_can_t_be_reached_is_copied_as_well() {
    let app = upstream().reply("*", "real").start().await;
    let shadow = upstream().route("*", Script::reply("shadow")).start().await;
    let refusing = refusing();
    let both = format!("targets: [\"{}\", \"{}\"]", refusing.addr(), app.target());
    let yaml = mirrored(&app, &shadow.target(), "").replace(&format!("targets: [\"{}\"]", app.target()), &both);
    let gateway = tidegate().start(&yaml).await;
    for _ in 0..4 {
        gateway.get("/").await.expect(200);
    }
    shadow.wait_for(4).await;
}

#[tokio::test]
async fn a_copy_is_sent_by_the_mirror_s_own_version_of_http() {
    for (h2, shadow_h2) in [(true, true), (true, false), (false, true)] {
        let start = |script: &'static str, h2: bool| async move {
            let app = upstream().route("*", Script::reply(script));
            if h2 { app.h2().start().await } else { app.start().await }
        };
        let (app, shadow) = (start("real", h2).await, start("shadow", shadow_h2).await);
        let protocol = |h2| if h2 { "protocol: h2, " } else { "" };
        let yaml = mirrored(&app, &shadow.target(), "")
            .replace("app: { ", &format!("app: {{ {}", protocol(h2)))
            .replace("shadow: { ", &format!("shadow: {{ {}", protocol(shadow_h2)));
        let gateway = tidegate().start(&yaml).await;
        for http in Http::BOTH {
            shadow.forget();
            gateway.post("/a?b").by(http).host("asked.test").body("body").send().await.expect(200);
            let copy = shadow.wait_for(1).await.remove(0);
            let about = format!("h2: {h2} to {shadow_h2}, {http:?}");
            assert_eq!((copy.target.as_str(), copy.text().as_str()), ("/a?b", "body"), "{about}");
            assert_eq!(copy.authority.as_str(), "asked.test", "{about}");
        }
    }
}
