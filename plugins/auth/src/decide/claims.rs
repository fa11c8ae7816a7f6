//! What claims must say.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::Value;
use tidegate_core::facts::Identity;
use tidegate_core::{Asked, ConfigError, ConfigErrors, ConfigPath, Route};

use super::decode;

/// Claims that must be just this, or hold it where they are lists.
#[derive(Debug, Default)]
pub(super) struct Claims(Box<[(Box<str>, Value)]>);

impl Claims {
    /// Errors are relative to the map.
    pub(super) fn build(claims: &BTreeMap<String, Value>) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        for (name, value) in claims {
            let at = ConfigPath::root().key(name);
            if name.is_empty() {
                errors.push(ConfigError::at(&at, "a claim without a name").about_key());
            }
            if value.is_null() {
                errors.push(ConfigError::at(at, "no claim is nothing").help("write the value that it must have"));
            }
        }
        errors.into_result(Self(claims.iter().map(|(name, value)| (name.as_str().into(), value.clone())).collect()))
    }

    /// The first that doesn't hold.
    pub(super) fn unmet(&self, identity: &Identity) -> Option<&str> {
        self.0.iter().find(|(name, value)| !holds(identity, name, value)).map(|(name, _)| &**name)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (&**name, value))
    }
}

pub(super) fn holds(identity: &Identity, name: &str, value: &Value) -> bool {
    match identity.claim(name) {
        Some(claim) => claim == value || claim.as_array().is_some_and(|list| list.contains(value)),
        None => name == SUBJECT && value.as_str() == Some(identity.subject()),
    }
}

/// The claim that everybody has: who has none of that name is asked for their subject, such as the owner of an API key.
const SUBJECT: &str = "sub";

/// A claim as a text; `None` for one that isn't there, or is no text or whole number.
fn text<'i>(identity: &'i Identity, name: &str) -> Option<Cow<'i, str>> {
    match identity.claim(name) {
        Some(Value::String(text)) => Some(Cow::Borrowed(text)),
        Some(Value::Number(number)) if !number.is_f64() => Some(Cow::Owned(number.to_string())),
        None if name == SUBJECT => Some(Cow::Borrowed(identity.subject())),
        _ => None,
    }
}

/// Path parameters that must be what a claim says.
#[derive(Debug, Default)]
pub(super) struct Params(Box<[(Box<str>, Box<str>)]>);

impl Params {
    /// For any route. Errors are relative to the map.
    pub(super) fn build(params: &BTreeMap<String, String>) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        for (param, _) in params.iter().filter(|(param, claim)| param.is_empty() || claim.is_empty()) {
            let error = ConfigError::at(ConfigPath::root().key(param), "a path parameter and a claim are missing here");
            errors.push(error.help("write { user: sub }"));
        }
        errors.into_result(Self(
            params.iter().map(|(param, claim)| (param.as_str().into(), claim.as_str().into())).collect(),
        ))
    }

    /// For one route, which must have them all.
    pub(super) fn of_route(params: &BTreeMap<String, String>, route: &Route) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        let built = errors.collect(Self::build(params));
        for param in params.keys().filter(|param| !has_param(route, param)) {
            errors.push(unknown_param(param, route).under(&ConfigPath::root().key(param)).about_key());
        }
        errors.into_result(built.unwrap_or_default())
    }

    /// The first that isn't what its claim says. A parameter that isn't there, or is empty, is what no claim says.
    pub(super) fn unmet(&self, asked: &Asked<'_>, identity: &Identity) -> Option<&str> {
        let unmet = |(param, claim): &&(Box<str>, Box<str>)| !is_what_claim_says(asked, identity, param, claim);
        self.0.iter().find(unmet).map(|(param, _)| &**param)
    }

    /// Whether all may be what their claims say, one with more than one reading among them: for what denies.
    pub(super) fn may_hold(&self, asked: &Asked<'_>, identity: &Identity) -> bool {
        let has_readings = |param: &str| asked.param(param).is_some() && decode::param(asked, param).is_none();
        let holds = |param, claim| has_readings(param) || is_what_claim_says(asked, identity, param, claim);
        self.0.iter().all(|(param, claim)| holds(param, claim))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(param, claim)| (&**param, &**claim))
    }
}

pub(super) fn is_what_claim_says(asked: &Asked<'_>, identity: &Identity, param: &str, claim: &str) -> bool {
    let (value, claim) = (decode::param(asked, param), text(identity, claim));
    value.zip(claim).is_some_and(|(value, claim)| !value.is_empty() && value == claim)
}

pub(super) fn has_param(route: &Route, name: &str) -> bool {
    route.params().iter().any(|param| **param == *name)
}

/// The error carries no path.
pub(super) fn unknown_param(name: &str, route: &Route) -> ConfigError {
    let help = match route.params() {
        [] => "this route's path has no parameters".to_owned(),
        known => format!("this route's path has: {}", known.join(", ")),
    };
    ConfigError::at("", format!("no path parameter is called `{name}`")).help(help)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn who(claims: Value) -> Identity {
        let Value::Object(claims) = claims else { unreachable!("an object") };
        Identity::new("u1", "test", claims)
    }

    #[test]
    fn a_claim_is_the_value_or_has_it_in_its_list() {
        let anna = who(json!({ "org": { "unit": "a" }, "groups": ["a", "b"], "level": 3, "ok": true }));
        for (name, value, expected) in [
            ("org.unit", json!("a"), true),
            ("org.unit", json!("b"), false),
            ("groups", json!("b"), true),
            ("groups", json!("c"), false),
            ("groups", json!(["a", "b"]), true),
            ("groups", json!(["a"]), false),
            ("level", json!(3), true),
            ("level", json!("3"), false),
            ("ok", json!(true), true),
            ("missing", json!("a"), false),
            ("sub", json!("u1"), true),
            ("sub", json!("u2"), false),
        ] {
            assert_eq!(holds(&anna, name, &value), expected, "{name} {value}");
        }
        let named = who(json!({ "sub": "other" }));
        assert!(!holds(&named, "sub", &json!("u1")), "the claim, where there is one");
    }

    #[test]
    fn texts_and_whole_numbers_are_texts() {
        let anna = who(json!({ "a": "x", "b": 7, "c": 1.5, "d": ["x"], "e": null }));
        let text = |name| text(&anna, name).map(Cow::into_owned);
        assert_eq!(
            (text("a").as_deref(), text("b").as_deref(), text("sub").as_deref()),
            (Some("x"), Some("7"), Some("u1"))
        );
        assert_eq!((text("c"), text("d"), text("e"), text("f")), (None, None, None, None));
    }

    #[test]
    fn nothing_is_no_value_to_wait_for() {
        let claims = [("a".to_owned(), Value::Null), (String::new(), json!(1))].into();
        assert_eq!(Claims::build(&claims).expect_err("bad").len(), 2);
    }
}
