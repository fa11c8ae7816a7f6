//! Clients show certificates, and the listener checks them.

use tidegate_testkit::{Certs, Leaf, TestGateway, Upstream, certs, tls_exchange, upstream};

use crate::tidegate;

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n";

/// A gateway whose listener asks for certificates of the authority, on these terms.
async fn asking(authority: &Certs, upstream: &Upstream, terms: &str) -> TestGateway {
    let site = authority.leaf(&["a.test"]);
    let config = format!(
        "listeners:\n  - name: main\n    bind: \"127.0.0.1:0\"\n    tls:\n      certificates: [{}]\n      \
         client_auth: {{ ca: {:?}, {terms} }}\n\
         upstreams: {{ all: {{ targets: [\"{}\"] }} }}\n\
         routing: {{ routes: [{{ match: {{ path: \"/**\" }}, upstream: all }}] }}\n",
        site.yaml(),
        authority.ca(),
        upstream.target(),
    );
    tidegate().start(&config).await
}

/// Whether a request gets through, by a client that shows this, or nothing.
async fn gets_in(gateway: &TestGateway, authority: &Certs, shown: Option<&Leaf>) -> bool {
    let config = match shown {
        Some(leaf) => authority.client_config_with(leaf, &[b"http/1.1"]),
        None => authority.client_config(&[b"http/1.1"]),
    };
    match tls_exchange(gateway.addr(), "a.test", config, GET).await {
        Ok(answer) if answer.is_empty() => false,
        Ok(answer) => {
            assert!(answer.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&answer));
            true
        }
        Err(_) => false,
    }
}

#[tokio::test]
async fn only_a_certificate_that_holds_lets_a_client_in() {
    let (authority, stranger, upstream) = (certs(), certs(), upstream().reply("*", "ok").start().await);
    let good = authority.leaf(&["good.test"]);
    let revoked = authority.leaf(&["revoked.test"]);
    let expired = authority.expired(&["expired.test"]);
    let unknown = stranger.leaf(&["good.test"]);
    let list = authority.revoked(&[&revoked]);
    for (mode, without) in [("require", false), ("optional", true)] {
        let terms = format!("mode: {mode}, crl: [{list:?}]");
        let gateway = asking(&authority, &upstream, &terms).await;
        assert!(gets_in(&gateway, &authority, Some(&good)).await, "{mode}");
        for (what, leaf) in [("revoked", &revoked), ("expired", &expired), ("of another authority", &unknown)] {
            assert!(!gets_in(&gateway, &authority, Some(leaf)).await, "{mode}: {what}");
        }
        assert_eq!(gets_in(&gateway, &authority, None).await, without, "{mode}");
        // A session that is resumed would come in without being checked.
        assert!(gets_in(&gateway, &authority, Some(&good)).await, "{mode}");
    }
    assert_eq!(upstream.requests().len(), 5);
}

#[tokio::test]
async fn files_that_can_not_be_used_are_refused_with_their_place() {
    let (authority, upstream) = (certs(), upstream().start().await);
    let site = authority.leaf(&["a.test"]);
    for (terms, place) in [
        ("ca: /nowhere/ca.pem".to_owned(), "client_auth.ca"),
        (format!("ca: {:?}", site.key), "client_auth.ca"),
        (format!("ca: {:?}, crl: [{:?}]", authority.ca(), site.cert), "client_auth.crl[0]"),
    ] {
        let config = format!(
            "listeners: [{{ name: main, bind: \"127.0.0.1:0\", tls: {{ certificates: [{}], client_auth: {{ {terms} }} }} }}]\n\
             upstreams: {{ all: {{ targets: [\"{}\"] }} }}\n\
             routing: {{ routes: [{{ match: {{ path: \"/**\" }}, upstream: all }}] }}\n",
            site.yaml(),
            upstream.target(),
        );
        let error = tidegate().check(&config).expect_err("it can't be used");
        assert!(error.contains(place), "{place}: {error}");
    }
}
