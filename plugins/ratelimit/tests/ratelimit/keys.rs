//! Whose limit it is (H6, H12, X18).

use super::*;

#[tokio::test]
async fn what_a_limit_counts_by() {
    let anna = &[("x-user", "anna")][..];
    let ben = &[("x-user", "ben")][..];
    for (per, same, other) in [
        ("client", ("192.0.2.1", &[][..]), ("192.0.2.2", &[][..])),
        ("client", ("2001:db8:1:1::1", &[]), ("2001:db8:1:2::1", &[])),
        ("identity", ("192.0.2.1", anna), ("192.0.2.1", ben)),
        ("\"[identity, client]\"", ("192.0.2.1", anna), ("192.0.2.1", &[])),
        ("api_key", ("192.0.2.1", &[("x-api-key", "a")]), ("192.0.2.1", &[("x-api-key", "b")])),
        ("header.X-Tenant", ("192.0.2.1", &[("x-tenant", "a")]), ("192.0.2.1", &[("x-tenant", "b")])),
        ("cookie.sid", ("192.0.2.1", &[("cookie", "z=1; sid=a")]), ("192.0.2.1", &[("cookie", "sid=b; z=1")])),
        (
            "claim.org",
            ("192.0.2.1", &[("x-user", "anna"), ("x-claims", r#"{"org":"a"}"#)]),
            ("192.0.2.1", &[("x-user", "anna"), ("x-claims", r#"{"org":"b"}"#)]),
        ),
        ("host", ("192.0.2.1", &[]), ("192.0.2.1", &[("x-host", "b.test")])),
        ("identity+client", ("192.0.2.1", anna), ("192.0.2.2", anna)),
    ] {
        let per = per.trim_matches('"');
        let (gateway, _clock) = start(&format!("{{ rate: 1/h, per: {per} }}")).await;
        let send = async |(from, fields): (&str, &[(&str, &str)])| {
            let host = fields.iter().find(|(name, _)| *name == "x-host").map_or("a.test", |(_, host)| host);
            let request = gateway.request(Method::GET, "/app/x").host(host).header("x-forwarded-for", from);
            fields.iter().fold(request, |request, (name, value)| request.header(*name, *value)).send().await.status
        };
        assert_eq!((send(same).await, send(same).await), (200, 429), "{per}");
        assert_eq!(send(other).await, 200, "{per}: another one");
    }
}

#[tokio::test]
async fn ipv6_clients_of_one_network_share_a_limit() {
    let (gateway, _clock) = start("{ rate: 1/h, per: client }").await;
    assert_eq!(admitted(&gateway, 1, "2001:db8:1:1::1").await, 1);
    assert_eq!(admitted(&gateway, 1, "2001:db8:1:1:ffff::2").await, 0);
    let (gateway, _clock) = start_with("{ rate: 1/h, per: client }", "client: { ipv6: 128, ipv4: 24 }").await;
    assert_eq!(admitted(&gateway, 1, "2001:db8:1:1::1").await, 1);
    assert_eq!(admitted(&gateway, 1, "2001:db8:1:1::2").await, 1);
    assert_eq!((admitted(&gateway, 1, "192.0.2.1").await, admitted(&gateway, 1, "192.0.2.200").await), (1, 0));
}

#[tokio::test]
async fn a_client_can_not_choose_its_address() {
    let yaml = limited("{ rate: 1/h, per: client }", "").replace("127.0.0.0/8", "10.0.0.0/8");
    let gateway = builder().start(&yaml).await;
    assert_eq!(ask(&gateway, "192.0.2.1", &[]).await.status, 200);
    for forged in ["192.0.2.2", "10.0.0.1", "192.0.2.3, 10.0.0.1"] {
        assert_eq!(ask(&gateway, forged, &[]).await.status, 429, "{forged}");
    }
}

#[tokio::test]
async fn who_leaves_the_key_out_is_counted_by_address_unless_said_otherwise() {
    for (missing, statuses) in [("client", [200, 429]), ("skip", [200, 200]), ("refuse", [400, 400])] {
        let (gateway, _clock) = start(&format!("{{ rate: 1/h, per: header.X-Tenant, missing: {missing} }}")).await;
        for status in statuses {
            ask(&gateway, "192.0.2.1", &[]).await.expect(status);
        }
        ask(&gateway, "192.0.2.1", &[("x-tenant", "a")]).await.expect(200);
    }
}

#[tokio::test]
async fn a_shadow_refuses_nobody_for_a_missing_key_either() {
    let (gateway, _clock) = start("{ name: a, rate: 1/h, per: header.X-Tenant, missing: refuse, mode: shadow }").await;
    ask(&gateway, "192.0.2.1", &[]).await.expect(200);
    let labels = &[("limit", "a"), ("result", "shadowed")];
    assert_eq!(gateway.metric("tidegate_ratelimit_requests_total", labels).await, 1.0);
}

#[tokio::test]
async fn limits_on_the_client_come_before_login_and_limits_on_the_identity_after_it() {
    let (gateway, _clock) = start("{ rate: 3/h, per: client }, { rate: 1/h, per: identity }").await;
    let who = async |user| ask(&gateway, "192.0.2.1", &[("x-user", user)]).await.status;
    assert_eq!(who("nobody").await, 401, "counted for the client before anybody asked who it is");
    assert_eq!(who("anna").await, 200);
    assert_eq!(who("anna").await, 429, "anna's own limit");
    assert_eq!(who("ben").await, 429, "the client's");
}

#[tokio::test]
async fn long_and_strange_keys_are_keys() {
    let (gateway, _clock) = start("{ rate: 1/h, per: header.X-Key }").await;
    let long = "k".repeat(7000);
    let (longer, other) = (format!("{long}a"), format!("{long}b"));
    for key in [longer.as_str(), &other, "%00", "\u{fc}\u{fc}", "a,b", "a;b=\"c\""] {
        for status in [200, 429] {
            ask(&gateway, "192.0.2.1", &[("x-key", key)]).await.expect(status);
        }
    }
    // Bytes that are no UTF-8 are still the same bytes.
    for status in [200, 429] {
        let raw = b"GET /app/x HTTP/1.1\r\nHost: a.test\r\nX-Key: \xff\xfe\r\nConnection: close\r\n\r\n";
        assert_eq!(gateway.raw(raw).await.status(), Some(status));
    }
}

#[tokio::test]
async fn limits_by_country_follow_what_a_trusted_proxy_says() {
    let yaml = format!("country_header: CF-IPCountry\n{}", limited("{ rate: 1/h, per: country }", ""));
    let gateway = builder().start(&yaml).await;
    let from = async |country| ask(&gateway, "192.0.2.1", &[("cf-ipcountry", country)]).await.status;
    assert_eq!([from("DE").await, from("DE").await, from("FR").await], [200, 429, 200]);
}

#[tokio::test]
async fn the_exempt_are_not_counted() {
    let (gateway, _clock) =
        start_with("{ rate: 1/h, per: client }", "exempt: [\"192.0.2.0/28\", \"2001:db8::/32\"]").await;
    assert_eq!(admitted(&gateway, 5, "192.0.2.1").await, 5);
    assert_eq!(admitted(&gateway, 5, "2001:db8::1").await, 5);
    assert_eq!(admitted(&gateway, 5, "192.0.2.16").await, 1);
}
