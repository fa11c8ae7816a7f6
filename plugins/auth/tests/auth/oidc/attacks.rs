//! Nothing is as it should be.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Method;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use tidegate_testkit::{Script, refusing};

use super::kit::{KEY, OPEN, Sent, World, cookie, is_over, issuer, says, world};
use crate::issuing::site::code;
use crate::support::{RS256, forged};

const CALLBACK_ERRORS: [(&str, u16, &str); 10] = [
    ("access_denied", 401, "login_declined"),
    ("login_required", 401, "login_declined"),
    ("consent_required", 401, "login_declined"),
    ("server_error", 503, "provider_unavailable"),
    ("temporarily_unavailable", 503, "provider_unavailable"),
    ("invalid_request", 400, "login_failed"),
    ("invalid_scope", 400, "login_failed"),
    ("unauthorized_client", 400, "login_failed"),
    ("<script>alert(1)</script>", 400, "login_failed"),
    ("", 400, "login_failed"),
];

#[tokio::test]
async fn a_browser_that_was_not_sent_gets_nowhere() {
    let world = world(OPEN, "").await;
    let sent = world.begin("").await;
    world.grants(&KEY.token(&world.claims("ada", &sent)));
    let state = sent.asked["state"].as_str();
    let (name, value) = sent.cookie.split_once('=').expect("a value");
    let mut changed = value.to_owned();
    changed.replace_range(30..31, if &value[30..31] == "A" { "B" } else { "A" });
    for cookie in ["", "a=b", &format!("{name}="), &format!("{name}={changed}"), &format!("{name}={}", &value[1..])] {
        let answer = world.back(cookie, &[("code", "good"), ("state", state)]).await.expect(400);
        assert_eq!(code(&answer), "login_not_begun", "{cookie}");
    }
    assert_eq!(world.asked("/token"), 0);
    world.clock.advance(Duration::from_secs(599));
    world.grants(&KEY.token(&world.claims("ada", &sent)));
    world.back_with_code(&sent).await.expect(200);
    let late = world.begin("").await;
    world.clock.advance(Duration::from_secs(600));
    assert_eq!(code(&world.back_with_code(&late).await.expect(400)), "login_not_begun");
}

#[tokio::test]
async fn an_answer_to_another_question_is_none() {
    let world = world(OPEN, "").await;
    let other = world.begin("").await;
    let wrong: Vec<Vec<(&str, String)>> = vec![
        vec![("code", "good".into())],
        vec![("code", "good".into()), ("state", String::new())],
        vec![("code", "good".into()), ("state", other.asked["state"].clone())],
        vec![("state", "STATE".into())],
        vec![("code", String::new()), ("state", "STATE".into())],
        vec![("code", "good".into()), ("state", "STATE".into()), ("state", "STATE".into())],
        vec![("code", "good".into()), ("code", "bad".into()), ("state", "STATE".into())],
        vec![("code", "good".into()), ("state", "STATE".into()), ("iss", "https://evil.test".into())],
        vec![("code", "good".into()), ("state", "STATE".into()), ("iss", String::new())],
        vec![("error", "access_denied".into()), ("state", "STATE".into()), ("iss", "https://evil.test".into())],
        vec![("error", "access_denied".into())],
    ];
    for query in wrong {
        let sent = world.begin("").await;
        world.grants(&KEY.token(&world.claims("ada", &sent)));
        let put = |text: &String| text.replace("STATE", &sent.asked["state"]);
        let query: Vec<_> = query.iter().map(|(name, value)| (*name, put(value))).collect();
        let pairs: Vec<_> = query.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answer = world.back(&sent.cookie, &pairs).await.expect(400);
        assert_eq!(code(&answer), "invalid_callback", "{query:?}");
        assert!(is_over(&answer), "{query:?}");
    }
    let sent = world.begin("").await;
    world.back_raw(&sent.cookie, &format!("code=%ff&state={}", sent.asked["state"])).await.expect(400);
    assert_eq!(world.asked("/token"), 0, "nobody was asked");
}

#[tokio::test]
async fn an_answer_is_good_once() {
    let world = world(OPEN, "").await;
    let sent = world.begin("").await;
    world.grants(&KEY.token(&world.claims("ada", &sent)));
    world.back_with_code(&sent).await.expect(200);
    assert_eq!(code(&world.back_with_code(&sent).await.expect(400)), "invalid_callback");
    assert_eq!((world.asked("/token"), world.events("login").await), (1, 1.0));
}

#[tokio::test]
async fn a_provider_that_says_that_it_names_itself_does() {
    let world = world(OPEN, "").await;
    says(&world.op, json!({ "authorization_response_iss_parameter_supported": true }));
    let sent = world.begin("").await;
    assert_eq!(code(&world.back_with_code(&sent).await.expect(400)), "invalid_callback");
    let sent = world.begin("").await;
    world.grants(&KEY.token(&world.claims("ada", &sent)));
    let iss = issuer(&world.op);
    let query = [("code", "good"), ("state", sent.asked["state"].as_str()), ("iss", iss.as_str())];
    world.back(&sent.cookie, &query).await.expect(200);
}

/// A token that is good but for one thing.
fn bad_tokens(world: &World, sent: &Sent) -> Vec<(&'static str, String)> {
    let good = world.claims("ada", sent);
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        KEY.token(&claims)
    };
    let without = |name: &str| {
        let mut claims = good.clone();
        claims.as_object_mut().expect("an object").remove(name);
        KEY.token(&claims)
    };
    let part = |json: Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let unsigned = |alg: &str| format!("{}.{}.", part(json!({ "alg": alg })), part(good.clone()));
    let access = Header { typ: Some("at+jwt".to_owned()), kid: Some(KEY.kid.to_owned()), ..Header::new(KEY.algorithm) };
    let hmac = Header { kid: Some(KEY.kid.to_owned()), ..Header::new(Algorithm::HS256) };
    let public = EncodingKey::from_secret(KEY.public_pem.as_bytes());
    let now = world.now();
    vec![
        ("another nonce", with("nonce", json!("another"))),
        ("no nonce", without("nonce")),
        ("a nonce that is no text", with("nonce", json!([sent.asked["nonce"]]))),
        ("another issuer", with("iss", json!("https://evil.test"))),
        ("no issuer", without("iss")),
        ("another audience", with("aud", json!("them"))),
        ("no audience", without("aud")),
        ("several audiences, for none in particular", with("aud", json!(["us", "them"]))),
        ("another party", with("azp", json!("them"))),
        ("expired", with("exp", json!(now - 30))),
        ("never expires", without("exp")),
        ("issued in the future", with("iat", json!(now + 60))),
        ("issued at no time", without("iat")),
        ("not good yet", with("nbf", json!(now + 60))),
        ("nobody", without("sub")),
        ("an empty subject", with("sub", json!(""))),
        ("another access token's", with("at_hash", json!("AAAAAAAAAAAAAAAAAAAAAA"))),
        ("unsigned", unsigned("none")),
        ("unsigned, in other letters", unsigned("nOnE")),
        ("unsigned, under the name of a signature", unsigned("ES256")),
        ("signed by another key", RS256.token(&good)),
        ("forged", forged(&KEY.token(&good))),
        ("signed with what everybody knows", jsonwebtoken::encode(&hmac, &good, &public).expect("a token")),
        ("an access token", KEY.token_with(&access, &good)),
        ("no token", "opaque".to_owned()),
        ("nothing", String::new()),
    ]
}

#[tokio::test]
async fn a_token_that_is_wrong_in_one_thing_logs_nobody_in() {
    let world = world(OPEN, "").await;
    let count = bad_tokens(&world, &world.begin("").await).len();
    for index in 0..count {
        let sent = world.begin("").await;
        let (what, token) = bad_tokens(&world, &sent).swap_remove(index);
        world.grants(&token);
        let answer = world.back_with_code(&sent).await;
        assert_eq!(answer.status, 401, "{what}: {answer:#?}");
        assert_eq!(code(&answer), "login_refused", "{what}");
        assert!(is_over(&answer) && cookie(&answer, "__Host-device").is_none(), "{what}");
    }
    assert_eq!((world.events("signup").await, world.events("login").await), (0.0, 0.0));
    assert_eq!(world.events("login_failed").await, count as f64);
    // And this is what was wrong with them.
    let sent = world.begin("").await;
    let mut claims = world.claims("ada", &sent);
    (claims["aud"], claims["azp"]) = (json!(["us", "them"]), json!("us"));
    world.grants(&KEY.token(&claims));
    world.back_with_code(&sent).await.expect(200);
}

#[tokio::test]
async fn claims_that_must_be_just_this_keep_others_out() {
    let world = world(&format!("{OPEN}, claims: {{ hd: example.com }}"), "").await;
    world.log_in("ada", json!({ "hd": "example.com" })).await.expect(200);
    for other in [json!({}), json!({ "hd": "example.com.evil.test" }), json!({ "hd": ["example.com"] })] {
        assert_eq!(code(&world.log_in("eve", other).await.expect(401)), "login_refused");
    }
}

#[tokio::test]
async fn who_must_have_logged_in_lately_has() {
    // The browser carries the question: it could leave `max_age` out of it.
    let world = world(&format!("{OPEN}, parameters: {{ max_age: \"300\" }}"), "").await;
    assert_eq!(world.begin("").await.asked["max_age"], "300");
    let now = world.now();
    for ago in [0, 300, 329] {
        world.log_in("ada", json!({ "auth_time": now - ago })).await.expect(200);
    }
    for bad in
        [json!({}), json!({ "auth_time": now - 331 }), json!({ "auth_time": now + 60 }), json!({ "auth_time": "x" })]
    {
        assert_eq!(code(&world.log_in("ada", bad.clone()).await.expect(401)), "login_refused", "{bad}");
    }
    // What counts is when they were sent: who takes a while to come back is not asked again.
    let sent = world.begin("").await;
    let mut claims = world.claims("ada", &sent);
    claims["auth_time"] = json!(now - 290);
    world.clock.advance(Duration::from_secs(200));
    world.grants(&KEY.token(&claims));
    world.back_with_code(&sent).await.expect(200);
}

#[tokio::test]
async fn many_who_come_at_once_ask_the_provider_once() {
    let world = world(OPEN, "").await;
    let all = (0..50).map(|_| world.gateway.get("/auth/login/op"));
    for answer in futures_util::future::join_all(all).await {
        answer.expect(303);
    }
    assert_eq!((world.asked(super::kit::METADATA), world.asked("/jwks")), (1, 1));
}

#[tokio::test]
async fn a_code_that_the_provider_does_not_take_is_the_browser_s_fault() {
    let world = world(OPEN, "").await;
    let sent = world.begin("").await;
    // What a provider says to a wrong code or a wrong verifier (RFC 7636 section 4.6).
    let error = json!({ "error": "invalid_grant", "error_description": "<b>no</b>" }).to_string();
    world.op.set("/token", Script::reply(error).with_status(400));
    let answer = world.back_with_code(&sent).await.expect(401);
    assert_eq!(code(&answer), "login_refused");
    assert!(!answer.text().contains("<b>"));
}

#[tokio::test]
async fn what_the_provider_says_of_errors_is_told_in_our_words() {
    let world = world(OPEN, "").await;
    for (error, status, told) in CALLBACK_ERRORS {
        let sent = world.begin("").await;
        let query = [
            ("error", error),
            ("error_description", "<script>evil</script>"),
            ("error_uri", "https://evil.test/"),
            ("state", &sent.asked["state"]),
        ];
        let answer = world.back(&sent.cookie, &query).await.expect(status);
        assert_eq!(code(&answer), told, "{error}");
        assert!(is_over(&answer), "{error}");
        assert_eq!(answer.headers.has("retry-after"), status == 503);
        assert!(!answer.text().contains("script") && !answer.text().contains("evil"), "{}", answer.text());
        if status == 400 && !error.is_empty() {
            assert!(!answer.text().contains(error), "{}", answer.text());
        }
    }
    assert_eq!(world.asked("/token"), 0);
}

#[tokio::test]
async fn while_the_provider_is_down_nobody_can_log_in_and_everything_else_goes_on() {
    let world = world(&format!("{OPEN}, fetch: {{ timeout: 5s }}"), "").await;
    let lost = [
        Script::status(500),
        Script::status(503),
        Script::status(302).header("Location", "http://127.0.0.1:1/"),
        Script::close(),
        Script::stall(),
        Script::reply("<html>"),
        Script::reply("{}"),
        Script::reply(r#"{"access_token":"only"}"#),
        Script::reply(r#"{"error":"invalid_client"}"#).with_status(401),
        Script::reply(vec![b' '; 300_000]),
    ];
    for script in lost {
        let sent = world.begin("").await;
        world.op.set("/token", script.clone());
        let answer = world.back_with_code(&sent).await;
        assert_eq!(answer.status, 503, "{script:?}: {answer:#?}");
        assert_eq!(code(&answer), "provider_unavailable", "{script:?}");
        assert!(answer.headers.has("retry-after") && is_over(&answer));
        world.clock.advance(Duration::from_secs(2));
    }
    assert_eq!(world.counted("provider_unavailable").await, 10.0);
    world.log_in("ada", json!({})).await.expect(200);
}

#[tokio::test]
async fn a_provider_that_can_not_be_found_is_503_at_the_start() {
    let nobody = refusing();
    let config = format!("{OPEN}, fetch: {{ timeout: 1s }}");
    let elsewhere = format!("http://{}", nobody.addr());
    let down = super::kit::changed_world(&config, "", |yaml| {
        let from = yaml.find("issuer: \"http://").expect("the provider") + 9;
        let to = from + yaml[from..].find('"').expect("its end");
        format!("{}{elsewhere}{}", &yaml[..from], &yaml[to..])
    })
    .await;
    let answer = down.gateway.get("/auth/login/op").await.expect(503);
    assert_eq!(code(&answer), "provider_unavailable");
    assert!(answer.headers.has("retry-after") && cookie(&answer, "__Host-login-op").is_none());
    for strange in [
        json!({ "issuer": "https://evil.test" }),
        json!({ "authorization_endpoint": "javascript:alert(1)" }),
        json!({ "token_endpoint": null }),
        json!({ "jwks_uri": "/jwks" }),
    ] {
        let world = world(OPEN, "").await;
        says(&world.op, strange.clone());
        let answer = world.gateway.get("/auth/login/op").await;
        assert_eq!(answer.status, 503, "{strange}: {answer:#?}");
    }
}

#[tokio::test]
async fn nobody_is_sent_to_another_site_after_login() {
    let world = world(OPEN, "delivery: { cookie: {} }").await;
    for bad in [
        "",
        "//evil.test",
        "///evil.test",
        "%2F%2Fevil.test",
        "/%5Cevil.test",
        "%5C%5Cevil.test",
        "/%09/evil.test",
        "/%0a/evil.test",
        "/%0d%0aSet-Cookie:a=b",
        "%20//evil.test",
        "https://evil.test",
        "https:%2F%2Fevil.test",
        "HTTPS:evil.test",
        "javascript:alert(1)",
        "data:text/html,x",
        "app",
        "@evil.test",
        "/.//evil.test",
        "/..//evil.test",
        "/%252e%252e//evil.test",
        "/a//evil.test",
        "/%C3%A4",
        "/%ff",
        "/a&return_to=/b",
    ] {
        let answer = world.gateway.get(&format!("/auth/login/op?return_to={bad}")).await;
        assert_eq!(answer.status, 400, "{bad}: {answer:#?}");
        assert_eq!(code(&answer), "invalid_return_to", "{bad}");
        assert!(!answer.text().contains("evil") && !answer.headers.has("set-cookie"));
    }
    let long = format!("/auth/login/op?return_to=/{}", "a".repeat(1024));
    world.gateway.get(&long).await.expect(400);
    assert_eq!(world.op.requests().len(), 0);
}

#[tokio::test]
async fn an_attempt_with_one_provider_is_none_with_another() {
    let two = |yaml: String| {
        let from = yaml.find("op: {").expect("the provider");
        let to = from + yaml[from..].find('}').expect("its end") + 1;
        let same = yaml[from..to].replacen("op:", "twin:", 1);
        format!("{}{same}, {}", &yaml[..from], &yaml[from..])
    };
    let world = super::kit::changed_world(OPEN, "", two).await;
    let sent = world.begin("").await;
    world.grants(&KEY.token(&world.claims("ada", &sent)));
    let value = sent.cookie.split_once('=').expect("a value").1;
    let path = format!("/auth/login/twin/callback?code=good&state={}", sent.asked["state"]);
    for cookie in [sent.cookie.clone(), format!("__Host-login-twin={value}")] {
        let answer = world.gateway.request(Method::GET, &path).header("cookie", &*cookie).send().await.expect(400);
        assert_eq!(code(&answer), "login_not_begun", "{cookie}");
    }
    world.back_with_code(&sent).await.expect(200);
}
