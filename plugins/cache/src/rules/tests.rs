use std::sync::Arc;
use std::time::Duration;

use tidegate_core::config::RawConfig;
use tidegate_core::config::Value;

use super::{Rules, is_stream};
use crate::config::Policy;

fn value(json: serde_json::Value) -> Value {
    use serde_json::Value as Json;
    match json {
        Json::Object(map) => Value::map(map.iter().map(|(key, json)| (key.as_str(), value(json.clone())))),
        Json::Array(list) => Value::Seq(list.into_iter().map(value).collect()),
        Json::String(text) => Value::from(text.as_str()),
        Json::Bool(yes) => Value::from(yes),
        Json::Number(number) => Value::from(number.as_i64().expect("whole")),
        Json::Null => unreachable!(),
    }
}

fn built(json: serde_json::Value) -> Result<Rules, String> {
    let policy = RawConfig::new(value(json), "cache").read::<Policy>().map_err(|errors| errors.to_string())?;
    Rules::build(&policy, &Arc::from("app")).map_err(|errors| errors.to_string())
}

#[test]
fn what_can_not_work_is_refused_where_it_stands() {
    for (json, expected) in [
        (serde_json::json!({"statuss": [200]}), "statuss: unknown key"),
        (serde_json::json!({"status": [200, 206]}), "status[1]: 206 is no status"),
        (serde_json::json!({"status": []}), "status: without any"),
        (serde_json::json!({"content_types": ["html"]}), "content_types[0]: `html` is not a media type"),
        (serde_json::json!({"negative": {"200": "10s"}}), "negative.200: `200` is no status of an error"),
        (serde_json::json!({"status": [200], "default_ttl": "1m"}), ""),
        (
            serde_json::json!({"rules": [{"match": {"paths": ["/a"]}, "max_ttl": "1m", "override_ttl": "1m"}]}),
            "rules[0].max_ttl",
        ),
        (serde_json::json!({"negative": {"404": "20s"}, "status": [200]}), "negative.404: 404 is not one of `status`"),
        (serde_json::json!({"min_ttl": "2m", "max_ttl": "1m"}), "min_ttl: more than `max_ttl`"),
        (serde_json::json!({"override_ttl": "2m", "max_ttl": "1m"}), "max_ttl: with `override_ttl`"),
        (serde_json::json!({"default_ttl": "9999d"}), "default_ttl: longer than ten years"),
        (serde_json::json!({"anonymous": "share"}), "anonymous: with `mode: public`"),
        (serde_json::json!({"mode": "private_per_identity", "key": {"identity": true}}), "key.identity: with"),
        (serde_json::json!({"key": {"headers": ["Authorization"]}}), "key.headers[0]: `Authorization` has secrets"),
        (serde_json::json!({"key": {"headers": ["a b"]}}), "key.headers[0]: `a b` is not the name"),
        (serde_json::json!({"key": {"cookies": ["a;b"]}}), "key.cookies[0]: `a;b` is not the name"),
        (serde_json::json!({"key": {"query": {"allow": []}}}), "key.query.allow: an empty list"),
        (serde_json::json!({"key": {"query": {"deny": ["a*b"]}}}), "key.query.deny[0]: `a*b` is not a name"),
        (serde_json::json!({"key": {"query": "none", "sort_query": true}}), "key.sort_query: there is nothing"),
        (serde_json::json!({"bypass": {"headers": {"a b": "*"}}}), "not the name of a header field"),
        (serde_json::json!({"bypass": {"paths": ["admin"]}}), "bypass.paths[0]: `admin` is not a path"),
        (
            serde_json::json!({"rules": [{"match": {}, "default_ttl": "1m"}]}),
            "rules[0].match: a rule that fits everything",
        ),
        (serde_json::json!({"rules": [{"match": {"extensions": ["css"]}}]}), "rules[0]: the rule changes nothing"),
        (
            serde_json::json!({"rules": [{"match": {"extensions": [".css"]}, "default_ttl": "1m"}]}),
            "is not an extension",
        ),
        (serde_json::json!({"rules": [{"match": {"paths": ["/a/[x"]}, "default_ttl": "1m"}]}), "not a pattern"),
        (
            serde_json::json!({"rules": [{"match": {"paths": ["/a"]}, "cache_control": " "}]}),
            "rules[0].cache_control: says",
        ),
    ] {
        match built(json.clone()) {
            Ok(_) => assert_eq!(expected, "", "{json} was taken"),
            Err(error) => assert!(!expected.is_empty() && error.contains(expected), "{json}: {error}"),
        }
    }
}

#[test]
fn the_first_rule_that_fits_counts() {
    let rules = built(serde_json::json!({
        "default_ttl": "1m",
        "stale_if_error": "9s",
        "rules": [
            {"match": {"extensions": ["css", "tar.gz"], "paths": ["/assets/**"]}, "override_ttl": "1h", "cache_control": "public"},
            {"match": {"paths": ["/a*/*"]}, "default_ttl": "2m"},
        ],
    }))
    .expect("rules");
    let times = |path: &str| {
        let times = rules.times(path);
        (times.fixed.map_or(0, |time| time.as_secs()), times.default.as_secs(), times.if_error.as_secs())
    };
    assert_eq!(times("/assets/a/b.CSS"), (3600, 60, 9));
    assert_eq!(times("/assets/x.tar.gz"), (3600, 60, 9));
    assert_eq!(times("/assets/css"), (0, 120, 9));
    assert_eq!(times("/assets/.css"), (0, 120, 9));
    assert_eq!(times("/assets/a/b.js"), (0, 60, 9));
    assert_eq!(rules.cache_control("/assets/a.css").map(|value| value.as_bytes()), Some(&b"public"[..]));
    assert_eq!(rules.cache_control("/b.css"), None);
    assert_eq!(rules.negative(404), Some(Duration::from_secs(10)));
}

#[test]
fn types_are_compared_without_case_and_parameters() {
    let rules = built(serde_json::json!({"content_types": ["text/html", "image/*"]})).expect("rules");
    for (content_type, taken) in [
        (Some("text/html"), true),
        (Some("Text/HTML; charset=utf-8"), true),
        (Some("image/png"), true),
        (Some("text/plain"), false),
        (Some("imagex/png"), false),
        (Some(""), false),
        (None, false),
    ] {
        assert_eq!(rules.takes_type(content_type.map(str::as_bytes)), taken, "{content_type:?}");
    }
    assert!(built(serde_json::json!({"content_types": ["*/*"]})).expect("rules").takes_type(None));
    for stream in ["text/event-stream; charset=utf-8", "application/grpc+proto", "multipart/byteranges; boundary=x"] {
        assert!(is_stream(stream.as_bytes()), "{stream}");
    }
    assert!(!is_stream(b"text/html"));
}
