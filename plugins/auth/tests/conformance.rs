//! What every plugin must keep to, and what a check allocates.

use tidegate_auth::bench::{Checks, Request};
use tidegate_testkit::allocations;

tidegate_testkit::conformance!(tidegate_auth::Auth, "../README.md");

#[test]
fn a_token_that_is_remembered_is_checked_without_an_allocation() {
    const SECRET: &str = "a-secret-of-the-tests-that-is-long-enough-for-hs256";
    let section = format!("{{ providers: [{{ jwt: {{ keys: [{{ secret: {SECRET}, algorithms: [HS256] }}] }} }}] }}");
    let claims = serde_json::json!({ "sub": "u1", "exp": 4_102_444_800_u64, "jti": "a", "roles": ["user"] });
    let key = jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes());
    let token = jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).expect("a token");
    let request = Request::bearer(&token);
    for revoked in [0, 1000] {
        let checks = Checks::new(&section, revoked);
        assert!(allocations(|| assert!(checks.check(&request))) > 0, "the first time it is verified");
        let made = allocations(|| (0..1000).for_each(|_| assert!(checks.check(&request))));
        assert_eq!(made, 0, "with {revoked} revoked");
    }
}
