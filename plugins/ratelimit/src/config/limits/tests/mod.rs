mod choices;
mod refusals;

use serde_json::{Value, json};
use tidegate_core::RouteId;
use tidegate_core::facts::Identity;

use super::*;
use crate::key::tests::Someone;
use crate::rule::{Rule, Shape};

fn section(text: Value) -> Config {
    serde_json::from_value(text).expect("a section")
}

fn policy(text: Value) -> Policy {
    serde_json::from_value(text).expect("a policy")
}

fn route() -> Route {
    Route::new(RouteId(0), "users", vec!["project".into()], ConfigPath::root(), "/users/{project}")
}

fn built_with(config: Value, asked: Value) -> Result<Limits, ConfigErrors> {
    Limits::build(&policy(asked), &Shared::build(&section(config))?, &route())
}

fn built(limit: Value) -> Limits {
    built_with(json!({}), json!({ "limits": [limit] })).expect("valid")
}

fn refused(limit: Value) -> String {
    built_with(json!({}), json!({ "limits": [limit.clone()] })).expect_err(&limit.to_string()).to_string()
}

fn rule(limits: &Limits, identity: Option<&Identity>) -> Rule {
    Rule::clone(&limits.all()[0].rule(identity))
}

fn rate(text: &str) -> tidegate_core::config::Rate {
    text.parse().expect(text)
}

fn user(claims: Value) -> Identity {
    let Value::Object(claims) = claims else { panic!("claims are an object") };
    Identity::new("alice", "jwt", claims)
}

#[test]
fn every_kind_of_limit_is_built() {
    let none = std::time::Duration::ZERO;
    let half = std::time::Duration::from_millis(500);
    for (limit, expected) in [
        (json!({ "rate": "100/15m" }), Rule::token_bucket(100, rate("100/15m"), none)),
        (json!({ "capacity": 100, "refill": "10/s" }), Rule::token_bucket(100, rate("10/s"), none)),
        (json!({ "rate": "100/s", "delay": "500ms" }), Rule::token_bucket(100, rate("100/s"), half)),
        (json!({ "rate": "5/15m", "algorithm": "fixed_window" }), Rule::fixed_window(rate("5/15m"))),
        (json!({ "rate": "5/15m", "algorithm": "sliding_window" }), Rule::sliding_window(rate("5/15m"))),
        (json!({ "rate": "10/s", "algorithm": "leaky_bucket", "queue": 20 }), Rule::leaky_bucket(rate("10/s"), 20)),
        (json!({ "algorithm": "concurrency", "limit": 50 }), Rule::concurrency(50)),
        (
            json!({ "quota": "10000/month", "time_zone": "Europe/Berlin" }),
            Rule::calendar(
                10_000,
                crate::algorithm::Period::Month,
                jiff::tz::TimeZone::get("Europe/Berlin").expect("known"),
            ),
        ),
    ] {
        let mut limit = limit;
        limit["per"] = json!("client");
        assert_eq!(rule(&built(limit.clone()), None), expected.expect("counts"), "{limit}");
    }
    assert!(built(json!({ "algorithm": "concurrency", "limit": 5, "per": "route" })).all()[0].counts_in_flight());
}

#[test]
fn limits_that_need_an_identity_run_after_authentication_and_all_others_before() {
    let asked = json!({ "limits": [
        { "rate": "1/s", "per": "identity", "name": "who" },
        { "rate": "1/s", "per": "client", "name": "where" },
        { "rate": "1/s", "per": ["claim.tenant", "client"], "name": "claim" },
        { "plans": { "free": "1/s" }, "plan": "claim.plan", "otherwise": "free", "per": "client", "name": "plan" },
        { "rate": "1/s", "rate_from": "claim.rate", "per": "client", "name": "rate" },
        { "rate": "1/s", "per": ["header.X", "param.project"], "name": "param" },
    ] });
    let limits = built_with(json!({}), asked).expect("valid");
    let names = |phase| {
        let (first, limits) = limits.of(phase);
        (first, limits.iter().map(|limit| limit.name.to_string()).collect::<Vec<_>>())
    };
    assert_eq!(names(Phase::Early), (0, vec!["where".to_owned(), "param".into()]));
    assert_eq!(names(Phase::Identified), (2, vec!["who".to_owned(), "claim".into(), "plan".into(), "rate".into()]));
}

#[test]
fn limits_have_names_that_clients_can_be_told() {
    let asked = json!({ "limits": [
        { "rate": "1/s", "per": "client" },
        { "rate": "2/s", "per": "client" },
        { "rate": "2/s", "per": ["identity+param.project", "client"] },
        { "rate": "2/s", "per": "query.a\"b" },
        { "rate": "2/s", "per": "client", "name": "own" },
    ] });
    let limits = built_with(json!({}), asked).expect("valid");
    let mut names: Vec<_> = limits.all().iter().map(|limit| limit.name.to_string()).collect();
    names.sort();
    assert_eq!(names, ["client", "client-2", "identity+param.project", "own", "query.a_b"]);
    let ids: std::collections::HashSet<_> = limits.all().iter().map(|limit| limit.id).collect();
    assert_eq!(ids.len(), 5);
    assert_eq!(names::id(&["route", "users", "own"]), 15_854_552_319_290_157_395, "the same in every build");
    assert_ne!(names::id(&["a", "bc"]), names::id(&["ab", "c"]));
}

#[test]
fn routes_that_use_a_limit_count_together() {
    let shared = Shared::build(&section(json!({ "limits": { "general": { "rate": "100/15m", "per": "client" } } })));
    let shared = shared.expect("valid");
    let asked = policy(json!({ "use": ["general"] }));
    let other = Route::new(RouteId(1), "orders", Vec::new(), ConfigPath::root(), "/orders");
    let users = Limits::build(&asked, &shared, &route()).expect("valid");
    let orders = Limits::build(&asked, &shared, &other).expect("valid");
    assert!(Arc::ptr_eq(&users.all()[0], &orders.all()[0]));
    let own = policy(json!({ "limits": [{ "rate": "1/s", "per": "client" }] }));
    let (a, b) = (Limits::build(&own, &shared, &route()), Limits::build(&own, &shared, &other));
    assert_ne!(a.expect("valid").all()[0].id, b.expect("valid").all()[0].id);
}

#[test]
fn bans_count_what_they_are_told_to() {
    let shared = Shared::build(&section(json!({
        "exempt": ["10.0.0.0/8"],
        "ban": { "status": [401, 403], "codes": ["blocked"], "count": 20, "window": "10m", "for": "1h", "exempt": ["192.0.2.9"] },
    })));
    let bans = shared.expect("valid").bans.expect("there");
    assert!(bans.is_strike(401, None) && bans.is_strike(403, Some("x")) && bans.is_strike(200, Some("blocked")));
    assert!(!bans.is_strike(404, None) && !bans.is_strike(200, Some("x")));
    let client = |text: &str| text.parse::<IpAddr>().expect(text);
    assert!(bans.is_exempt(client("10.1.1.1")) && bans.is_exempt(client("192.0.2.9")));
    assert!(!bans.is_exempt(client("192.0.2.7")));
    let strike = bans.strike(client("2001:db8::1"), 3);
    assert_eq!(strike.rule, Rule::fixed_window(rate("20/10m")).expect("counts"));
    assert_eq!((strike.length, strike.policy), (3_600_000_000, 3));
    assert_eq!(strike.ban_key, bans.ban_key(client("2001:db8::2")), "of one /64");
    assert_ne!(strike.ban_key, strike.key);
}

#[test]
fn exempt_clients_are_those_of_the_section_and_of_the_route() {
    let limits = built_with(json!({ "exempt": ["10.0.0.0/8"] }), json!({ "exempt": ["192.0.2.7"] })).expect("valid");
    let exempt = |client: &str| limits.is_exempt(client.parse().expect(client));
    assert!(exempt("10.2.3.4") && exempt("192.0.2.7") && !exempt("192.0.2.8"));
}

#[test]
fn a_route_says_otherwise_than_the_section() {
    let config = json!({ "store": "shared", "on_store_error": "deny", "fields": "none" });
    let same = built_with(config.clone(), json!({})).expect("valid");
    assert_eq!((same.store.to_string().as_str(), same.on_store_error), ("shared", OnStoreError::Deny));
    let other = built_with(config, json!({ "store": "memory", "on_store_error": "allow" })).expect("valid");
    assert_eq!((other.store, other.on_store_error), (StoreName::Memory, OnStoreError::Allow));
}

#[test]
fn a_limit_keys_and_prices_a_request() {
    let limits = built(json!({ "rate": "100/s", "per": "header.X-Tenant", "cost": { "method": { "POST": 5 } } }));
    let limit = &limits.all()[0];
    let someone = Someone::default().field("X-Tenant", "acme").method("POST");
    let crate::key::Found::Key(key) = limit.key(&someone) else { panic!("there") };
    assert_eq!((key.limit, limit.cost.at_first(&someone)), (limit.id, 5));
}

#[test]
fn the_schema_knows_every_field() {
    let schema = serde_json::to_string(&schemars::schema_for!(Policy)).expect("JSON");
    for field in ["use", "limits", "exempt", "per", "quota", "rate_from", "at_most", "missing", "cost", "mode"] {
        assert!(schema.contains(&format!("\"{field}\"")), "{field}");
    }
    let section = serde_json::to_string(&schemars::schema_for!(Config)).expect("JSON");
    assert!(section.contains("\"draft-03\"") && section.contains("\"consistency\"") && section.contains("\"for\""));
}
