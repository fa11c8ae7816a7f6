//! Parameters and header fields: texts that must be of a kind.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};
use tidegate_core::{ConfigError, ConfigErrors, ConfigPath, HeaderName, RequestHead};

use crate::config::{Kind, Occurs, Parameter as Config};
use crate::fault::{At, Fault};
use crate::schema::Schema;

/// What all parameters of a request must be.
#[derive(Debug, Default)]
pub(crate) struct Parameters {
    pub(crate) query: Vec<Parameter>,
    pub(crate) path: Vec<Parameter>,
    pub(crate) headers: Vec<(HeaderName, Parameter)>,
    pub(crate) cookies: Vec<Parameter>,
}

/// One parameter.
#[derive(Debug)]
pub(crate) struct Parameter {
    pub(crate) name: Box<str>,
    pub(crate) required: bool,
    pub(crate) form: Form,
    /// `None`: whatever it is.
    pub(crate) schema: Option<Schema>,
}

/// How texts become a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// There is one text.
    One(Scalar),
    /// Each text is a value of its own.
    Each(Scalar),
    /// All texts are one list.
    Texts(Scalar),
    /// The one text is a list, with this between its items.
    Split(char, Scalar),
    /// Nobody looks at it.
    Anything,
}

/// What one text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scalar {
    String,
    Integer,
    Number,
    Boolean,
    /// What the schema takes: a text, a number, or true or false.
    Any,
}

/// A text of the request; `None` where it is no UTF-8, or no visible ASCII in a header field.
type Text<'a> = Option<Cow<'a, str>>;

/// The parameters of a query, decoded, in their order.
pub(crate) struct Query<'a>(Vec<(Text<'a>, Text<'a>)>);

impl<'a> Query<'a> {
    pub(crate) fn of(head: &RequestHead<'a>) -> Self {
        let pairs = head.query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        let pair = |pair: &'a str| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (form_decoded(name), form_decoded(value))
        };
        Self(pairs.map(pair).collect())
    }

    /// Names that aren't among those of `known`.
    pub(crate) fn refuse_others(&self, known: &[&Parameters], faults: &mut Vec<Fault>) {
        let is_known =
            |name: &str| known.iter().any(|list| list.query.iter().any(|parameter| *parameter.name == *name));
        for (name, _) in &self.0 {
            match name {
                Some(name) if is_known(name) => {}
                Some(name) => faults.push(Fault::new(At::Query(name.as_ref().into()), "there is no such parameter")),
                None => faults.push(Fault::new(At::Query("".into()), "a name is no UTF-8")),
            }
        }
    }

    fn named<'q>(&'q self, name: &'q str) -> impl Iterator<Item = Text<'q>> + 'q {
        let of_name = move |pair: &&(Text<'a>, Text<'a>)| pair.0.as_deref() == Some(name);
        self.0.iter().filter(of_name).map(|(_, value)| value.as_deref().map(Cow::Borrowed))
    }
}

impl Parameters {
    /// What is wrong with a request. `captured` gives the path's parameters, still percent-encoded.
    pub(crate) fn check<'h>(
        &self,
        head: &RequestHead<'h>,
        query: &Query<'_>,
        captured: impl Fn(&str) -> Option<&'h str>,
        faults: &mut Vec<Fault>,
    ) {
        for parameter in &self.path {
            let text = captured(&parameter.name).map(|raw| percent_decode_str(raw).decode_utf8().ok());
            parameter.check(text.into_iter(), At::Path, faults);
        }
        for parameter in &self.query {
            parameter.check(query.named(&parameter.name), At::Query, faults);
        }
        for (name, parameter) in &self.headers {
            let texts = head.headers.get_all(name).iter().map(|value| value.to_str().ok().map(Cow::Borrowed));
            parameter.check(texts, At::Header, faults);
        }
        for parameter in &self.cookies {
            parameter.check(cookies(head, &parameter.name), At::Cookie, faults);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.query.is_empty() && self.path.is_empty() && self.headers.is_empty() && self.cookies.is_empty()
    }
}

impl Parameter {
    fn check<'t>(&self, texts: impl Iterator<Item = Text<'t>>, at: fn(Box<str>) -> At, faults: &mut Vec<Fault>) {
        if let Err(detail) = self.judge(texts) {
            faults.push(Fault::new(at(self.name.clone()), detail));
        }
    }

    fn judge<'t>(&self, texts: impl Iterator<Item = Text<'t>>) -> Result<(), Cow<'static, str>> {
        let mut texts = texts.peekable();
        if texts.peek().is_none() {
            return if self.required { Err("it is missing".into()) } else { Ok(()) };
        }
        let mut readable = texts.map(|text| text.ok_or(Cow::Borrowed("it is no text that can be read")));
        match self.form {
            Form::Anything => Ok(()),
            Form::Each(scalar) => readable.try_for_each(|text| self.judge_one(scalar, &text?)),
            Form::One(scalar) => self.judge_one(scalar, &only(&mut readable)?),
            Form::Texts(scalar) => {
                let items = readable.map(|text| item(scalar, &text?)).collect::<Result<_, _>>()?;
                self.judge_value(&Value::Array(items))
            }
            Form::Split(between, scalar) => {
                let text = only(&mut readable)?;
                let items = text.split(between).map(|text| item(scalar, text.trim())).collect::<Result<_, _>>()?;
                self.judge_value(&Value::Array(items))
            }
        }
    }

    fn judge_one(&self, scalar: Scalar, text: &str) -> Result<(), Cow<'static, str>> {
        if scalar != Scalar::Any {
            return self.judge_value(&item(scalar, text)?);
        }
        let as_text = Value::from(text);
        let others = [Scalar::Number, Scalar::Boolean].into_iter().filter_map(|scalar| item(scalar, text).ok());
        let fits = |value: &Value| self.schema.as_ref().is_none_or(|schema| schema.is_valid(value));
        match others.chain([as_text.clone()]).any(|value| fits(&value)) {
            true => Ok(()),
            false => self.judge_value(&as_text),
        }
    }

    fn judge_value(&self, value: &Value) -> Result<(), Cow<'static, str>> {
        let Some(schema) = &self.schema else { return Ok(()) };
        schema.faults(value, 0, 1).into_iter().next().map_or(Ok(()), |fault| Err(fault.detail))
    }
}

fn only<'t>(
    texts: &mut impl Iterator<Item = Result<Cow<'t, str>, Cow<'static, str>>>,
) -> Result<Cow<'t, str>, Cow<'static, str>> {
    let first = texts.next().unwrap_or(Err("it is missing".into()))?;
    if texts.next().is_some() { Err("it is there more than once".into()) } else { Ok(first) }
}

fn item(scalar: Scalar, text: &str) -> Result<Value, Cow<'static, str>> {
    // Only what JSON writes in the same way: `+1`, `1_000`, ` 1` and `0x1` are numbers to some.
    let number = || serde_json::from_str::<serde_json::Number>(text).ok().filter(|_| text.trim() == text);
    match scalar {
        Scalar::String | Scalar::Any => Ok(Value::from(text)),
        Scalar::Boolean => match text {
            "true" => Ok(Value::Bool(true)),
            "false" => Ok(Value::Bool(false)),
            _ => Err("it must be true or false".into()),
        },
        Scalar::Integer => {
            let whole = number().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-'));
            whole.map(Value::Number).ok_or(Cow::Borrowed("it must be a whole number"))
        }
        Scalar::Number => number().map(Value::Number).ok_or(Cow::Borrowed("it must be a number")),
    }
}

/// The values of a cookie. There may be several of one name, and nobody knows which one an upstream takes.
fn cookies<'h>(head: &RequestHead<'h>, name: &str) -> impl Iterator<Item = Text<'h>> {
    let lines = head.headers.get_all(tidegate_core::header::COOKIE).iter();
    let pairs = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
    pairs.filter_map(move |pair| {
        let equals = pair.iter().position(|byte| *byte == b'=')?;
        let (key, value) = pair.split_at_checked(equals)?;
        (key.trim_ascii() == name.as_bytes()).then_some(())?;
        let text = std::str::from_utf8(value.get(1..)?.trim_ascii()).ok();
        Some(text.filter(|text| text.bytes().all(|byte| byte.is_ascii())).map(Cow::Borrowed))
    })
}

/// A limit, told as it was written: `1` and not `1.0`.
fn number(limit: f64) -> Value {
    // Numbers of this size have no fraction that is lost.
    let whole = limit.fract() == 0.0 && limit.abs() < 1e15;
    if whole { Value::from(limit as i64) } else { Value::from(limit) }
}

/// As in a form: `+` is a space.
fn form_decoded(raw: &str) -> Option<Cow<'_, str>> {
    match raw.contains('+') {
        false => percent_decode_str(raw).decode_utf8().ok(),
        true => percent_decode_str(&raw.replace('+', " ")).decode_utf8().ok().map(|text| Cow::Owned(text.into_owned())),
    }
}

/// The parameters of a policy. `captures` are those of the route's path.
pub(crate) fn build(config: &crate::config::Policy, captures: &[Box<str>]) -> Result<Parameters, ConfigErrors> {
    let mut errors = ConfigErrors::new();
    let mut all = Parameters::default();
    let mut list = |key: &str, of: &[Config]| -> Vec<Parameter> {
        let at = |index| ConfigPath::from(key).index(index);
        for (index, parameter) in of.iter().enumerate() {
            if of.iter().take(index).any(|other| {
                other.name.eq_ignore_ascii_case(&parameter.name) && (key == "headers" || other.name == parameter.name)
            }) {
                errors.push(ConfigError::at(at(index).key("name"), "listed twice"));
            }
            if key == "path" && !captures.contains(&parameter.name.as_str().into()) {
                let known: Vec<_> = captures.iter().map(AsRef::as_ref).collect();
                let error =
                    ConfigError::unknown(at(index).key("name"), "parameter of the path", &parameter.name, &known);
                errors.push(error);
            }
        }
        let built = of.iter().enumerate().map(|(index, parameter)| one(parameter).map_err(|e| e.under(&at(index))));
        built.filter_map(|built| errors.collect(built)).collect()
    };
    all.query = list("query", &config.query);
    all.path = list("path", &config.path);
    let headers = list("headers", &config.headers);
    for (index, parameter) in headers.into_iter().enumerate() {
        match HeaderName::from_bytes(parameter.name.as_bytes()) {
            Ok(name) => all.headers.push((name, parameter)),
            Err(_) => {
                let at = ConfigPath::from("headers").index(index).key("name");
                errors.push(ConfigError::at(at, "no name of a header field"));
            }
        }
    }
    errors.into_result(all)
}

fn one(config: &Config) -> Result<Parameter, ConfigErrors> {
    let mut errors = ConfigErrors::new();
    if config.name.is_empty() {
        errors.push(ConfigError::at("name", "a parameter has a name"));
    }
    let scalar = match config.kind {
        Kind::String => Scalar::String,
        Kind::Integer => Scalar::Integer,
        Kind::Number => Scalar::Number,
        Kind::Boolean => Scalar::Boolean,
    };
    let mut schema = Map::new();
    let mut add = |key: &str, to: &str, value: Option<Value>, kinds: &[Kind]| {
        let Some(value) = value else { return };
        if !kinds.contains(&config.kind) {
            errors.push(ConfigError::at(key, "says nothing of a parameter of this type"));
        }
        schema.insert(to.to_owned(), value);
    };
    let (texts, numbers) = ([Kind::String], [Kind::Integer, Kind::Number]);
    add("min", "minimum", config.min.map(number), &numbers);
    add("max", "maximum", config.max.map(number), &numbers);
    add("min_length", "minLength", config.min_length.map(Value::from), &texts);
    add("max_length", "maxLength", config.max_length.map(Value::from), &texts);
    add("format", "format", config.format.clone().map(Value::from), &texts);
    // The whole text: a pattern that a part of it matches would let the rest be anything.
    let pattern = config.pattern.as_ref().map(|pattern| Value::from(["^(?:", pattern, ")$"].concat()));
    add("pattern", "pattern", pattern, &texts);
    if !config.one_of.is_empty() {
        let values: Result<Vec<_>, _> = config.one_of.iter().map(|text| item(scalar, text)).collect();
        match values {
            Ok(values) => drop(schema.insert("enum".to_owned(), json!(values))),
            Err(_) => errors.push(ConfigError::at("enum", "has a value that is not of the parameter's type")),
        }
    }
    let schema = (!schema.is_empty()).then(|| Schema::compile(&Value::Object(schema))).transpose();
    let schema = errors.collect(schema.map_err(|error| {
        let at = if config.pattern.is_some() { "pattern" } else { "" };
        error.under(&at.into())
    }));
    let form = if config.occurs == Occurs::Often { Form::Each(scalar) } else { Form::One(scalar) };
    let Some(schema) = schema else { return Err(errors) };
    errors.into_result(Parameter { name: config.name.as_str().into(), required: config.required, form, schema })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(config: Value, texts: &[&str]) -> Result<(), Cow<'static, str>> {
        let config: Config = serde_json::from_value(config).expect("a parameter");
        let parameter = one(&config).expect("built");
        let texts = texts.iter().map(|text| Some(Cow::Borrowed(*text)));
        parameter.judge(texts)
    }

    #[test]
    fn texts_must_be_of_their_kind() {
        let limit = json!({ "name": "limit", "type": "integer", "min": 1, "max": 100 });
        for good in ["1", "100", "7"] {
            assert_eq!(judge(limit.clone(), &[good]), Ok(()), "{good}");
        }
        for bad in ["", "+1", " 1", "1 ", "01", "0x1", "1.0", "1e1", "1_0", "١", "true", "--1", "1\n"] {
            assert_eq!(judge(limit.clone(), &[bad]), Err("it must be a whole number".into()), "{bad:?}");
        }
        assert_eq!(judge(limit.clone(), &["0"]).map_err(|e| e.starts_with("it must be at least 1")), Err(true));
        assert_eq!(judge(limit.clone(), &["101"]).map_err(|e| e.starts_with("it must be at most 100")), Err(true));
        assert_eq!(judge(limit.clone(), &["1", "2"]), Err("it is there more than once".into()));
        assert_eq!(judge(limit, &[]), Ok(()));

        let flag = json!({ "name": "flag", "type": "boolean", "required": true });
        assert_eq!(judge(flag.clone(), &["true"]), Ok(()));
        assert_eq!(judge(flag.clone(), &["TRUE"]), Err("it must be true or false".into()));
        assert_eq!(judge(flag, &[]), Err("it is missing".into()));

        let number = json!({ "name": "price", "type": "number", "occurs": "often" });
        assert_eq!(judge(number.clone(), &["1.5e3", "-0.1"]), Ok(()));
        for bad in ["Infinity", "NaN", ".5", "1e999", "1,5"] {
            assert!(judge(number.clone(), &["1", bad]).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_pattern_is_for_the_whole_text() {
        let id = json!({ "name": "id", "pattern": "[a-z]+|[0-9]+", "max_length": 5 });
        for (text, good) in
            [("abc", true), ("123", true), ("abc1", false), ("a\n", false), ("abc\n", false), ("abcdef", false)]
        {
            assert_eq!(judge(id.clone(), &[text]).is_ok(), good, "{text:?}");
        }
        let one_of = json!({ "name": "sort", "enum": ["up", "down"] });
        assert!(judge(one_of.clone(), &["up"]).is_ok() && judge(one_of, &["sideways"]).is_err());
        let mail = json!({ "name": "mail", "format": "email" });
        assert!(judge(mail.clone(), &["a@b.test"]).is_ok() && judge(mail, &["a"]).is_err());
    }

    #[test]
    fn what_says_nothing_is_refused() {
        for (config, error) in [
            (json!({ "name": "a", "min": 1 }), "min: says nothing"),
            (json!({ "name": "a", "type": "integer", "pattern": "x" }), "pattern: says nothing"),
            (json!({ "name": "a", "type": "integer", "enum": ["x"] }), "enum: has a value"),
            (json!({ "name": "" }), "name: a parameter has a name"),
            (json!({ "name": "a", "pattern": "(" }), "pattern: not a JSON Schema"),
            (json!({ "name": "a", "pattern": "(?=x)" }), "pattern: not a JSON Schema"),
        ] {
            let config: Config = serde_json::from_value(config).expect("a parameter");
            let errors = one(&config).map(drop).expect_err(error).to_string();
            assert!(errors.contains(error), "{errors}");
        }
    }
}
