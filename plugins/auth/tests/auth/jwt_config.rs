//! What is wrong with a JWT provider is said before it runs.

use serde_json::json;

use crate::support::{ES256, RS256, SECRET, jwks, with_auth};

#[tokio::test]
async fn weak_keys_are_refused_at_load() {
    let check = |key: &str| {
        let yaml = format!("auth: {{ providers: [{{ jwt: {{ keys: [{key}] }} }}] }}\n");
        with_auth().check(&yaml).expect_err(key)
    };
    let short = check("{ secret: \"thirty-one-bytes-are-one-less..\", algorithms: [HS256] }");
    assert!(short.contains("32 bytes") && short.contains("providers[0].jwt.keys[0].secret"), "{short}");
    assert!(!short.contains("thirty-one"), "a secret in an error: {short}");
    assert!(check(&format!("{{ secret: \"{}\", algorithms: [HS256, HS512] }}", &SECRET[..40])).contains("64 bytes"));
    assert!(check("{ secret: \"\", algorithms: [HS256] }").contains("jwt.keys[0].secret"));
    assert!(check(&format!("{{ secret: \"{SECRET}\" }}")).contains("algorithms"));
    assert!(check(&format!("{{ secret: \"{SECRET}\", algorithms: [RS256] }}")).contains("RS256"));

    let rsa = include_str!("../../src/jwt/testdata/rsa1024.pem");
    assert!(check(&format!("{{ pem: {rsa:?} }}")).contains("2048"));
    let p521 = include_str!("../../src/jwt/testdata/p521.pem");
    assert!(check(&format!("{{ pem: {p521:?}, algorithms: [ES256] }}")).contains("ES256"));
    let ed448 = "-----BEGIN PUBLIC KEY-----\nMEMwBQYDK2VxAzoAX9dEm1m0Yf0s54fsYWrUaibnxKVhtKkVAHTVBUhMKL1aYzZ0\nlOnTAdKgiA9F0n+TnUg/4yzJvGgA\n-----END PUBLIC KEY-----\n";
    assert!(check(&format!("{{ pem: {ed448:?} }}")).contains("P-256"));
    let public = &RS256.public_pem;
    assert!(check(&format!("{{ pem: {public:?}, algorithms: [HS256] }}")).contains("HS256"));
    assert!(check(&format!("{{ pem: {:?} }}", RS256.private_pem)).contains("private"));
    assert!(check(&format!("{{ secret: {public:?}, algorithms: [RS256] }}")).contains("RS256"));
}

#[tokio::test]
async fn what_is_wrong_with_a_provider_is_said_all_at_once() {
    let check = |settings: &str| {
        let yaml = format!("auth: {{ providers: [{{ jwt: {{ {settings} }} }}] }}\n");
        with_auth().check(&yaml)
    };
    let errors = check(
        "leeway: 6m, max_lifetime: 0s, any_audience: true, audience: [a, \"\"], subject: \"\", issuer: \"\", require: [\"\"], \
         keys: [{ id: \"\", pem: x }, { secret: x, pem: y }, { }, { file: /nowhere/key.pem }, { secret_base64: \"!\", algorithms: [HS256] }]",
    )
    .expect_err("all of it");
    for part in [
        "jwt.leeway",
        "jwt.max_lifetime",
        "jwt.any_audience",
        "jwt.audience[1]",
        "jwt.subject",
        "jwt.issuer",
        "jwt.require[0]",
        "jwt.keys[0].id",
        "jwt.keys[1]",
        "jwt.keys[2]",
        "jwt.keys[3].file",
        "jwt.keys[4].secret_base64",
    ] {
        assert!(errors.contains(part), "{part} in {errors}");
    }
    for (settings, part) in [
        ("", "no keys"),
        ("jwks: {}", "jwt.jwks"),
        ("jwks: { url: \"https://a.test/\", file: /x }", "jwt.jwks"),
        ("jwks: { url: \"a.test/keys\" }", "jwt.jwks.url"),
        ("jwks: { url: \"https://u:p@a.test/\" }", "jwt.jwks.url"),
        ("jwks: { url: \"https://a.test/\", fetch: { cooldown: 0s } }", "jwt.jwks.fetch.cooldown"),
        ("jwks: { url: \"https://a.test/\", fetch: { ca: /nowhere/ca.pem } }", "jwt.jwks.fetch.ca"),
        ("jwks: { url: \"https://a.test/\" }, algorithms: [RS256, HS256]", "jwt.algorithms[1]"),
        ("jwks: { file: /nowhere/set.json }", "jwt.jwks.file"),
        ("jwks: { file: /nowhere/set.json, fetch: { refresh: 1m } }", "jwt.jwks.fetch"),
        ("discovery: {}", "jwt.discovery.issuer"),
        ("discovery: { issuer: \"https://a.test?x=1\" }", "jwt.discovery.issuer"),
        ("discovery: { issuer: \"https://a.test\" }, jwks: { url: \"https://a.test/\" }", "more than one place"),
    ] {
        let errors = check(settings).expect_err(settings);
        assert!(errors.contains(part), "{part} in {errors}");
    }
    let never = format!("keys: [{{ secret: \"{SECRET}\", algorithms: [HS256] }}], algorithms: [ES256]");
    assert!(check(&never).expect_err("never used").contains("never be used"));
    // Nothing is contacted: nobody listens there.
    check("jwks: { url: \"http://127.0.0.1:1/jwks\" }").expect("nothing is wrong with it");
    check("discovery: { issuer: \"https://issuer.invalid\" }").expect("nothing is wrong with it");
}

#[tokio::test]
async fn a_set_in_a_file_must_have_a_key_that_can_be_used() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let check = |text: &str| {
        std::fs::write(file.path(), text).expect("written");
        let yaml = format!("auth: {{ providers: [{{ jwt: {{ jwks: {{ file: {:?} }} }} }}] }}\n", file.path());
        with_auth().check(&yaml)
    };
    check(&jwks(&[&RS256])).expect("a set");
    let mut private = ES256.jwk();
    private["d"] = json!("AAAA");
    for bad in ["", "{}", r#"{"keys":[]}"#, &json!({"keys": [private]}).to_string(), &" ".repeat(1024 * 1024 + 1)] {
        assert!(check(bad).expect_err("no keys").contains("jwks.file"));
    }
}
