//! Who gets through which policy, and what the others are told (F20, F21, F27, F42).

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;
use tidegate_core::Method;
use tidegate_testkit::{Answer, Http, TestGateway, Upstream, call, upstream};

use super::support::*;

/// A gateway with one route for each policy, and a token service whose store knows what is revoked.
struct Matrix {
    upstream: Upstream,
    gateway: TestGateway,
    dir: tempfile::TempDir,
}

const POLICIES: [(&str, &str); 6] = [
    ("require", "{ auth: require }"),
    ("map", "{ auth: { require: {} } }"),
    ("optional", "{ auth: optional }"),
    ("deny", "{ auth: deny }"),
    ("public", "{ auth: public }"),
    ("none", "{}"),
];

impl Matrix {
    async fn start() -> Self {
        let upstream = upstream().reply("/*", "let through").start().await;
        let dir = tempfile::tempdir().expect("a directory");
        let gateway = with_auth().start(&Self::yaml(&upstream, &dir, "")).await;
        Self { upstream, gateway, dir }
    }

    fn yaml(upstream: &Upstream, dir: &tempfile::TempDir, default: &str) -> String {
        let store = dir.path().join("auth.redb");
        let routes: Vec<_> = POLICIES
            .iter()
            .map(|(name, plugins)| {
                format!("{{ name: {name}, match: {{ path: \"/{name}/**\" }}, upstream: up, plugins: {plugins} }}")
            })
            .collect();
        format!(
            "auth:\n  providers: [{}]\n  service: {{ issuer: \"https://gw.example\", store: {{ file: {store:?} }} }}\n\
             {default}upstreams: {{ up: {{ targets: [\"{}\"] }} }}\nrouting: {{ routes: [{}] }}\n",
            hs256(),
            upstream.target(),
            routes.join(", ")
        )
    }

    async fn ask(&self, http: Http, path: &str, token: Option<&str>) -> Answer {
        let request = self.gateway.request(Method::GET, path).by(http).header("X-User-ID", "spoofed");
        match token {
            Some(token) => request.header("Authorization", bearer(token)).send().await,
            None => request.send().await,
        }
    }

    /// Revokes a token by its `jti`, as an operator does.
    async fn revoke(&self, jti: &str) {
        let mut admin = tidegate_testkit::Client::connect(self.gateway.admin_addr()).await;
        admin.send(call(Method::POST, format!("/auth/revoke?jti={jti}"))).await.expect(200);
    }
}

fn code(answer: &Answer) -> String {
    match answer.status {
        200 => "200".to_owned(),
        status => format!("{status} {}", answer.json()["code"].as_str().unwrap_or("without a code")),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_policy_meets_every_kind_of_token() {
    let matrix = Matrix::start().await;
    let good = token(&claims("u1"));
    let forged = forged(&good);
    let expired = token(&json!({ "sub": "u1", "exp": 1_000_000_000 }));
    let revoked = token(&claims_with("u1", json!({ "jti": "gone" })));
    matrix.revoke("gone").await;
    let tokens = [None, Some(&good), Some(&forged), Some(&expired), Some(&revoked)];
    let unknown = ["401 missing_token", "401 invalid_token", "401 token_expired", "401 token_revoked"];
    let [missing, invalid, over, gone] = unknown;
    for http in Http::BOTH {
        for (policy, expected) in [
            ("require", [missing, "200", invalid, over, gone]),
            ("map", [missing, "200", invalid, over, gone]),
            ("optional", ["200", "200", invalid, over, gone]),
            ("deny", [missing, "403 forbidden", invalid, over, gone]),
            ("public", ["200"; 5]),
            ("none", ["200"; 5]),
        ] {
            for (token, expected) in tokens.iter().zip(expected) {
                matrix.upstream.forget();
                let answer = matrix.ask(http, &format!("/{policy}/x"), token.map(String::as_str)).await;
                assert_eq!(code(&answer), expected, "{policy} by {http:?} with {token:?}");
                let seen = matrix.upstream.requests();
                assert_eq!(seen.len(), usize::from(expected == "200"), "{policy} with {token:?}");
                let known = *token == Some(&good) && matches!(policy, "require" | "map" | "optional");
                for request in seen {
                    let said: Vec<_> = request.headers.all("X-User-ID").collect();
                    assert_eq!(said, if known { vec!["u1"] } else { vec![] }, "{policy} with {token:?}");
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_default_holds_for_routes_without_a_policy_and_for_requests_without_a_route() {
    let matrix = Matrix::start().await;
    let with_default = Matrix::yaml(&matrix.upstream, &matrix.dir, "  default: require\n");
    matrix.gateway.reload(&with_default).await.expect("reloaded");
    let good = token(&claims("u1"));
    for (path, without, with) in [
        ("/none/x", "401 missing_token", "200"),
        ("/nowhere", "401 missing_token", "404 not_found"),
        ("/public/x", "200", "200"),
        ("/optional/x", "200", "200"),
    ] {
        assert_eq!(code(&matrix.ask(Http::One, path, None).await), without, "{path}");
        assert_eq!(code(&matrix.ask(Http::One, path, Some(&good)).await), with, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn challenges_say_exactly_what_rfc_6750_wants() {
    let (_upstream, gateway) = guarded(&format!("{{ providers: [{}], realm: shop }}", hs256()), "require").await;
    let good = token(&claims("u1"));
    let invalid = |why: &str| format!(r#"Bearer realm="shop", error="invalid_token", error_description="{why}""#);
    let twice =
        r#"Bearer realm="shop", error="invalid_request", error_description="there is more than one credential""#;
    for (credentials, challenge) in [
        (vec![], r#"Bearer realm="shop""#.to_owned()),
        (vec![bearer("a.b.c")], invalid("the credential is malformed")),
        (vec![bearer(&forged(&good))], invalid("the signature can't be verified")),
        (vec![bearer(&token(&json!({ "sub": "u1", "exp": 1 })))], invalid("the token has expired")),
        (vec![bearer(&token(&claims_with("u1", json!({ "nbf": FAR }))))], invalid("the token is not valid yet")),
        (
            vec![bearer(&token(&claims_with("u1", json!({ "aud": "else" }))))],
            invalid("the token is not meant for this"),
        ),
        (vec!["Digest x".to_owned()], invalid("the credential is not valid")),
        (vec![bearer(&good), bearer(&good)], twice.to_owned()),
        (vec![bearer(&good), "Basic YTpi".to_owned()], twice.to_owned()),
    ] {
        for http in Http::BOTH {
            let request = gateway.request(Method::GET, "/").by(http);
            let request = credentials.iter().fold(request, |request, value| request.header("Authorization", value));
            let answer = request.send().await.expect(401);
            let said: Vec<_> = answer.headers.all("WWW-Authenticate").collect();
            assert_eq!(said, [&*challenge], "{credentials:?} by {http:?}");
            assert_eq!(answer.header("Cache-Control"), Some("no-store"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scope_that_lacks_is_named_and_other_rules_are_not() {
    let policy = "{ require: { scopes: [\"users:read\", \"users:write\"], roles: [admin] } }";
    let (_upstream, gateway) = guarded(&format!("{{ providers: [{}] }}", hs256()), policy).await;
    let ask = async |more| {
        let token = token(&claims_with("u1", more));
        gateway.request(Method::GET, "/").header("Authorization", bearer(&token)).send().await
    };
    let answer = ask(json!({ "roles": ["admin"], "scope": "users:read" })).await;
    assert_eq!(code(&answer), "403 insufficient_scope");
    let challenge = r#"Bearer realm="api", error="insufficient_scope", scope="users:read users:write""#;
    assert_eq!(answer.header("WWW-Authenticate"), Some(challenge));
    let answer = ask(json!({ "scope": "users:read users:write" })).await;
    assert_eq!(code(&answer), "403 forbidden");
    assert!(!answer.headers.has("WWW-Authenticate") && !answer.text().contains("admin"), "{answer:#?}");
    ask(json!({ "roles": ["admin"], "scope": "users:read users:write" })).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_in_the_access_log_and_the_metrics_with_their_codes() {
    let (_upstream, gateway) = guarded(&format!("{{ providers: [{}] }}", hs256()), "require").await;
    let expired = token(&json!({ "sub": "u1", "exp": 1 }));
    let good = token(&claims("u1"));
    for credential in [&expired, &good, &good] {
        gateway.request(Method::GET, "/").header("Authorization", bearer(credential)).send().await;
    }
    gateway.get("/").await.expect(401);
    let log = gateway.access_log(4).await;
    assert!(log[0].contains("token_expired") && log[3].contains("missing_token"), "{log:#?}");
    assert!(log[1].contains("u1"), "{log:#?}");
    let leaked = |text: &str| [&expired, &good].iter().any(|token| text.contains(&token[token.len() - 20..]));
    assert!(!log.iter().any(|line| leaked(line)), "{log:#?}");
    let metrics = gateway.metrics().await;
    let checks = |result| metrics.sum("tidegate_auth_checks_total", &[("provider", "jwt"), ("result", result)]);
    assert_eq!((checks("proved"), checks("expired"), checks("signature")), (2.0, 1.0, 0.0));
    let refused = |code| metrics.sum("tidegate_auth_refused_total", &[("route", "guarded"), ("code", code)]);
    assert_eq!((refused("token_expired"), refused("missing_token")), (1.0, 1.0));
    assert_eq!(metrics.sum("tidegate_auth_cache_entries", &[]), 1.0);
    assert_eq!(metrics.sum("tidegate_auth_cache_misses_total", &[]), 2.0);
}

/// Each way in which a check fails has its own label (F2), and none of them is an error of ours.
#[tokio::test(flavor = "multi_thread")]
async fn every_reason_is_counted_by_its_own_name() {
    let provider = format!(
        "{{ jwt: {{ keys: [{{ id: k, secret: \"{SECRET}\", algorithms: [HS256] }}], issuer: me, max_lifetime: 1h }} }}"
    );
    let (_upstream, gateway) = guarded(&format!("{{ providers: [{provider}] }}"), "require").await;
    let key = jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes());
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("later").as_secs();
    let with = |alg, kid: &str, typ: &str, more: serde_json::Value| {
        let header = jsonwebtoken::Header {
            typ: Some(typ.to_owned()),
            kid: Some(kid.to_owned()),
            ..jsonwebtoken::Header::new(alg)
        };
        let base = json!({ "sub": "u1", "iss": "me", "iat": now, "exp": now + 60 });
        let mut all = base.as_object().cloned().expect("a map");
        all.extend(more.as_object().cloned().expect("a map"));
        jsonwebtoken::encode(&header, &all, &key).expect("a token")
    };
    use jsonwebtoken::Algorithm::{HS256, HS512};
    let good = with(HS256, "k", "JWT", json!({}));
    for (credential, reason) in [
        (good.clone(), "proved"),
        ("a.b".to_owned(), "malformed"),
        (with(HS512, "k", "JWT", json!({})), "algorithm"),
        (with(HS256, "other", "JWT", json!({})), "unknown_key"),
        (format!("{}AA", &good[..good.len() - 2]), "signature"),
        (with(HS256, "k", "JWT", json!({ "exp": now - 3600, "iat": now - 7200 })), "expired"),
        (with(HS256, "k", "JWT", json!({ "nbf": now + 1000 })), "not_yet_valid"),
        (with(HS256, "k", "JWT", json!({ "exp": now + 9000 })), "lifetime"),
        (with(HS256, "k", "JWT", json!({ "iss": "you" })), "issuer"),
        (with(HS256, "k", "JWT", json!({ "aud": "you" })), "audience"),
        (with(HS256, "k", "secevent+jwt", json!({})), "type"),
    ] {
        let labels = [("provider", "jwt"), ("result", reason)];
        let before = gateway.metric("tidegate_auth_checks_total", &labels).await;
        let answer = gateway.request(Method::GET, "/").header("Authorization", bearer(&credential)).send().await;
        assert_eq!(answer.status, if reason == "proved" { 200 } else { 401 }, "{reason}: {answer:#?}");
        let after = gateway.metric("tidegate_auth_checks_total", &labels).await;
        assert_eq!(after - before, 1.0, "{reason}");
    }
}

#[test]
fn what_cannot_work_is_refused_at_load_with_its_place() {
    let check = |section: &str, policy: &str| {
        let yaml = format!(
            "auth: {section}\nupstreams: {{ up: {{ targets: [\"127.0.0.1:9\"] }} }}\n\
             routing: {{ routes: [{{ name: r, upstream: up, plugins: {{ auth: {policy} }} }}] }}\n"
        );
        with_auth().check(&yaml).expect_err("refused")
    };
    let jwt = hs256();
    let named = |name: &str| jwt.replacen("{ jwt", &format!("{{ name: {name}, jwt"), 1);
    for (section, policy, said) in [
        ("{}".to_owned(), "require", "nobody could prove who they are"),
        ("{}".to_owned(), "optional", "nobody could prove who they are"),
        (format!("{{ providers: [{jwt}] }}"), "{ require: {}, providers: [jvt] }", "there is no provider `jvt`"),
        (format!("{{ providers: [{jwt}, {jwt}] }}"), "require", "is called `jwt` already"),
        (
            format!("{{ providers: [{}, {}] }}", named("staff-tokens"), named("staff-tokens")),
            "require",
            "is called `staff-tokens` already",
        ),
        ("{ providers: [{ name: x }] }".to_owned(), "deny", "exactly one kind"),
        (format!("{{ providers: [{}] }}", jwt.replacen("{ jwt", "{ basic: {}, jwt", 1)), "deny", "exactly one kind"),
        (format!("{{ providers: [{jwt}, {{ service: {{}} }}] }}"), "require", "there is no token service"),
        (format!("{{ providers: [{}] }}", named("\"a b\"")), "require", "visible characters"),
        (format!("{{ providers: [{jwt}], realm: \"\" }}"), "require", "visible ASCII"),
        (
            format!("{{ providers: [{jwt}], revocation: {{ mode: strict }} }}"),
            "require",
            "no store that could be asked",
        ),
        (format!("{{ providers: [{jwt}], revocation: {{ learn: 1ms }} }}"), "require", "50ms"),
        (format!("{{ providers: [{jwt}], revocation: {{ store: nowhere }} }}"), "require", "nowhere"),
    ] {
        let errors = check(&section, policy);
        assert!(errors.contains(said), "{section} with {policy}:\n{errors}");
    }
    let errors = check(&format!("{{ providers: [{jwt}] }}"), "{ require: {}, providers: [jvt] }");
    assert!(errors.contains("there are: jwt") && errors.contains("providers[0]"), "{errors}");
}

/// What a request has to show.
#[derive(Debug, Clone)]
enum Shown {
    Nothing,
    Good { roles: Vec<&'static str>, scopes: Vec<&'static str> },
    Forged,
    Expired,
    NoToken,
}

fn shown() -> impl Strategy<Value = Shown> {
    let words = |words: &'static [&'static str]| proptest::sample::subsequence(words, 0..=words.len());
    prop_oneof![
        Just(Shown::Nothing),
        Just(Shown::Forged),
        Just(Shown::Expired),
        Just(Shown::NoToken),
        (words(&["admin", "user"]), words(&["read", "write"]))
            .prop_map(|(roles, scopes)| Shown::Good { roles, scopes }),
    ]
}

impl Shown {
    fn credential(&self) -> Option<String> {
        match self {
            Shown::Nothing => None,
            Shown::Good { roles, scopes } => {
                Some(bearer(&token(&claims_with("u1", json!({ "roles": roles, "scope": scopes.join(" ") })))))
            }
            Shown::Forged => Some(bearer(&forged(&token(&claims_with("u1", json!({ "roles": ["admin"] })))))),
            Shown::Expired => Some(bearer(&token(&json!({ "sub": "u1", "exp": 5, "roles": ["admin"] })))),
            Shown::NoToken => Some("Bearer x".to_owned()),
        }
    }
}

/// Every combination of what a policy may say, each a route.
fn policies() -> Vec<String> {
    let words: [&[&str]; 4] = [&["optional"], &["deny"], &["public"], &["require"]];
    let mut all: Vec<String> = words.concat().into_iter().map(str::to_owned).collect();
    for roles in ["", "roles: [admin]", "roles: [admin, user]"] {
        for scopes in ["", "scopes: [read]", "scopes: [read, write]"] {
            let said: Vec<_> = [roles, scopes].into_iter().filter(|said| !said.is_empty()).collect();
            all.push(format!("{{ require: {{ {} }} }}", said.join(", ")));
        }
    }
    all
}

#[test]
fn never_403_without_an_identity_and_never_401_with_a_valid_one() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let policies = policies();
    let (_upstream, gateway) = runtime.block_on(async {
        let upstream = upstream().reply("/*", "let through").start().await;
        let routes: Vec<_> = policies
            .iter()
            .enumerate()
            .map(|(n, policy)| {
                format!("{{ name: r{n}, match: {{ path: /r{n} }}, upstream: up, plugins: {{ auth: {policy} }} }}")
            })
            .collect();
        let yaml = format!(
            "auth: {{ providers: [{}] }}\nupstreams: {{ up: {{ targets: [\"{}\"] }} }}\nrouting: {{ routes: [{}] }}\n",
            hs256(),
            upstream.target(),
            routes.join(", ")
        );
        let gateway = with_auth().start(&yaml).await;
        (upstream, gateway)
    });
    let client = std::cell::RefCell::new(runtime.block_on(gateway.connect()));
    let statuses = std::cell::RefCell::new(std::collections::BTreeSet::new());
    let mut runner = TestRunner::new(Config { cases: 400, failure_persistence: None, ..Config::default() });
    let strategy = (0..policies.len(), shown());
    let held = runner.run(&strategy, |(n, shown)| {
        let mut request = call(Method::GET, format!("/r{n}"));
        if let Some(credential) = shown.credential() {
            request = request.header("Authorization", credential);
        }
        let answer = runtime.block_on(client.borrow_mut().send(request));
        statuses.borrow_mut().insert(answer.status);
        let known = matches!(shown, Shown::Good { .. });
        prop_assert!(answer.status != 403 || known, "403 for nobody: {} with {shown:?}", policies[n]);
        prop_assert!(answer.status != 401 || !known, "401 for somebody: {} with {shown:?}", policies[n]);
        prop_assert!(matches!(answer.status, 200 | 401 | 403), "{}: {} with {shown:?}", answer.status, policies[n]);
        Ok(())
    });
    held.unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(statuses.into_inner().into_iter().collect::<Vec<_>>(), [200, 401, 403], "all were seen");
}
