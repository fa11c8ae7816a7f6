//! Where requests go: names, sockets, TLS, what `Host` says.

use http::Method;
use tidegate_testkit::{Http, Script, certs, upstream};

use crate::{route_to, tidegate};

fn with(target: &str, pool: &str) -> String {
    route_to(target, "").replace("    targets:", &format!("    {pool}\n    targets:"))
}

#[tokio::test]
async fn names_addresses_and_unix_sockets_are_targets() {
    let tcp = upstream().reply("/", "tcp").start().await;
    let unix = upstream().reply("/", "unix").unix().start().await;
    let name = format!("localhost:{}", tcp.addr().port());
    for (target, body) in [(tcp.target(), "tcp"), (name, "tcp"), (unix.target(), "unix")] {
        let gateway = tidegate().start(&route_to(&target, "")).await;
        for http in Http::BOTH {
            assert_eq!(gateway.request(Method::GET, "/").by(http).send().await.expect(200).text(), body, "{target}");
        }
    }
}

#[tokio::test]
async fn a_certificate_that_does_not_hold_is_refused_by_default() {
    let (ours, theirs) = (certs(), certs());
    let port = |app: &tidegate_testkit::Upstream| format!("localhost:{}", app.addr().port());
    let start = |leaf: tidegate_testkit::Leaf| async move { upstream().reply("/", "secret").tls(&leaf).start().await };
    let good = start(ours.leaf(&["localhost"])).await;
    let stranger = start(theirs.leaf(&["localhost"])).await;
    let expired = start(ours.expired(&["localhost", "expired"])).await;
    let other_name = start(ours.leaf(&["other.test"])).await;
    let tls = format!("tls: {{ ca: {:?} }}", ours.ca());

    let gateway = tidegate().start(&with(&port(&good), &tls)).await;
    assert_eq!(gateway.get("/").await.expect(200).text(), "secret");
    for (app, fault) in [(&stranger, "another authority"), (&expired, "expired"), (&other_name, "another name")] {
        let gateway = tidegate().start(&with(&port(app), &tls)).await;
        let answer = gateway.get("/").await;
        assert_eq!((answer.status, answer.json()["code"].as_str()), (502, Some("upstream_tls")), "{fault}: {answer:?}");
        assert!(app.requests().is_empty(), "{fault}");
        let line = gateway.access_log(1).await.remove(0);
        assert!(line.contains("\"error\":"), "{fault}: {line}");
    }
    // The system's authorities know nothing of ours.
    let gateway = tidegate().start(&with(&port(&good), "tls: {}")).await;
    gateway.get("/").await.expect(502);
    let gateway = tidegate().start(&with(&port(&stranger), "tls: { verify: none }")).await;
    gateway.get("/").await.expect(200);
}

#[tokio::test]
async fn two_pools_for_one_address_do_not_share_what_they_trust() {
    let (ours, theirs) = (certs(), certs());
    let app = upstream().reply("/", "secret").tls(&ours.leaf(&["localhost"])).start().await;
    let target = format!("localhost:{}", app.addr().port());
    let yaml = format!(
        "upstreams:\n  good: {{ targets: [\"{target}\"], tls: {{ ca: {:?} }} }}\n  bad: {{ targets: [\"{target}\"], tls: {{ ca: {:?} }} }}\n\
         routing: {{ routes: [{{ name: good, match: {{ path: / }}, upstream: good }}, {{ name: bad, match: {{ path: \"/bad\" }}, upstream: bad }}] }}\n",
        ours.ca(),
        theirs.ca()
    );
    let gateway = tidegate().start(&yaml).await;
    for _ in 0..3 {
        gateway.get("/").await.expect(200);
        gateway.get("/bad").await.expect(502);
    }
}

#[tokio::test]
async fn http2_is_spoken_to_upstreams_that_want_it() {
    let certs = certs();
    let plain = upstream().route("*", Script::echo()).h2().start().await;
    let secure = upstream().route("*", Script::echo()).h2().tls(&certs.leaf(&["localhost"])).start().await;
    let target = format!("localhost:{}", secure.addr().port());
    for (app, yaml) in [
        (&plain, with(&plain.target(), "protocol: h2")),
        (&secure, with(&target, &format!("protocol: h2\n    tls: {{ ca: {:?} }}", certs.ca()))),
    ] {
        let gateway = tidegate().start(&yaml).await;
        for http in Http::BOTH {
            let answer = gateway.post("/x?y").by(http).generated(200_000).send().await.expect(200);
            assert_eq!(answer.body.len(), 200_000);
        }
        assert!(app.requests().iter().all(|request| request.version == "HTTP/2.0" && request.check.is_intact()));
    }
}

#[tokio::test]
async fn host_is_what_the_pool_says_and_x_forwarded_host_what_the_client_said() {
    let app = upstream().reply("/", "ok").start().await;
    for (mode, host) in
        [("preserve", "asked.test"), ("upstream", &app.target()), ("{ literal: \"fixed.test\" }", "fixed.test")]
    {
        let gateway = tidegate().start(&with(&app.target(), &format!("host_header: {mode}"))).await;
        for http in Http::BOTH {
            app.forget();
            gateway.request(Method::GET, "/").by(http).host("asked.test").send().await.expect(200);
            let seen = app.request();
            assert_eq!(
                (seen.authority.as_str(), seen.header("x-forwarded-host")),
                (host, Some("asked.test")),
                "{mode}"
            );
            assert_eq!(seen.headers.count("host"), 1);
        }
    }
}

#[tokio::test]
async fn requests_go_round_among_targets_by_weight() {
    let (one, two) = (upstream().reply("/", "1").start().await, upstream().reply("/", "2").start().await);
    let yaml = route_to(&one.target(), "").replace(
        &format!("\"{}\"", one.target()),
        &format!("{{ address: \"{}\", weight: 3 }}, \"{}\"", one.target(), two.target()),
    );
    let gateway = tidegate().start(&yaml).await;
    for _ in 0..40 {
        gateway.get("/").await.expect(200);
    }
    assert_eq!((one.requests().len(), two.requests().len()), (30, 10));
}
