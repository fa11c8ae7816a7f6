//! JSON as Cedar values.

use std::collections::HashMap;

use cedar_policy::{EntityId, EntityTypeName, EntityUid, RestrictedExpression};
use serde_json::{Map, Value};

/// What a JSON object says of an entity.
pub(super) type Attributes = HashMap<String, RestrictedExpression>;

/// An object's members. `null`, and numbers that are not whole or don't fit 64 bits, have no value in Cedar and are
/// left out: as where a member is missing, a policy that needs it doesn't hold.
pub(super) fn attributes<'j>(members: impl IntoIterator<Item = Member<'j>>, escapes: Escapes) -> Attributes {
    members.into_iter().filter_map(|(name, value)| Some((name.clone(), of(value, escapes)?))).collect()
}

/// Members as one value.
pub(super) fn record<'j>(
    members: impl IntoIterator<Item = Member<'j>>,
    escapes: Escapes,
) -> Option<RestrictedExpression> {
    // It fails for a key that is there twice, which no object has.
    RestrictedExpression::new_record(attributes(members, escapes)).ok()
}

/// One member of an object.
type Member<'j> = (&'j String, &'j Value);

/// Whether `{ "__entity": { "type": "User", "id": "alice" } }` is an entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Escapes {
    /// In what an attribute service says.
    Read,
    /// In claims: what a client can choose a part of is data.
    Ignored,
}

fn of(value: &Value, escapes: Escapes) -> Option<RestrictedExpression> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(bool) => RestrictedExpression::new_bool(*bool),
        Value::Number(number) => RestrictedExpression::new_long(number.as_i64()?),
        Value::String(text) => RestrictedExpression::new_string(text.clone()),
        Value::Array(list) => RestrictedExpression::new_set(list.iter().filter_map(|one| of(one, escapes))),
        Value::Object(object) => match entity(object).filter(|_| escapes == Escapes::Read) {
            Some(uid) => RestrictedExpression::new_entity_uid(uid),
            None => record(object, escapes)?,
        },
    })
}

fn entity(object: &Map<String, Value>) -> Option<EntityUid> {
    let inner = object.get("__entity").filter(|_| object.len() == 1)?;
    let text = |name| inner.get(name).and_then(Value::as_str);
    uid(text("type")?, text("id")?)
}

/// `Type::"id"`; `None` for what is no name of a type.
pub(super) fn uid(kind: &str, id: &str) -> Option<EntityUid> {
    let kind: EntityTypeName = kind.parse().ok()?;
    Some(EntityUid::from_type_name_and_id(kind, EntityId::new(id)))
}

#[cfg(test)]
mod tests {
    use cedar_policy::{Context, EvalResult};
    use serde_json::json;

    use super::*;

    fn value(json: Value, escapes: Escapes) -> Option<EvalResult> {
        let pair = of(&json, escapes).map(|value| ("x".to_owned(), value));
        Context::from_pairs(pair).expect("a context").get("x")
    }

    #[test]
    fn json_has_its_values_and_what_cedar_has_none_for_is_left_out() {
        use EvalResult::{Bool, Long};
        let ignored = |json| value(json, Escapes::Ignored);
        assert_eq!(ignored(json!(true)), Some(Bool(true)));
        assert_eq!(ignored(json!(i64::MIN)), Some(Long(i64::MIN)));
        assert_eq!(ignored(json!("é")), Some(EvalResult::String("é".into())));
        for none in [json!(null), json!(1.5), json!(u64::MAX)] {
            assert_eq!(ignored(none.clone()), None, "{none}");
        }
        let Some(EvalResult::Set(set)) = ignored(json!(["a", 1, null, 2.5, "a"])) else { panic!("a set") };
        assert_eq!(set.len(), 2);
        let Some(EvalResult::Record(record)) = ignored(json!({ "a": { "b": [true] }, "c": null })) else {
            panic!("a record")
        };
        assert!(record.contains_attribute("a") && !record.contains_attribute("c"));
    }

    #[test]
    fn only_a_service_can_speak_of_entities() {
        let alice = json!({ "__entity": { "type": "User", "id": "alice" } });
        let uid = uid("User", "alice").expect("a name");
        assert_eq!(value(alice.clone(), Escapes::Read), Some(EvalResult::EntityUid(uid)));
        assert!(matches!(value(alice, Escapes::Ignored), Some(EvalResult::Record(_))));
        let call = json!({ "__extn": { "fn": "ip", "arg": "10.0.0.1" } });
        assert!(matches!(value(call, Escapes::Read), Some(EvalResult::Record(_))));
    }
}
