//! The certificate of the TLS connection (D11).

use tidegate_testkit::{Certs, Leaf, TestGateway, Upstream, certs, tls_exchange, upstream};

use super::support::*;

/// A gateway on a listener that asks clients for certificates of the authority.
async fn start(authority: &Certs, upstream: &Upstream, mode: &str, terms: &str, policy: &str) -> TestGateway {
    let site = authority.leaf(&["a.test"]);
    let section = format!(
        "{{ providers: [{{ client_certificate: {{ {terms} }} }}], \
         identity: {{ headers: {{ X-User-ID: sub, X-Roles: roles }} }} }}"
    );
    let listener = format!(
        "listeners:\n  - name: main\n    bind: \"127.0.0.1:0\"\n    tls:\n      certificates: [{}]\n      \
         client_auth: {{ ca: {:?}, mode: {mode} }}\n",
        site.yaml(),
        authority.ca()
    );
    with_auth().start(&format!("{listener}{}", guarded_yaml(upstream, &section, policy))).await
}

/// The status that a client gets who shows this, or nothing, and sends these fields.
async fn ask(gateway: &TestGateway, authority: &Certs, shown: Option<&Leaf>, fields: &str) -> Option<u16> {
    let config = match shown {
        Some(leaf) => authority.client_config_with(leaf, &[b"http/1.1"]),
        None => authority.client_config(&[b"http/1.1"]),
    };
    let request = format!("GET /x HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n{fields}\r\n");
    let answer = tls_exchange(gateway.addr(), "a.test", config, request.as_bytes()).await.ok()?;
    let text = String::from_utf8_lossy(&answer).into_owned();
    text.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).and_then(|status| status.parse().ok())
}

const SPOOFED: &str = "Client-Cert: :Zm9vYmFy:\r\nClient-Cert-Chain: :Zm9vYmFy:\r\nX-Forwarded-Client-Cert: By=x\r\n\
                       X-User-ID: root\r\n";

#[tokio::test]
async fn who_shows_a_certificate_is_known_by_its_name_and_who_shows_none_is_not() {
    let (authority, upstream) = (certs(), upstream().reply("/*", "ok").start().await);
    let (anna, ben) = (authority.leaf(&["anna.test", "other.test"]), authority.leaf(&["ben.test"]));
    let terms = "roles: { anna.test: [admin] }, allow: [\"anna.*\"]";
    for (policy, without) in [("require", 401), ("optional", 200)] {
        let gateway = start(&authority, &upstream, "optional", terms, policy).await;
        upstream.forget();
        assert_eq!(ask(&gateway, &authority, Some(&anna), SPOOFED).await, Some(200));
        let seen = upstream.request();
        assert_eq!((seen.header("x-user-id"), seen.header("x-roles")), (Some("anna.test"), Some("admin")));
        upstream.forget();
        assert_eq!(ask(&gateway, &authority, Some(&ben), "").await, Some(401), "{policy}: not among those allowed");
        assert_eq!(ask(&gateway, &authority, None, SPOOFED).await, Some(without), "{policy}");
        for seen in upstream.requests() {
            assert_eq!(seen.header("x-user-id"), None);
        }
    }
}

#[tokio::test]
async fn certificates_that_do_not_hold_do_not_get_as_far() {
    let (authority, stranger, upstream) = (certs(), certs(), upstream().reply("/*", "ok").start().await);
    let gateway = start(&authority, &upstream, "require", "", "require").await;
    let good = authority.leaf(&["anna.test"]);
    assert_eq!(ask(&gateway, &authority, Some(&good), "").await, Some(200));
    let (expired, unknown) = (authority.expired(&["expired.test"]), stranger.leaf(&["anna.test"]));
    for leaf in [Some(&expired), Some(&unknown), None] {
        assert_eq!(ask(&gateway, &authority, leaf, "").await, None);
    }
    assert_eq!(upstream.requests().len(), 1);
}

#[tokio::test]
async fn a_client_can_not_say_what_its_certificate_is() {
    let (authority, upstream) = (certs(), upstream().reply("/*", "ok").start().await);
    let anna = authority.leaf(&["anna.test"]);
    let names = ["client-cert", "client-cert-chain", "x-forwarded-client-cert"];
    for (terms, policy, shown) in [
        ("forward: true", "require", Some(&anna)),
        ("forward: true", "optional", None),
        ("", "require", Some(&anna)),
        ("", "public", None),
    ] {
        let gateway = start(&authority, &upstream, "optional", terms, policy).await;
        upstream.forget();
        assert_eq!(ask(&gateway, &authority, shown, SPOOFED).await, Some(200), "{terms} {policy}");
        let seen = upstream.request();
        let told = names.map(|name| seen.headers.all(name).map(str::to_owned).collect::<Vec<_>>());
        let pem = std::fs::read_to_string(&anna.cert).expect("a certificate");
        let base64: String = pem.lines().filter(|line| !line.starts_with("--")).collect();
        let expected = if !terms.is_empty() && shown.is_some() { vec![format!(":{base64}:")] } else { vec![] };
        assert_eq!(told, [expected, vec![], vec![]], "{terms} {policy}");
    }
}

#[tokio::test]
async fn what_can_not_work_is_refused_at_load() {
    let upstream = upstream().reply("/*", "x").start().await;
    for (terms, path) in [
        ("subject: []", "subject"),
        ("subject: [cn, cn]", "subject[1]"),
        ("allow: ['a*b']", "allow[0]"),
        ("allow: ['']", "allow[0]"),
    ] {
        let section = format!("{{ providers: [{{ client_certificate: {{ {terms} }} }}] }}");
        let errors = with_auth().check(&guarded_yaml(&upstream, &section, "require")).expect_err(terms);
        assert!(errors.contains(&format!("auth.providers[0].client_certificate.{path}")), "{terms}: {errors}");
    }
}

#[tokio::test]
async fn an_upstream_is_told_as_envoy_tells_it_and_a_client_can_not_say_so() {
    let (authority, upstream) = (certs(), upstream().reply("/*", "ok").start().await);
    let anna = authority.leaf(&["anna.test"]);
    let gateway = start(&authority, &upstream, "optional", "forward_xfcc: true", "optional").await;
    assert_eq!(ask(&gateway, &authority, Some(&anna), SPOOFED).await, Some(200));
    let told: Vec<_> = upstream.request().headers.all("x-forwarded-client-cert").map(str::to_owned).collect();
    assert!(matches!(&told[..], [one] if one.starts_with("Hash=") && one.ends_with(";DNS=anna.test")), "{told:?}");
    upstream.forget();
    assert_eq!(ask(&gateway, &authority, None, SPOOFED).await, Some(200));
    assert_eq!(upstream.request().header("x-forwarded-client-cert"), None);
}
