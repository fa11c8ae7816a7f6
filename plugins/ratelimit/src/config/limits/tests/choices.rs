//! Whose rule it is.

use serde_json::{Value, json};

use super::*;

#[test]
fn plans_choose_by_their_claim_and_fall_back() {
    let limits = built(json!({
        "per": ["identity", "client"], "plan": "claim.plan", "otherwise": "free",
        "plans": { "free": "10/m", "pro": "1000/m", "big": "100000/month" },
    }));
    let quota = |identity: Option<&Identity>| rule(&limits, identity).quota;
    assert_eq!(quota(Some(&user(json!({ "plan": "pro" })))), 1000);
    assert_eq!(quota(Some(&user(json!({ "plan": "free" })))), 10);
    assert!(matches!(rule(&limits, Some(&user(json!({ "plan": "big" })))).shape, Shape::Calendar(_)));
    for nobody in [json!({ "plan": "gold" }), json!({}), json!({ "plan": 7 }), json!({ "plan": ["pro"] })] {
        assert_eq!(quota(Some(&user(nobody.clone()))), 10, "{nobody}");
    }
    assert_eq!(quota(None), 10);
    assert_eq!(limits.all()[0].rules().known().len(), 3);
}

#[test]
fn a_claim_says_the_rate_within_bounds() {
    let limits = built(json!({
        "per": "identity", "rate": "10/m", "rate_from": "claim.rate", "at_most": "1000/s", "cost": 5,
    }));
    let quota = |rate: Value| rule(&limits, Some(&user(json!({ "rate": rate })))).quota;
    assert_eq!((quota(json!("50/s")), quota(json!("50/s"))), (50, 50));
    assert_eq!(quota(json!("1001/s")), 1000, "not faster than at_most");
    assert_eq!(quota(json!("1000/999ms")), 1000);
    assert_eq!(quota(json!("5000/5s")), 1000, "as fast, but no more of it at once");
    for no_rate in [json!("much"), json!("0/s"), json!(50), json!(null), json!("18446744073709551615/1s"), json!("4/s")]
    {
        let quota = quota(no_rate.clone());
        assert!(quota == 10 || no_rate == json!("18446744073709551615/1s") && quota == 1000, "{no_rate} {quota}");
    }
    assert_eq!(quota(json!("1".repeat(100_000))), 10);
    assert_eq!(rule(&limits, None).quota, 10);
}

#[test]
fn claims_of_many_rates_are_kept_in_bounds() {
    let limits = built(json!({ "per": "identity", "rate": "10/m", "rate_from": "claim.rate" }));
    for nth in 1..=1500_u64 {
        let rule = rule(&limits, Some(&user(json!({ "rate": format!("{nth}/s") }))));
        assert_eq!(rule.quota, nth);
    }
    assert!(limits.all()[0].rules().known().len() <= 1025);
}
