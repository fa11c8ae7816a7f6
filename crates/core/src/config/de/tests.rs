//! What is read, and what is said when it cannot be.

use std::collections::BTreeMap;
use std::num::NonZeroU16;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::config::{Duration, Rate, RawConfig, Secret, Value};

fn read<T: DeserializeOwned>(value: Value) -> Result<T, String> {
    RawConfig::new(value, "at").read().map_err(|errors| errors.to_string())
}

fn refused<T: DeserializeOwned>(value: Value) -> String {
    match read::<T>(value) {
        Ok(_) => panic!("it was read"),
        Err(errors) => errors,
    }
}

fn int(n: i64) -> Value {
    Value::from(n)
}

fn text(text: &str) -> Value {
    Value::from(text)
}

fn var(text: &str) -> Value {
    Value::interpolated(text, "${VAR}")
}

fn list<const N: usize>(elements: [Value; N]) -> Value {
    Value::from(Vec::from(elements))
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Target {
    host: String,
    port: u16,
    #[serde(default)]
    weight: Option<u32>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Provider {
    None,
    Jwt { audience: String, leeway: Duration },
    Basic(Secret),
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Many {
    one: u16,
    two: Duration,
    three: Vec<String>,
    four: Provider,
    five: Target,
    six: Rate,
    #[serde(default)]
    seven: bool,
}

#[test]
fn an_interpolated_text_is_whatever_is_asked_for() {
    assert_eq!(read::<u16>(var("8080")), Ok(8080));
    assert_eq!(read::<i8>(var("-1")), Ok(-1));
    assert_eq!(read::<bool>(var("true")), Ok(true));
    assert_eq!(read::<f32>(var("0.5")), Ok(0.5));
    assert_eq!(read::<String>(var("8080")), Ok("8080".into()));
    assert_eq!(read::<Option<u64>>(var("1")), Ok(Some(1)));
    assert_eq!(read::<Duration>(var("10s")), Ok(Duration::from_secs(10)));
    assert_eq!(read::<Provider>(var("none")), Ok(Provider::None));
    assert_eq!(read::<NonZeroU16>(var("7")), Ok(NonZeroU16::new(7).expect("not zero")));
}

#[test]
fn what_is_nothing_is_none_and_never_an_empty_map() {
    assert_eq!(read::<Option<u16>>(Value::Null), Ok(None));
    assert_eq!(refused::<Target>(Value::Null), "at: expected a map, found nothing\nhelp: for an empty map, write {}");
    assert_eq!(
        refused::<Vec<u8>>(Value::Null),
        "at: expected a list, found nothing\nhelp: for an empty list, write []"
    );
}

#[test]
fn enums_are_names_or_maps_of_one_key() {
    assert_eq!(read(text("none")), Ok(Provider::None));
    assert_eq!(read(Value::map([("none", Value::Null)])), Ok(Provider::None));
    assert_eq!(read(Value::map([("basic", text("pw"))])), Ok(Provider::Basic(Secret::new("pw"))));
    let jwt = Value::map([("audience", text("api")), ("leeway", text("30s"))]);
    let read_jwt = read(Value::map([("jwt", jwt)]));
    assert_eq!(read_jwt, Ok(Provider::Jwt { audience: "api".into(), leeway: Duration::from_secs(30) }));
}

#[test]
fn a_wrong_choice_is_explained() {
    let all = "valid values: none, jwt, basic";
    assert_eq!(refused::<Provider>(text("jwtt")), format!("at: unknown value `jwtt`\nhelp: did you mean `jwt`? {all}"));
    assert_eq!(
        refused::<Provider>(Value::map([("oauth", Value::Null)])),
        format!("at.oauth: unknown value `oauth`\nhelp: {all}")
    );
    assert_eq!(refused::<Provider>(text("jwt")), "at: `jwt` needs a value\nhelp: write `jwt: …`");
    assert_eq!(
        refused::<Provider>(Value::map([("none", int(1))])),
        "at.none: `none` takes no value\nhelp: write just `none`"
    );
    assert_eq!(
        refused::<Provider>(Value::map([("none", Value::Null), ("basic", text("pw"))])),
        format!("at: expected a name or a map with one key, found several keys\nhelp: {all}")
    );
    assert_eq!(
        refused::<Provider>(list([])),
        format!("at: expected a name or a map with one key, found a list\nhelp: {all}")
    );
}

#[test]
fn wrong_types_are_named_as_people_name_them() {
    assert_eq!(refused::<u16>(text("x")), "at: expected a whole number from 0 to 65535, found the string \"x\"");
    assert_eq!(refused::<u16>(int(70_000)), "at: expected a whole number from 0 to 65535, found the number 70000");
    assert_eq!(refused::<u64>(int(-1)), "at: expected a whole number from 0 up, found the number -1");
    assert_eq!(refused::<bool>(text("yes")), "at: expected true or false, found the string \"yes\"");
    assert_eq!(refused::<String>(int(1)), "at: expected a string, found the number 1\nhelp: write it in quotes");
    assert_eq!(refused::<String>(list([])), "at: expected a string, found a list");
    assert_eq!(refused::<Vec<u8>>(text("a")), "at: expected a list, found the string \"a\"");
    assert_eq!(refused::<Target>(list([text("a"), int(1)])), "at: expected a map, found a list");
    assert_eq!(refused::<(u8, u8)>(list([int(1)])), "at: expected a list, found 1 elements");
    assert_eq!(refused::<[u8; 1]>(list([int(1), int(2)])), "at: expected fewer elements, found 2 elements");
    assert_eq!(
        refused::<Duration>(int(30)),
        "at: expected a duration, found a number without a unit\nhelp: write a unit: 30s"
    );
    assert_eq!(refused::<NonZeroU16>(int(0)), "at: expected a whole number other than 0, found the number 0");
}

#[test]
fn every_fault_is_reported_at_once() {
    let good = || Value::map([("host", text("a")), ("port", int(1))]);
    let targets = list([
        good(),
        Value::map([("host", int(1)), ("port", text("x"))]),
        good(),
        Value::map([("hots", text("a")), ("port", int(1)), ("colour", text("red"))]),
        text("just text"),
        Value::map([("weight", int(-1))]),
    ]);
    let errors = refused::<Vec<Target>>(targets);
    assert_eq!(
        errors,
        "at[1].host: expected a string, found the number 1\nhelp: write it in quotes\n\
         at[1].port: expected a whole number from 0 to 65535, found the string \"x\"\n\
         at[3].hots: unknown key `hots`\nhelp: did you mean `host`? valid keys: host, port, weight\n\
         at[3].colour: unknown key `colour`\nhelp: valid keys: host, port, weight\n\
         at[4]: expected a map, found the string \"just text\"\n\
         at[5].weight: expected a whole number from 0 to 4294967295, found the number -1\n\
         at[5]: missing key `host`\n\
         at[5]: missing key `port`"
    );
}

#[test]
fn every_missing_key_is_reported() {
    let errors = refused::<Many>(Value::map::<&str>([]));
    let missing: Vec<_> = errors.lines().collect();
    let expected: Vec<_> =
        ["one", "two", "three", "four", "five", "six"].map(|key| format!("at: missing key `{key}`")).into();
    assert_eq!(missing, expected);
}

#[test]
fn a_check_of_a_type_is_not_blamed_for_what_was_left_out() {
    /// At least one host.
    #[derive(Debug, Deserialize)]
    #[serde(try_from = "Vec<Target>")]
    struct Pool;

    impl TryFrom<Vec<Target>> for Pool {
        type Error = String;

        fn try_from(targets: Vec<Target>) -> Result<Self, String> {
            if targets.is_empty() { Err("a pool needs a target".into()) } else { Ok(Self) }
        }
    }

    assert_eq!(refused::<Pool>(list([])), "at: a pool needs a target");
    assert_eq!(refused::<Pool>(list([int(1)])), "at[0]: expected a map, found the number 1");
    assert!(read::<Pool>(list([Value::map([("host", text("a")), ("port", int(1))])])).is_ok());
}

#[test]
fn a_field_under_two_of_its_names_is_refused_at_the_second() {
    #[derive(Debug, Deserialize)]
    struct Named {
        #[serde(alias = "title")]
        _name: String,
    }
    let errors = refused::<Named>(Value::map([("_name", text("a")), ("title", text("b"))]));
    assert_eq!(errors, "at.title: key `_name` is given twice, under two of its names");
}

#[test]
fn there_are_never_more_errors_than_anyone_reads() {
    let all_wrong: Vec<Value> = (0..1000).map(|_| text("x")).collect();
    let errors = RawConfig::new(all_wrong.into(), "at").read::<Vec<u8>>().unwrap_err();
    assert_eq!(errors.len(), 50);
}

#[test]
fn a_key_reads_as_its_type() {
    let codes: BTreeMap<u16, bool> = read(Value::map([("404", Value::Bool(true))])).unwrap();
    assert_eq!(codes, BTreeMap::from([(404, true)]));
    assert_eq!(
        refused::<BTreeMap<u16, bool>>(Value::map([("x", Value::Bool(true))])),
        "at.x: expected a whole number from 0 to 65535, found the string \"x\""
    );
}

#[test]
fn a_value_from_outside_is_named_by_its_variable() {
    for errors in [
        refused::<u16>(var("hunter2")),
        refused::<bool>(var("hunter2")),
        refused::<f64>(var("hunter2")),
        refused::<Vec<u8>>(var("hunter2")),
        refused::<Target>(var("hunter2")),
        refused::<Provider>(var("hunter2")),
        refused::<Duration>(var("10hunter")),
        refused::<Duration>(var("hunter2")),
        refused::<Rate>(var("hunter2")),
        refused::<std::net::IpAddr>(var("hunter2")),
        refused::<NonZeroU16>(var("hunter2")),
        refused::<Target>(Value::map([("host", text("a")), ("port", var("hunter2"))])),
    ] {
        assert!(!errors.contains("hunter"), "{errors}");
    }
    assert_eq!(refused::<u16>(var("hunter2")), "at: expected a whole number from 0 to 65535, found `${VAR}`");
    assert_eq!(refused::<u16>(var("70000")), "at: expected a whole number from 0 to 65535, found `${VAR}`");
    assert_eq!(refused::<u8>(var("x")), "at: expected a whole number from 0 to 255, found `${VAR}`");
    assert_eq!(refused::<Provider>(var("jwtt")), "at: unknown value `${VAR}`\nhelp: valid values: none, jwt, basic");
    assert_eq!(refused::<Provider>(var("jwt")), "at: `${VAR}` needs a value\nhelp: write `jwt: …`");
}

#[test]
fn a_literal_under_a_secret_key_is_not_quoted() {
    let errors = refused::<BTreeMap<String, bool>>(Value::map([("password", text("hunter2"))]));
    assert_eq!(errors, "at.password: expected true or false, found `***`");
}

#[test]
fn a_check_of_a_type_may_bring_its_own_help() {
    #[derive(Debug, Deserialize)]
    #[serde(try_from = "String")]
    struct Even;

    impl TryFrom<String> for Even {
        type Error = String;

        fn try_from(text: String) -> Result<Self, String> {
            Err(format!("{text} is odd\nhelp: add one"))
        }
    }
    assert_eq!(refused::<Even>(text("3")), "at: 3 is odd\nhelp: add one");
}

#[test]
fn a_type_that_contains_itself_is_read_and_missed() {
    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Tree {
        #[serde(rename = "name")]
        _name: String,
        #[serde(rename = "inner")]
        _inner: Box<Tree>,
    }
    assert_eq!(refused::<Tree>(Value::map::<&str>([])), "at: missing key `name`\nat: missing key `inner`");
}
