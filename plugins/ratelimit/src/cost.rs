//! How much one request takes.

use std::collections::BTreeMap;

use tidegate_core::{ConfigError, ConfigErrors, ConfigPath, HeaderMap, HeaderName, Method, header};

use crate::config::{self, CostBy};
use crate::key::Asker;

/// What one request of a limit costs: known at once, or in full only when its answer or its end is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cost {
    /// Always the same.
    Fixed(u64),
    /// By method.
    Method { by: Box<[(Method, u64)]>, otherwise: u64 },
    /// 1 for each so many bytes of body.
    Body { size: u64 },
    /// What this field of the upstream's answer says.
    ResponseHeader { name: HeaderName, at_most: u64 },
}

/// The key for all methods that have none of their own.
const OTHERWISE: &str = "otherwise";

impl Cost {
    /// Errors have paths relative to the cost.
    pub(crate) fn build(config: &config::Cost) -> Result<Self, ConfigErrors> {
        match config {
            config::Cost::Fixed(0) => Err(never_counts(ConfigPath::root()).into()),
            config::Cost::Fixed(cost) => Ok(Self::Fixed(*cost)),
            config::Cost::By(by) => Self::by(by),
        }
    }

    fn by(by: &CostBy) -> Result<Self, ConfigErrors> {
        if let (Some(_), None) = (by.at_most, &by.response_header) {
            let error = ConfigError::at("at_most", "`at_most` is for `response_header`").help("leave it out");
            return Err(error.into());
        }
        match (&by.method, by.body, &by.response_header) {
            (Some(methods), None, None) => Self::by_method(methods),
            (None, Some(size), None) => match size.bytes() {
                0 => Err(ConfigError::at("body", "a size of zero").help("write a size, such as body: 1KiB").into()),
                size => Ok(Self::Body { size }),
            },
            (None, None, Some(name)) => Self::by_answer(name, by.at_most).map_err(ConfigErrors::from),
            _ => {
                let message = "a cost is by one of `method`, `body` and `response_header`";
                Err(ConfigError::at("", message).help("write cost: 1, or one of the three").into())
            }
        }
    }

    fn by_method(methods: &BTreeMap<String, u64>) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        let mut by = Vec::new();
        for (name, cost) in methods.iter().filter(|(name, _)| *name != OTHERWISE) {
            by.extend(errors.collect(method(name)).map(|method| (method, *cost)));
        }
        let otherwise = methods.get(OTHERWISE).copied().unwrap_or(1);
        if otherwise == 0 && by.iter().all(|(_, cost)| *cost == 0) {
            errors.push(never_counts(ConfigPath::from("method")));
        }
        errors.into_result(Self::Method { by: by.into(), otherwise })
    }

    fn by_answer(name: &str, at_most: Option<u64>) -> Result<Self, ConfigError> {
        let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else {
            return Err(ConfigError::at("response_header", format!("{name:?} is not a header name"))
                .help("a name is made of letters, digits, `-` and few other signs"));
        };
        match at_most {
            None => Err(ConfigError::at("", "`response_header` needs `at_most`")
                .help("write the most that one request may cost, whatever the upstream says: at_most: 1000")),
            Some(0) => Err(ConfigError::at("at_most", "a cost of 0 never counts").help("write at least 1")),
            Some(at_most) => Ok(Self::ResponseHeader { name, at_most }),
        }
    }

    /// What is taken before the request goes on.
    pub(crate) fn at_first(&self, asker: &impl Asker) -> u64 {
        match self {
            Self::Fixed(cost) => *cost,
            Self::Method { by, otherwise } => {
                let method = asker.head().method;
                by.iter().find(|(of, _)| of == method).map_or(*otherwise, |(_, cost)| *cost)
            }
            Self::Body { size } => units(announced(asker.head().headers), *size),
            Self::ResponseHeader { .. } => 1,
        }
    }

    /// What is charged on top of `taken` when the upstream's answer is there; negative gives back.
    pub(crate) fn after_answer(&self, answer: &HeaderMap, taken: u64) -> i64 {
        match self {
            Self::ResponseHeader { name, at_most } => match said(answer, name) {
                Some(cost) => difference(cost.min(*at_most), taken),
                None => 0,
            },
            _ => 0,
        }
    }

    /// What is charged on top of `taken` when the request is over and its body had so many bytes. Never gives back: a
    /// body that was announced and did not come was room kept for it.
    pub(crate) fn at_the_end(&self, body: u64, taken: u64) -> i64 {
        match self {
            Self::Body { size } => difference(units(body, *size), taken).max(0),
            _ => 0,
        }
    }

    /// The field of the answer that is for the gateway alone.
    pub(crate) fn field(&self) -> Option<&HeaderName> {
        match self {
            Self::ResponseHeader { name, .. } => Some(name),
            _ => None,
        }
    }

    /// Whether nothing is charged afterwards.
    pub(crate) fn is_known_at_once(&self) -> bool {
        matches!(self, Self::Fixed(_) | Self::Method { .. })
    }

    /// The most that the configuration lets one request take at first; of a body nothing is known.
    pub(crate) fn most_at_first(&self) -> u64 {
        match self {
            Self::Fixed(cost) => *cost,
            Self::Method { by, otherwise } => by.iter().map(|(_, cost)| *cost).fold(*otherwise, u64::max),
            Self::Body { .. } | Self::ResponseHeader { .. } => 1,
        }
    }
}

fn never_counts(path: ConfigPath) -> ConfigError {
    ConfigError::at(path, "a cost of 0 never counts").help("write at least 1, or leave the limit out")
}

fn method(name: &str) -> Result<Method, ConfigError> {
    let refused = |why, help: &str| {
        ConfigError::at(ConfigPath::from("method").key(name), format!("{name:?} {why}")).about_key().help(help)
    };
    match Method::from_bytes(name.as_bytes()) {
        Err(_) => Err(refused("is not a method", "write methods such as POST, and `otherwise` for all others")),
        Ok(_) if name.bytes().any(|b| b.is_ascii_lowercase()) => {
            Err(refused("is not the method it looks like: methods tell case apart", "write it in upper case"))
        }
        Ok(method) => Ok(method),
    }
}

/// Those that are only begun included, and at least 1.
fn units(bytes: u64, size: u64) -> u64 {
    bytes.div_ceil(size).max(1)
}

/// The length of a body that says it beforehand.
fn announced(headers: &HeaderMap) -> u64 {
    headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.trim().parse().ok()).unwrap_or(0)
}

/// A cost that is no whole number, or several, is none: the upstream is at fault, and the client pays 1.
fn said(answer: &HeaderMap, name: &HeaderName) -> Option<u64> {
    let mut values = answer.get_all(name).iter();
    let (value, None) = (values.next()?, values.next()) else { return None };
    let text = value.to_str().ok()?.trim();
    text.bytes().all(|b| b.is_ascii_digit()).then_some(())?;
    // More digits than fit are more than any `at_most`.
    (!text.is_empty()).then(|| text.parse().unwrap_or(u64::MAX))
}

fn difference(whole: u64, taken: u64) -> i64 {
    let clamped = |units: u64| i64::try_from(units).unwrap_or(i64::MAX);
    clamped(whole).saturating_sub(clamped(taken))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::tests::Someone;

    fn cost(json: &str) -> Cost {
        Cost::build(&serde_json::from_str(json).expect(json)).expect(json)
    }

    fn refused(json: &str) -> String {
        Cost::build(&serde_json::from_str(json).expect(json)).expect_err(json).to_string()
    }

    #[test]
    fn costs_are_taken_by_number_method_and_announced_body() {
        let methods = r#"{ "method": { "POST": 5, "OPTIONS": 0, "otherwise": 2 } }"#;
        for (json, method, length, taken) in [
            ("1", "GET", None, 1),
            ("10", "POST", None, 10),
            (methods, "POST", None, 5),
            (methods, "OPTIONS", None, 0),
            (methods, "GET", None, 2),
            (r#"{ "method": { "POST": 5 } }"#, "GET", None, 1),
            (r#"{ "body": "1KiB" }"#, "POST", None, 1),
            (r#"{ "body": "1KiB" }"#, "POST", Some("0"), 1),
            (r#"{ "body": "1KiB" }"#, "POST", Some("1024"), 1),
            (r#"{ "body": "1KiB" }"#, "POST", Some("1025"), 2),
            (r#"{ "body": "1KiB" }"#, "POST", Some("10485760"), 10_240),
            (r#"{ "body": "1B" }"#, "POST", Some("18446744073709551615"), u64::MAX),
            (r#"{ "body": "1KiB" }"#, "POST", Some("garbage"), 1),
            (r#"{ "response_header": "X-Cost", "at_most": 9 }"#, "GET", None, 1),
        ] {
            let mut someone = Someone::default().method(method);
            if let Some(length) = length {
                someone = someone.field("content-length", length);
            }
            assert_eq!(cost(json).at_first(&someone), taken, "{json} {method} {length:?}");
        }
    }

    #[test]
    fn what_an_answer_costs_is_charged_afterwards_within_bounds() {
        let cost = cost(r#"{ "response_header": "X-Cost", "at_most": 1000 }"#);
        let charged = |values: &[&str]| {
            let mut answer = HeaderMap::new();
            values.iter().for_each(|value| {
                answer.append("x-cost", value.parse().expect("a value"));
            });
            cost.after_answer(&answer, 1)
        };
        for (values, units) in [
            (&["5"][..], 4),
            (&["1"], 0),
            (&["0"], -1),
            (&["1000"], 999),
            (&["1001"], 999),
            (&["99999999999999999999999"], 999),
            (&[" 7 "], 6),
            (&[], 0),
            (&["-5"], 0),
            (&["+5"], 0),
            (&["5.5"], 0),
            (&[""], 0),
            (&["many"], 0),
            (&["5", "6"], 0),
        ] {
            assert_eq!(charged(values), units, "{values:?}");
        }
        assert_eq!(cost.field().map(HeaderName::as_str), Some("x-cost"));
        assert_eq!(Cost::Fixed(3).after_answer(&HeaderMap::new(), 3), 0);
    }

    #[test]
    fn a_body_that_was_not_announced_is_charged_at_the_end() {
        let cost = Cost::Body { size: 1024 };
        assert_eq!(cost.at_the_end(10 * 1024, 1), 9);
        assert_eq!(cost.at_the_end(10 * 1024, 10), 0);
        assert_eq!(cost.at_the_end(0, 10), 0, "nothing is given back for a body that did not come");
        assert_eq!(cost.at_the_end(u64::MAX, 1), (u64::MAX / 1024) as i64);
        assert_eq!(Cost::Body { size: 1 }.at_the_end(u64::MAX, 0), i64::MAX);
        assert_eq!(Cost::Fixed(1).at_the_end(10 * 1024, 1), 0);
    }

    #[test]
    fn costs_that_can_not_be_are_refused_word_for_word() {
        for (json, message) in [
            ("0", "a cost of 0 never counts\nhelp: write at least 1, or leave the limit out"),
            (
                "{}",
                "a cost is by one of `method`, `body` and `response_header`\nhelp: write cost: 1, or one of the three",
            ),
            (
                r#"{ "body": "1B", "method": {} }"#,
                "a cost is by one of `method`, `body` and `response_header`\nhelp: write cost: 1, or one of the three",
            ),
            (r#"{ "body": "0B" }"#, "body: a size of zero\nhelp: write a size, such as body: 1KiB"),
            (
                r#"{ "response_header": "X-Cost" }"#,
                "`response_header` needs `at_most`\n\
                 help: write the most that one request may cost, whatever the upstream says: at_most: 1000",
            ),
            (
                r#"{ "response_header": "X-Cost", "at_most": 0 }"#,
                "at_most: a cost of 0 never counts\nhelp: write at least 1",
            ),
            (
                r#"{ "response_header": "X Cost", "at_most": 1 }"#,
                "response_header: \"X Cost\" is not a header name\n\
                 help: a name is made of letters, digits, `-` and few other signs",
            ),
            (r#"{ "body": "1KiB", "at_most": 1 }"#, "at_most: `at_most` is for `response_header`\nhelp: leave it out"),
            (
                r#"{ "method": { "post": 5, "A B": 1 } }"#,
                "method.\"A B\": \"A B\" is not a method\n\
                 help: write methods such as POST, and `otherwise` for all others\n\
                 method.post: \"post\" is not the method it looks like: methods tell case apart\n\
                 help: write it in upper case",
            ),
            (
                r#"{ "method": { "GET": 0, "otherwise": 0 } }"#,
                "method: a cost of 0 never counts\nhelp: write at least 1, or leave the limit out",
            ),
        ] {
            assert_eq!(refused(json), message, "{json}");
        }
    }

    #[test]
    fn the_most_is_known_where_it_can_be() {
        assert_eq!(cost(r#"{ "method": { "POST": 5, "otherwise": 7 } }"#).most_at_first(), 7);
        assert_eq!(cost(r#"{ "body": "1B" }"#).most_at_first(), 1);
        assert!(cost("3").is_known_at_once() && !cost(r#"{ "body": "1B" }"#).is_known_at_once());
    }
}
