//! What upstreams are told of who is asking (F28, A18).

use serde_json::{Value, json};
use tidegate_core::Method;
use tidegate_testkit::{Http, Recorded, TestGateway, Upstream, upstream};

use super::support::*;

const SPOOFS: [(&str, &str); 6] = [
    ("X-User-ID", "admin"),
    ("x-user-id", "admin"),
    ("X_User_ID", "admin"),
    ("X-User_Role", "admin"),
    ("X.USER.ROLE", "admin"),
    ("X-Tenant", "other"),
];

/// A route for each kind of policy, with identity fields and one more that is stripped.
async fn routes(policies: &[(&str, &str)]) -> (Upstream, TestGateway) {
    let upstream = upstream().reply("/*", "let through").start().await;
    let routes: Vec<_> = policies
        .iter()
        .map(|(name, plugins)| {
            format!("{{ name: {name}, match: {{ path: \"/{name}/**\" }}, upstream: up, plugins: {plugins} }}")
        })
        .collect();
    let yaml = format!(
        "auth:\n  providers: [{}]\n  identity: {{ headers: {{ X-User-ID: sub, X-User-Role: roles }}, strip: [X-Tenant] }}\n\
         upstreams: {{ up: {{ targets: [\"{}\"] }} }}\nrouting: {{ routes: [{}] }}\n",
        hs256(),
        upstream.target(),
        routes.join(", ")
    );
    let gateway = with_auth().start(&yaml).await;
    (upstream, gateway)
}

/// The one request that the upstream saw.
fn seen(upstream: &Upstream) -> Recorded {
    let request = upstream.request();
    upstream.forget();
    request
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_says_of_itself_is_removed_on_every_route() {
    let policies = [
        ("require", "{ auth: require }"),
        ("optional", "{ auth: optional }"),
        ("public", "{ auth: public }"),
        ("none", "{}"),
        ("off", "{ auth: off }"),
    ];
    let (upstream, gateway) = routes(&policies).await;
    let token = token(&claims_with("u1", json!({ "roles": ["user"] })));
    for http in Http::BOTH {
        for (route, _) in policies {
            for with_token in [true, false] {
                let request = gateway.request(Method::GET, &format!("/{route}/x")).by(http).header("X-Other", "stays");
                let request = SPOOFS.iter().fold(request, |request, (name, value)| {
                    // HTTP/2 has lower case alone.
                    let name = if http == Http::Two { name.to_lowercase() } else { (*name).to_owned() };
                    request.header(name, *value)
                });
                let request = if with_token { request.header("Authorization", bearer(&token)) } else { request };
                let answer = request.send().await;
                if route == "require" && !with_token {
                    answer.expect(401);
                    continue;
                }
                answer.expect(200);
                let request = seen(&upstream);
                let known = with_token && matches!(route, "require" | "optional");
                let said = |name: &str| request.headers.all(name).map(str::to_owned).collect::<Vec<_>>();
                let case = format!("{route} by {http:?}, token: {with_token}: {request:#?}");
                assert_eq!(said("X-User-ID"), if known { vec!["u1"] } else { vec![] }, "{case}");
                assert_eq!(said("X-User-Role"), if known { vec!["user"] } else { vec![] }, "{case}");
                for spelled in ["X_User_ID", "X-User_Role", "X.USER.ROLE", "X-Tenant"] {
                    assert_eq!(said(spelled), [] as [&str; 0], "{spelled}: {case}");
                }
                assert!(!request.headers.iter().any(|(_, value)| value == "admin"), "{case}");
                assert_eq!(said("X-Other"), ["stays"], "{case}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn claims_of_all_kinds_become_fields_or_none() {
    let headers = "{ X-Sub: sub, X-Roles: roles, X-Scopes: scopes, X-By: provider, X-Email: email, X-Level: level, \
                   X-Ok: ok, X-Tags: tags, X-Deep: realm.tenant, X-Object: realm, X-None: none }";
    let section = format!("{{ providers: [{}], identity: {{ headers: {headers} }} }}", hs256());
    let (upstream, gateway) = guarded(&section, "require").await;
    let claims = json!({
        "roles": ["admin", "a,b"], "scope": "read write", "email": "J\u{fc}rgen <j@b.example>", "level": 7, "ok": true,
        "tags": ["x", 1, "y z"], "realm": { "tenant": "t\r\n1" },
    });
    let token = token(&claims_with("u 1%", claims));
    gateway.request(Method::GET, "/").header("Authorization", bearer(&token)).send().await.expect(200);
    let request = upstream.request();
    for (name, value) in [
        ("X-Sub", Some("u 1%25")),
        ("X-Roles", Some("admin,a%2Cb")),
        ("X-Scopes", Some("read,write")),
        ("X-By", Some("jwt")),
        ("X-Email", Some("J%C3%BCrgen <j@b.example>")),
        ("X-Level", Some("7")),
        ("X-Ok", Some("true")),
        ("X-Tags", Some("x,1,y z")),
        ("X-Deep", Some("t%0D%0A1")),
        ("X-Object", None),
        ("X-None", None),
    ] {
        assert_eq!(request.header(name), value, "{name}: {request:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_internal_token_says_who_is_asking_and_can_be_checked_with_the_published_keys() {
    let dir = tempfile::tempdir().expect("a directory");
    let upstream = upstream().reply("/*", "let through").start().await;
    let yaml = format!(
        "auth:\n  providers: [{}]\n  service: {{ issuer: \"https://gw.example\", store: {{ file: {:?} }} }}\n  \
         identity: {{ headers: {{}}, token: {{ audience: inner, ttl: 1m, claims: [email] }} }}\n\
         upstreams: {{ up: {{ targets: [\"{}\"] }} }}\n\
         routing: {{ routes: [\n  {{ name: app, match: {{ path: \"/app/**\" }}, upstream: up, plugins: {{ auth: optional }} }},\n  \
         {{ name: auth, match: {{ path: \"/auth/**\" }}, endpoint: {{ auth: {{}} }} }}] }}\n",
        hs256(),
        dir.path().join("auth.redb"),
        upstream.target()
    );
    let gateway = with_auth().start(&yaml).await;
    let ask = async |subject: &str| {
        let claims = claims_with(subject, json!({ "email": "a@b.example", "roles": ["user"], "secret": "inside" }));
        let request = gateway.request(Method::GET, "/app/x").header("X-Identity-Token", "spoofed");
        request.header("Authorization", bearer(&token(&claims))).send().await.expect(200);
        seen(&upstream).header("X-Identity-Token").expect("a token").to_owned()
    };
    let (first, again, other) = (ask("u1").await, ask("u1").await, ask("u2").await);
    assert_eq!(first, again, "it is used again for the same identity");
    assert_ne!(first, other);

    let jwks = gateway.get("/auth/.well-known/jwks.json").await.expect(200).text();
    let jwks: jsonwebtoken::jwk::JwkSet = serde_json::from_str(&jwks).expect("a set of keys");
    let header = jsonwebtoken::decode_header(&first).expect("a head");
    let jwk = jwks.find(header.kid.as_deref().expect("a kid")).expect("its key is published");
    let mut checks = jsonwebtoken::Validation::new(header.alg);
    checks.set_audience(&["inner"]);
    checks.set_issuer(&["https://gw.example"]);
    let key = jsonwebtoken::DecodingKey::from_jwk(jwk).expect("a key");
    let said = jsonwebtoken::decode::<Value>(&first, &key, &checks).expect("good").claims;
    assert_eq!((&said["sub"], &said["email"], &said["roles"]), (&json!("u1"), &json!("a@b.example"), &json!(["user"])));
    assert_eq!(said["exp"].as_u64().zip(said["iat"].as_u64()).map(|(exp, iat)| exp - iat), Some(60));
    assert!(said.get("secret").is_none() && said["jti"].is_string(), "{said}");

    gateway.request(Method::GET, "/app/x").header("X-Identity-Token", "spoofed").send().await.expect(200);
    assert_eq!(seen(&upstream).header("X-Identity-Token"), None, "nobody is nobody");
    let taken = gateway.request(Method::GET, "/app/x").header("Authorization", bearer(&first)).send().await;
    taken.expect(401);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_internal_token_never_outlives_what_was_proved() {
    let dir = tempfile::tempdir().expect("a directory");
    let section = format!(
        "{{ providers: [{}], service: {{ issuer: \"https://gw.example\", store: {{ file: {:?} }} }}, \
         identity: {{ token: {{ ttl: 10m }} }} }}",
        hs256(),
        dir.path().join("auth.redb")
    );
    let (upstream, gateway) = guarded(&section, "require").await;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("later").as_secs();
    let token = token(&json!({ "sub": "u1", "exp": now + 100 }));
    gateway.request(Method::GET, "/").header("Authorization", bearer(&token)).send().await.expect(200);
    let inner = upstream.request().header("X-Identity-Token").expect("a token").to_owned();
    let claims = jsonwebtoken::dangerous::insecure_decode::<Value>(&inner).expect("a token").claims;
    assert_eq!(claims["exp"], json!(now + 100));
}

/// Clocks differ: a token is taken for a while after it has expired. What upstreams get must not have expired before it was
/// issued.
#[tokio::test(flavor = "multi_thread")]
async fn an_internal_token_for_a_proof_that_has_just_expired_is_good_for_a_moment() {
    let dir = tempfile::tempdir().expect("a directory");
    let section = format!(
        "{{ providers: [{}], service: {{ issuer: \"https://gw.example\", store: {{ file: {:?} }} }}, identity: {{ token: {{}} }} }}",
        hs256(),
        dir.path().join("auth.redb")
    );
    let (upstream, gateway) = guarded(&section, "require").await;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("later").as_secs();
    let token = token(&json!({ "sub": "u1", "exp": now - 10 }));
    gateway.request(Method::GET, "/").header("Authorization", bearer(&token)).send().await.expect(200);
    let inner = upstream.request().header("X-Identity-Token").expect("a token").to_owned();
    let claims = jsonwebtoken::dangerous::insecure_decode::<Value>(&inner).expect("a token").claims;
    let (issued, expires) = (claims["iat"].as_u64().expect("a time"), claims["exp"].as_u64().expect("a time"));
    assert!(issued >= now && expires == issued + 5, "{claims}");
}

/// RFC 9110 section 7.6.1: what `Connection` names is dropped by the next proxy. A client must not get to name what the
/// gateway says (as in CVE-2022-31813).
#[tokio::test(flavor = "multi_thread")]
async fn a_client_cannot_have_its_identity_dropped_on_the_way() {
    let (upstream, gateway) = routes(&[("require", "{ auth: require }")]).await;
    let token = token(&claims_with("u1", json!({ "roles": ["user"] })));
    for named in ["X-User-ID", "close, x-user-id , X-User-Role", "keep-alive, x_user_id"] {
        let request = gateway.request(Method::GET, "/require/x").header("Connection", named);
        request.header("Authorization", bearer(&token)).send().await.expect(200);
        let request = seen(&upstream);
        assert_eq!((request.header("X-User-ID"), request.header("X-User-Role")), (Some("u1"), Some("user")), "{named}");
        let told = request.headers.all("Connection").collect::<Vec<_>>().join(",").to_lowercase();
        assert!(!told.contains("user"), "{named}: {request:#?}");
    }
}
