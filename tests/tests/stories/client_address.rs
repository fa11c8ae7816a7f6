//! The client's address: from trusted proxies only (X18).

use http::Method;
use tidegate_testkit::{Http, TestGateway, Upstream, upstream};

use crate::{all_to, tidegate};

/// The client, as the access log has it, and what the upstream was told.
async fn seen(gateway: &TestGateway, app: &Upstream, http: Http, forwarded: &[&str]) -> (String, String) {
    app.forget();
    let before = std::fs::read_to_string(gateway.log_file()).unwrap_or_default().lines().count();
    let mut request = gateway.request(Method::GET, "/").by(http);
    for value in forwarded {
        request = request.header("x-forwarded-for", *value);
    }
    request.send().await.expect(200);
    let line = gateway.access_log(before + 1).await.pop().expect("a line");
    let line: serde_json::Value = serde_json::from_str(&line).expect("JSON");
    let told = app.request().header("x-forwarded-for").unwrap_or_default().to_owned();
    (line["client"].as_str().unwrap_or_default().to_owned(), told)
}

#[tokio::test]
async fn a_stranger_can_not_choose_its_address() {
    let app = upstream().reply("/", "ok").start().await;
    let gateway = tidegate().start(&format!("{}trusted_proxies: [10.0.0.0/8]\n", all_to(&app))).await;
    for http in Http::BOTH {
        for forged in [&["1.2.3.4"][..], &["10.0.0.1"], &["1.2.3.4, 10.0.0.1"], &["1.2.3.4", "5.6.7.8"]] {
            let (client, told) = seen(&gateway, &app, http, forged).await;
            assert_eq!((client.as_str(), told.as_str()), ("127.0.0.1", "127.0.0.1"), "{forged:?} by {http:?}");
        }
    }
    for field in ["X-Real-IP", "Forwarded", "X-Forwarded-Host", "X-Forwarded-Proto", "X_Forwarded_For"] {
        app.forget();
        gateway.request(Method::GET, "/").header(field, "forged").send().await.expect(200);
        assert!(!app.request().headers.iter().any(|(_, value)| value == "forged"), "{field}: {:?}", app.request());
    }
}

#[tokio::test]
async fn a_trusted_proxy_is_believed_from_the_right_up_to_the_first_stranger() {
    let app = upstream().reply("/", "ok").start().await;
    let gateway = tidegate().start(&format!("{}trusted_proxies: [127.0.0.0/8, 10.0.0.0/8]\n", all_to(&app))).await;
    for http in Http::BOTH {
        for (chain, client, told) in [
            (&["1.2.3.4"][..], "1.2.3.4", "1.2.3.4, 127.0.0.1"),
            // What the client forged stands to the left of what the proxy saw.
            (&["6.6.6.6, 1.2.3.4"], "1.2.3.4", "6.6.6.6, 1.2.3.4, 127.0.0.1"),
            (&["1.2.3.4, 10.0.0.9"], "1.2.3.4", "1.2.3.4, 10.0.0.9, 127.0.0.1"),
            (&["6.6.6.6", "1.2.3.4,10.0.0.9"], "1.2.3.4", "6.6.6.6, 1.2.3.4,10.0.0.9, 127.0.0.1"),
            (&["2001:db8::1"], "2001:db8::1", "2001:db8::1, 127.0.0.1"),
            (&["10.0.0.7"], "10.0.0.7", "10.0.0.7, 127.0.0.1"),
        ] {
            let (as_logged, as_told) = seen(&gateway, &app, http, chain).await;
            assert_eq!((as_logged.as_str(), as_told.as_str()), (client, told), "{chain:?} by {http:?}");
        }
        // Nonsense is nobody's address: the last that is known counts.
        let (client, _) = seen(&gateway, &app, http, &["unknown"]).await;
        assert_eq!(client, "127.0.0.1");
    }
}

#[tokio::test]
async fn the_scheme_is_believed_from_trusted_proxies_only() {
    let app = upstream().reply("/", "ok").start().await;
    for (trusted, told) in [("[127.0.0.0/8]", "https"), ("[]", "http")] {
        app.forget();
        let gateway = tidegate().start(&format!("{}trusted_proxies: {trusted}\n", all_to(&app))).await;
        gateway.request(Method::GET, "/").header("X-Forwarded-Proto", "https").send().await.expect(200);
        assert_eq!(app.request().header("x-forwarded-proto"), Some(told), "trusted: {trusted}");
    }
}
