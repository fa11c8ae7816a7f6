//! What policies look at, so that no request is turned into more than that: an address and a dozen claims would cost
//! more than the decision.

use std::collections::BTreeSet;

use cedar_policy::PolicySet;
use serde_json::Value;

/// What policies look at in the context.
#[derive(Debug)]
pub(super) struct Mentions {
    context: Names,
    claims: Names,
}

#[derive(Debug, PartialEq, Eq)]
enum Names {
    These(BTreeSet<String>),
    /// They look at the whole.
    All,
}

impl Mentions {
    pub(super) fn in_policies(policies: &PolicySet) -> Self {
        let mut found = Self { context: Names::These(BTreeSet::new()), claims: Names::These(BTreeSet::new()) };
        for policy in policies.policies() {
            match policy.to_json() {
                Ok(json) => found.look(&json),
                Err(_) => found.all(),
            }
        }
        found
    }

    /// Whether they look at `context.<name>`.
    pub(super) fn has(&self, name: &str) -> bool {
        self.context.has(name)
    }

    /// Whether they look at `context.claims.<name>`.
    pub(super) fn has_claim(&self, name: &str) -> bool {
        self.claims.has(name)
    }

    /// Takes a part of a policy in Cedar's JSON form, whatever it is.
    fn look(&mut self, part: &Value) {
        match access(part) {
            Some((inner, claim)) if is_claims(inner) => {
                self.context.add(CLAIMS);
                self.claims.add(claim);
            }
            Some((inner, name)) if is_context(inner) => {
                self.context.add(name);
                if name == CLAIMS {
                    self.claims = Names::All;
                }
            }
            _ if is_context(part) => self.all(),
            _ => match part {
                Value::Array(parts) => parts.iter().for_each(|part| self.look(part)),
                Value::Object(parts) => parts.values().for_each(|part| self.look(part)),
                _ => {}
            },
        }
    }

    fn all(&mut self) {
        (self.context, self.claims) = (Names::All, Names::All);
    }
}

const CLAIMS: &str = "claims";

/// `<inner>.<name>` or `<inner> has <name>`.
fn access(part: &Value) -> Option<(&Value, &str)> {
    let object = part.as_object().filter(|object| object.len() == 1)?;
    let access = object.get(".").or_else(|| object.get("has"))?;
    Some((access.get("left")?, access.get("attr")?.as_str()?))
}

fn is_claims(part: &Value) -> bool {
    access(part).is_some_and(|(inner, name)| name == CLAIMS && is_context(inner))
}

fn is_context(part: &Value) -> bool {
    part.as_object().is_some_and(|object| object.len() == 1 && object.get("Var").is_some_and(|name| name == "context"))
}

impl Names {
    fn add(&mut self, name: &str) {
        if let Self::These(names) = self {
            names.insert(name.to_owned());
        }
    }

    fn has(&self, name: &str) -> bool {
        match self {
            Self::These(names) => names.contains(name),
            Self::All => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mentions(condition: &str) -> Mentions {
        let text = format!("permit(principal, action, resource) when {{ {condition} }};");
        Mentions::in_policies(&text.parse().expect(condition))
    }

    #[test]
    fn what_policies_look_at_is_found_wherever_it_stands() {
        for (condition, context, claims) in [
            ("true", &[][..], &[][..]),
            ("resource.context == \"claims\"", &[], &[]),
            ("context.method == \"GET\"", &["method"], &[]),
            ("context[\"method\"] == \"GET\"", &["method"], &[]),
            ("context has time && !(context.time > 0)", &["time"], &[]),
            ("context.claims.a == 1", &["claims"], &["a"]),
            ("context.claims has a && context.claims[\"b\"].claims.c", &["claims"], &["a", "b"]),
            (
                "if context.claims.a then [context.path].contains(\"x\") else { y: context.claims.b }.y",
                &["claims", "path"],
                &["a", "b"],
            ),
            ("context.claims.a like \"x*\" || ip(\"::1\").isInRange(context.client)", &["claims", "client"], &["a"]),
            ("context.claims has a.b", &["claims"], &["a"]),
        ] {
            let names = |names: &[&str]| Names::These(names.iter().map(|name| (*name).to_owned()).collect());
            let found = mentions(condition);
            assert_eq!((found.context, found.claims), (names(context), names(claims)), "{condition}");
        }
    }

    #[test]
    fn who_looks_at_the_whole_gets_the_whole() {
        for condition in ["context == { a: 1 }", "[context].contains({})", "{ a: context }.a.b"] {
            assert!(mentions(condition).has("anything") && mentions(condition).has_claim("any"), "{condition}");
        }
        for condition in ["context.claims == { a: 1 }", "context has claims", "[context.claims].contains({})"] {
            let found = mentions(condition);
            assert!(!found.has("time") && found.has("claims") && found.has_claim("any"), "{condition}");
        }
    }
}
