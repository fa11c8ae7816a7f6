//! What single claims say.

use serde_json::{Map, Value};

/// The last second that can be written as a date: 9999-12-31.
pub(super) const LAST_SECOND: u64 = 253_402_300_799;

/// A claim by its name; dots go into objects.
pub(crate) fn find<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    if let Some(value) = claims.get(name) {
        return Some(value);
    }
    let (first, rest) = name.split_once('.')?;
    rest.split('.').try_fold(claims.get(first)?, |value, part| value.get(part))
}

/// Milliseconds since 1970 of a NumericDate (RFC 7519 section 2), which may have a fraction; `None` for anything else,
/// for times before 1970 and for those that no clock will ever show.
pub(super) fn date(value: &Value) -> Option<u64> {
    let Value::Number(number) = value else { return None };
    if let Some(seconds) = number.as_u64() {
        return (seconds <= LAST_SECOND).then(|| seconds * 1000);
    }
    let seconds = number.as_f64()?;
    // Exact: both ends are far below 2^53, and it is neither negative nor infinite.
    (0.0..=LAST_SECOND as f64).contains(&seconds).then_some((seconds * 1000.0) as u64)
}

/// The words of a claim: a list, or one text with spaces between. What is neither grants nothing.
pub(crate) fn words<'a>(value: &'a Value, mut add: impl FnMut(&'a str)) {
    match value {
        Value::String(text) => text.split_ascii_whitespace().for_each(add),
        Value::Array(list) => {
            list.iter().filter_map(Value::as_str).filter(|word| !word.is_empty()).for_each(&mut add);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn dates_may_have_a_fraction_and_are_within_what_clocks_show() {
        for (value, millis) in [
            (json!(0), 0),
            (json!(1_767_225_600), 1_767_225_600_000),
            (json!(1.5), 1500),
            (json!(1e9), 1_000_000_000_000),
            (json!(LAST_SECOND), LAST_SECOND * 1000),
        ] {
            assert_eq!(date(&value), Some(millis), "{value}");
        }
        let out = [json!(-1), json!(-0.5), json!(LAST_SECOND + 1), json!(1e300), json!(u64::MAX), json!(i64::MIN)];
        let none = [json!("1767225600"), json!(null), json!(true), json!([1]), json!({})];
        for bad in out.into_iter().chain(none) {
            assert_eq!(date(&bad), None, "{bad}");
        }
    }

    #[test]
    fn words_are_a_list_or_a_text_with_spaces() {
        let of = |value: &Value| {
            let mut all = Vec::new();
            words(value, |word| all.push(word.to_owned()));
            all
        };
        assert_eq!(of(&json!(" a  b\tc ")), ["a", "b", "c"]);
        assert_eq!(of(&json!(["a b", "", 1, null, "c"])), ["a b", "c"]);
        assert!(of(&json!({"a": 1})).is_empty() && of(&json!(1)).is_empty());
    }

    #[test]
    fn a_claim_is_found_by_its_name_before_its_path() {
        let claims = json!({"a.b": 1, "a": {"b": 2, "c": {"d": 3}}});
        let Value::Object(claims) = claims else { unreachable!() };
        assert_eq!(find(&claims, "a.b"), Some(&json!(1)));
        assert_eq!(find(&claims, "a.c.d"), Some(&json!(3)));
        for none in ["b", "a.x", "a.b.c", "", ".", "a."] {
            assert_eq!(find(&claims, none), None, "{none}");
        }
    }
}
