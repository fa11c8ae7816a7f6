//! No stored answer crosses identities (RFC 9111 section 3.5; row I4).

use http::Method;
use tidegate_testkit::{Http, Script};

use crate::{is_hit, minute, stage, told};

#[tokio::test]
async fn answers_to_known_people_are_stored_only_where_they_are_for_everybody() {
    for credentials in [("authorization", "Bearer x"), ("x-login", "ann")] {
        for (says, stored) in [
            ("max-age=60", false),
            ("public, max-age=60", true),
            ("s-maxage=60", true),
            ("max-age=60, must-revalidate", true),
        ] {
            let stage = stage("{}", Script::reply("x").header("Cache-Control", says)).await;
            stage.ask("/a", &[credentials]).await.expect(200);
            let again = stage.ask("/a", &[credentials]).await.expect(200);
            assert_eq!(is_hit(&again), stored, "{says}: {}", told(&again));
        }
    }
}

#[tokio::test]
async fn what_anybody_got_is_not_given_to_known_people_nor_the_other_way_round() {
    let stage = stage("{}", minute("anonymous").then(minute("ann's").header("X-For", "ann"))).await;
    assert_eq!(stage.get("/me").await.text(), "anonymous");
    let ann = stage.ask("/me", &[("x-login", "ann")]).await.expect(200);
    assert_eq!(ann.text(), "ann's");
    for _ in 0..2 {
        assert_eq!(stage.get("/me").await.text(), "anonymous");
    }
}

/// Whatever the upstream says of it: in this mode nobody sees what was made for another one.
#[tokio::test]
async fn two_people_never_see_one_anothers_answers() {
    for http in Http::BOTH {
        for says in ["private, max-age=60", "public, max-age=60", "max-age=60", "s-maxage=60, max-age=60", ""] {
            let one = |body: &'static str| Script::reply(body).header("Cache-Control", says);
            let stage = stage("mode: private_per_identity", one("ann's").then(one("bob's")).then(one("admin's"))).await;
            let ask = async |who: &str, roles: &str| {
                let request = stage.gateway.request(Method::GET, "/me").by(http).header("x-login", who);
                request.header("x-roles", roles).send().await.expect(200)
            };
            for round in 0..3 {
                for (who, roles, text) in
                    [("ann", "user", "ann's"), ("bob", "user", "bob's"), ("ann", "user admin", "admin's")]
                {
                    let answer = ask(who, roles).await;
                    assert_eq!((answer.text().as_str(), is_hit(&answer)), (text, round > 0), "{says} {who} {roles}");
                }
            }
        }
    }
}

#[tokio::test]
async fn nobody_in_particular_bypasses_a_private_cache_or_shares_what_is_for_all() {
    let private = stage("mode: private_per_identity", minute("x")).await;
    private.get("/a").await.expect(200);
    assert_eq!(told(&private.get("/a").await), "tidegate; fwd=bypass; fwd-status=200; detail=anonymous");
    let unknown = private.ask("/a", &[("authorization", "Bearer x")]).await;
    assert_eq!(told(&unknown), "tidegate; fwd=bypass; fwd-status=200; detail=unknown_identity");
    let shared = stage("mode: private_per_identity\nanonymous: share", minute("x").then(minute("ann's"))).await;
    shared.get("/a").await.expect(200);
    assert!(is_hit(&shared.get("/a").await));
    assert_eq!(shared.ask("/a", &[("x-login", "ann")]).await.text(), "ann's");
    assert_eq!(shared.get("/a").await.text(), "x");
}

/// Many people at once, for the same URL, with a cache that keeps what it can: each sees their own name only.
#[tokio::test]
async fn a_crowd_that_asks_at_once_gets_everybody_their_own() {
    let clock = tidegate_testkit::manual_clock();
    let app = tidegate_testkit::upstream().route("/*", Script::raw("")).start().await;
    // The upstream says who was named to it.
    for who in 0..20 {
        let body = format!("for {who}");
        app.set(&format!("/{who}"), Script::reply(body).header("Cache-Control", "max-age=60"));
    }
    let gateway = crate::builder(&clock)
        .start(&crate::config(&app.target(), "mode: private_per_identity\nkey: { query: none }"))
        .await;
    let mut all = tokio::task::JoinSet::new();
    for nth in 0..200_usize {
        let (addr, who) = (gateway.addr(), nth % 20);
        all.spawn(async move {
            let mut client = tidegate_testkit::Client::connect(addr).await;
            let call = tidegate_testkit::call(Method::GET, format!("/{who}?{nth}")).header("x-login", who.to_string());
            (who, client.try_send(call).await.expect("an answer"))
        });
    }
    while let Some(done) = all.join_next().await {
        let (who, answer) = done.expect("no panic");
        assert_eq!(answer.text(), format!("for {who}"));
    }
    assert_eq!(app.requests().len(), 20);
}

/// A cache between here and the client would share it.
#[tokio::test]
async fn what_somebody_known_gets_is_not_said_to_be_for_everybody() {
    let policy = "rules:\n  - match: { extensions: [css] }\n    cache_control: public, max-age=600";
    for (says, credentials, told) in [
        ("max-age=60", ("authorization", "Bearer x"), "max-age=60"),
        ("max-age=60", ("x-login", "ann"), "max-age=60"),
        ("public, max-age=60", ("x-login", "ann"), "public, max-age=600"),
        ("max-age=60", ("x-nobody", ""), "public, max-age=600"),
    ] {
        let stage = stage(policy, Script::reply("x").header("Cache-Control", says)).await;
        for _ in 0..2 {
            let answer = stage.ask("/a.css", &[credentials]).await.expect(200);
            assert_eq!(answer.header("cache-control"), Some(told), "{says} {credentials:?}");
        }
    }
}

/// Two tokens of the same person, of which the upstream sees more than roles and scopes.
#[tokio::test]
async fn other_claims_of_the_same_person_have_other_answers() {
    for (claims, shared) in [("", false), ("claims: { allow: [tenant] }", false), ("claims: none", true)] {
        let policy = format!("mode: private_per_identity\nkey: {{ {claims} }}");
        let stage = stage(&policy, minute("of one").then(minute("of two"))).await;
        let ask = async |tenant: &str| stage.ask("/me", &[("x-login", "ann"), ("x-tenant", tenant)]).await.expect(200);
        assert_eq!(ask("one").await.text(), "of one");
        assert_eq!(ask("two").await.text() == "of one", shared, "{claims}");
        assert!(is_hit(&ask("one").await), "{claims}");
    }
}
