//! Tokens of an identity provider that nobody here wrote: people log in there, their tokens are checked here.

use std::time::{Duration, SystemTime};

use http::Method;
use tidegate_testkit::{
    Answer, IdentityProvider, ManualClock, TestGateway, TokenForm, Upstream, identity_provider, upstream,
    wait_until_async,
};

use crate::tidegate;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// Three routes that ask for more and more, and whatever the providers are.
fn guarded(upstream: &Upstream, providers: &str) -> String {
    format!(
        "upstreams: {{ app: {{ targets: [\"{}\"] }} }}\n\
         auth: {{ providers: [{providers}], identity: {{ headers: {{ X-User-ID: sub, X-User-Roles: roles }} }} }}\n\
         routing:\n  routes:\n\
         \x20   - {{ name: all, match: {{ path: \"/**\" }}, upstream: app, plugins: {{ auth: require }} }}\n\
         \x20   - {{ name: writing, match: {{ path: /notes, methods: [POST] }}, upstream: app, plugins: {{ auth: {{ \
         require: {{ scopes: [write] }} }} }} }}\n\
         \x20   - {{ name: admin, match: {{ path: \"/admin/**\" }}, upstream: app, plugins: {{ auth: {{ require: {{ \
         roles: [admin] }} }} }} }}\n",
        upstream.target()
    )
}

/// Its tokens are JWTs, and it says itself where its keys are.
fn discovered(provider: &IdentityProvider, fetch: &str) -> String {
    format!(
        "{{ jwt: {{ discovery: {{ issuer: \"{}\", fetch: {{ {fetch} }} }}, audience: [api] }} }}",
        provider.issuer()
    )
}

/// Its tokens say nothing, and it is asked about each.
fn introspected(provider: &IdentityProvider) -> String {
    let (id, secret) = IdentityProvider::GATEWAY;
    let url = provider.introspection_url();
    format!(
        "{{ introspection: {{ url: \"{url}\", client_id: {id}, client_secret: {secret}, audience: [api], timeout: 20s }} }}"
    )
}

/// The time of day, as the provider has it too, until the test advances it.
fn clock() -> ManualClock {
    ManualClock::at(SystemTime::now())
}

async fn ask(gateway: &TestGateway, method: Method, path: &str, token: &str) -> Answer {
    gateway.request(method, path).header("Authorization", format!("Bearer {token}")).send().await
}

async fn get(gateway: &TestGateway, path: &str, token: &str) -> Answer {
    ask(gateway, Method::GET, path, token).await
}

#[tokio::test]
async fn who_logs_in_at_the_provider_is_known_here() {
    let (provider, app) = (identity_provider().await, upstream().reply("*", "ok").start().await);
    let gateway = tidegate().start(&guarded(&app, &discovered(&provider, ""))).await;
    for form in TokenForm::SIGNED {
        let ada = provider.login("ada").form(form).token().await;
        get(&gateway, "/", &ada).await.expect(200);
        let seen = app.requests().pop().expect("it is there");
        assert_eq!((seen.header("x-user-id"), seen.header("x-user-roles")), (Some("ada"), Some("user")), "{form:?}");
        get(&gateway, "/admin/x", &ada).await.expect(403);
        let root = provider.login("root").form(form).token().await;
        get(&gateway, "/admin/x", &root).await.expect(200);
    }
    assert_eq!(provider.asked("/jwks").await, 1, "keys are fetched once");
    let reading = provider.login("ada").scope("read").token().await;
    let refused = ask(&gateway, Method::POST, "/notes", &reading).await.expect(403);
    let challenge = refused.header("www-authenticate").expect("RFC 6750 section 3.1");
    assert!(challenge.contains("insufficient_scope") && challenge.contains("write"), "{challenge}");
    let writing = provider.login("ada").token().await;
    ask(&gateway, Method::POST, "/notes", &writing).await.expect(200);
    // A program has scopes and no roles.
    let program = provider.application().token().await;
    ask(&gateway, Method::POST, "/notes", &program).await.expect(200);
    assert_eq!(app.requests().pop().expect("it is there").header("x-user-id"), Some("app"));
    get(&gateway, "/admin/x", &program).await.expect(403);
}

#[tokio::test]
async fn a_token_for_another_audience_or_of_another_provider_is_refused() {
    let (provider, app) = (identity_provider().await, upstream().reply("*", "ok").start().await);
    let gateway = tidegate().start(&guarded(&app, &discovered(&provider, ""))).await;
    let good = provider.login("ada").token().await;
    get(&gateway, "/", &good).await.expect(200);
    let elsewhere = identity_provider().await;
    let (body, signature) = good.rsplit_once('.').expect("three parts");
    for (what, token) in [
        ("for another audience", provider.login("ada").audience("shop").token().await),
        ("of another provider", elsewhere.login("ada").token().await),
        ("signed by nobody", format!("{body}.")),
        ("with half of its signature", format!("{body}.{}", &signature[..signature.len() / 2])),
        ("that only the provider understands", provider.login("ada").form(TokenForm::Opaque).token().await),
    ] {
        let refused = get(&gateway, "/", &token).await;
        assert_eq!(refused.status, 401, "a token {what}: {refused:#?}");
        let challenge = refused.header("www-authenticate").expect("RFC 9110 section 15.5.2");
        assert!(
            challenge.starts_with("Bearer ") && challenge.contains("error=\"invalid_token\""),
            "{what}: {challenge}"
        );
    }
    let missing = gateway.get("/").await.expect(401);
    let challenge = missing.header("www-authenticate").expect("RFC 9110 section 15.5.2");
    assert!(challenge.starts_with("Bearer ") && !challenge.contains("error"), "{challenge}");
    assert_eq!(app.requests().len(), 1);
}

#[tokio::test]
async fn keys_are_rotated_at_the_provider_and_nobody_notices_until_the_old_ones_go() {
    let (provider, app, clock) = (identity_provider().await, upstream().reply("*", "ok").start().await, clock());
    let fetch = "refresh: 10m, cooldown: 30s";
    let gateway = tidegate().clock(&clock).start(&guarded(&app, &discovered(&provider, fetch))).await;
    let old = provider.login("ada").token().await;
    get(&gateway, "/", &old).await.expect(200);

    provider.rotate_keys().await;
    clock.advance(31 * SECOND);
    let (new, fetched) = (provider.login("ada").token().await, provider.asked("/jwks").await);
    get(&gateway, "/", &new).await.expect(200);
    get(&gateway, "/", &old).await.expect(200);
    assert_eq!(provider.asked("/jwks").await, fetched + 1, "an unknown key is asked for at once");

    provider.retire_old_keys().await;
    for _ in 0..11 {
        clock.advance(MINUTE);
        get(&gateway, "/", &old).await;
    }
    // `refresh` is over. The keys come in real time, so the clock has to stand still until they do.
    wait_until_async("the old key to be forgotten", async || get(&gateway, "/", &old).await.status == 401).await;
    get(&gateway, "/", &new).await.expect(200);
    let fetched = provider.asked("/jwks").await;
    for _ in 0..20 {
        get(&gateway, "/", &old).await.expect(401);
    }
    let more = provider.asked("/jwks").await - fetched;
    assert!(more <= 1, "a key that nobody knows is asked for once in 30 s, not {more} times");
}

#[tokio::test]
async fn tokens_are_checked_with_the_last_keys_while_the_provider_is_down() {
    let (mut provider, app, clock) = (identity_provider().await, upstream().reply("*", "ok").start().await, clock());
    let fetch = "refresh: 5m, cooldown: 30s, keep: 30m, timeout: 20s";
    let yaml = guarded(&app, &discovered(&provider, fetch));
    let gateway = tidegate().clock(&clock).start(&yaml).await;
    let (ada, root) = (provider.login("ada").token().await, provider.login("root").token().await);
    get(&gateway, "/", &ada).await.expect(200);

    provider.stop().await;
    // One that was never seen before, after a reload, with a signature to check.
    gateway.reload(&format!("{yaml}server: {{ drain: {{ delay: 1s }} }}\n")).await.expect("a good configuration");
    get(&gateway, "/", &root).await.expect(200);
    clock.advance(20 * MINUTE);
    get(&gateway, "/", &ada).await.expect(200);
    wait_until_async("the keys to be too old", async || {
        clock.advance(MINUTE);
        get(&gateway, "/", &ada).await.status == 503
    })
    .await;
    assert!(clock.passed() >= 30 * MINUTE, "not before `keep` is over: {:?}", clock.passed());
    assert!(get(&gateway, "/", &ada).await.headers.has("retry-after"));

    provider.restart().await;
    wait_until_async("the provider to be found again", async || {
        clock.advance(31 * SECOND);
        get(&gateway, "/", &ada).await.status == 200
    })
    .await;
}

#[tokio::test]
async fn a_gateway_starts_without_the_provider_and_finds_it_later() {
    let (mut provider, app, clock) = (identity_provider().await, upstream().reply("*", "ok").start().await, clock());
    let token = provider.login("ada").token().await;
    provider.stop().await;
    let fetch = "cooldown: 30s, timeout: 20s";
    let gateway = tidegate().clock(&clock).start(&guarded(&app, &discovered(&provider, fetch))).await;
    let unavailable = get(&gateway, "/", &token).await.expect(503);
    assert!(unavailable.headers.has("retry-after"), "{unavailable:#?}");
    gateway.get("/").await.expect(401);
    provider.restart().await;
    wait_until_async("the provider to be found", async || {
        clock.advance(31 * SECOND);
        get(&gateway, "/", &token).await.status == 200
    })
    .await;
}

#[tokio::test]
async fn tokens_that_only_the_provider_understands_are_asked_about_once_in_a_while() {
    let (mut provider, app, clock) = (identity_provider().await, upstream().reply("*", "ok").start().await, clock());
    let gateway = tidegate().clock(&clock).start(&guarded(&app, &introspected(&provider))).await;
    let token = provider.login("root").form(TokenForm::Opaque).token().await;
    for _ in 0..5 {
        get(&gateway, "/admin/x", &token).await.expect(200);
    }
    assert_eq!(app.requests().pop().expect("it is there").header("x-user-id"), Some("root"));
    let asked = async |provider: &IdentityProvider| provider.asked("/token/introspection").await;
    assert_eq!(asked(&provider).await, 1);
    let shop = provider.login("root").form(TokenForm::Opaque).audience("shop").token().await;
    get(&gateway, "/", &shop).await.expect(401);
    get(&gateway, "/", "nonsense").await.expect(401);

    provider.revoke(&token).await;
    get(&gateway, "/", &token).await.expect(200);
    clock.advance(31 * SECOND);
    get(&gateway, "/", &token).await.expect(401);

    let later = provider.login("ada").form(TokenForm::Opaque).token().await;
    provider.stop().await;
    let unavailable = get(&gateway, "/", &later).await.expect(503);
    assert!(unavailable.headers.has("retry-after"), "{unavailable:#?}");
    provider.restart().await;
    // It remembers nobody.
    wait_until_async("it to be asked again", async || {
        clock.advance(31 * SECOND);
        get(&gateway, "/", &later).await.status == 401
    })
    .await;
}

#[tokio::test]
async fn both_kinds_of_tokens_are_taken_side_by_side() {
    let (provider, app) = (identity_provider().await, upstream().reply("*", "ok").start().await);
    let providers = format!("{}, {}", discovered(&provider, ""), introspected(&provider));
    let gateway = tidegate().start(&guarded(&app, &providers)).await;
    for form in [TokenForm::Es256, TokenForm::Opaque] {
        let token = provider.login("ada").form(form).token().await;
        get(&gateway, "/", &token).await.expect(200);
        assert_eq!(app.requests().pop().expect("it is there").header("x-user-id"), Some("ada"), "{form:?}");
    }
    assert_eq!(provider.asked("/token/introspection").await, 1, "nobody is asked about what can be checked here");
}
