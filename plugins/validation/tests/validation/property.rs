//! What fits passes byte for byte.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::Value;
use tidegate_testkit::Http;

use super::*;

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 48, 6, |inner| {
        let member = prop_oneof![Just("n".to_owned()), any::<String>()];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(member, inner, 0..6).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// The schema of the route: numbers under `n` are not below zero, and lists are not longer than four.
fn fits(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.len() <= 4 && items.iter().all(fits),
        Value::Object(members) => {
            let small = members.get("n").and_then(Value::as_f64).is_some_and(|number| number < 0.0);
            !small && members.values().all(fits)
        }
        _ => true,
    }
}

const POLICY: &str = "{ max_depth: 100, body: { json_schema: { inline: { maxItems: 4, items: { \"$ref\": \"#\" }, \
                      properties: { n: { minimum: 0 } }, additionalProperties: { \"$ref\": \"#\" }, \
                      allOf: [{ properties: { n: { \"$ref\": \"#\" } } }] } } } }";

#[test]
fn what_is_json_and_fits_the_schema_passes_byte_for_byte_and_nothing_else_does() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (upstream, gateway) = runtime.block_on(guarded(POLICY));
    let nth = AtomicUsize::new(0);
    let mut runner = TestRunner::new(Config { cases: 128, failure_persistence: None, ..Config::default() });
    let case = (any_json(), any::<bool>(), any::<bool>(), any::<bool>());
    runner
        .run(&case, |(value, pretty, chunked, h2)| {
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
            let text = text.expect("written");
            // Heads of requests before, whose bodies never came, may come as late as now.
            upstream.forget();
            let path = format!("/{}", nth.fetch_add(1, Relaxed));
            let request = gateway.post(&path).by(if h2 { Http::Two } else { Http::One });
            let request = request.header("Content-Type", "application/json");
            let pieces: Vec<Vec<u8>> = text.as_bytes().chunks(17).map(<[u8]>::to_vec).collect();
            let request = if chunked { request.chunks(pieces) } else { request.body(text.clone()) };
            let answer = runtime.block_on(request.send());
            prop_assert_eq!(answer.status == 200, fits(&value), "{} {}", answer.text(), text);
            let mut bodies = upstream.requests().into_iter().filter(|request| request.target == path);
            match answer.status {
                200 => prop_assert_eq!(bodies.next().map(|request| request.text()), Some(text)),
                _ => prop_assert!(bodies.all(|request| request.body.is_empty())),
            }
            Ok(())
        })
        .expect("it holds");
}
