//! One operation of a document: its parameters, and what its body may be.

use std::sync::Arc;

use jsonschema::{Draft, Registry};
use serde_json::Value;
use tidegate_core::{ConfigError, HeaderName};

use super::template::Template;
use super::{URI, escaped};
use crate::body::{BodyRules, Check, MediaRange, Needed};
use crate::parameter::{Form, Parameter, Parameters, Scalar};
use crate::schema::{Schema, about};
use crate::survey::Survey;

/// How often one reference may lead to another.
const LONGEST_CHAIN: usize = 16;

/// What requests of one operation must be.
#[derive(Debug)]
pub(crate) struct Operation {
    pub(crate) parameters: Parameters,
    pub(crate) body: BodyRules,
}

/// The document that is read.
pub(super) struct Source<'s> {
    pub(super) document: &'s Value,
    pub(super) registry: &'s Registry<'s>,
}

impl<'s> Source<'s> {
    /// What a value is, or what it refers to, with the pointer to it.
    pub(super) fn resolve(
        &self,
        mut pointer: String,
        mut value: &'s Value,
    ) -> Result<(String, &'s Value), ConfigError> {
        for _ in 0..LONGEST_CHAIN {
            let Some(reference) = value.get("$ref").and_then(Value::as_str) else { return Ok((pointer, value)) };
            let Some(inner) = reference.strip_prefix('#') else {
                let error = ConfigError::at("", "it refers to another document");
                return Err(error.help("bundle the documents into one"));
            };
            let decoded = percent_encoding::percent_decode_str(inner).decode_utf8_lossy().into_owned();
            let missing = || ConfigError::at("", format!("it refers to `{reference}`, which isn't there"));
            value = self.document.pointer(&decoded).ok_or_else(missing)?;
            pointer = decoded;
        }
        Err(ConfigError::at("", "a reference leads to another one, and so on"))
    }

    fn schema(&self, pointer: &str) -> Result<Schema, ConfigError> {
        // A URI has no braces, and paths in a document do.
        let fragment = percent_encoding::utf8_percent_encode(pointer, FRAGMENT).to_string();
        let survey = Survey::of(self.document, pointer);
        Schema::at(&[URI, "#", &fragment].concat(), Draft::Draft202012, self.registry, survey)
    }
}

/// What a fragment of a URI may not have (RFC 3986 section 3.5).
const FRAGMENT: &percent_encoding::AsciiSet = &percent_encoding::CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

impl Operation {
    /// `at` is the pointer to the path item that has it under `key`.
    pub(super) fn build<'s>(
        at: &str,
        item: &'s Value,
        key: &str,
        operation: &'s Value,
        template: &Template,
        source: &Source<'s>,
    ) -> Result<Self, ConfigError> {
        let own = [at, "/", key].concat();
        let mut parameters = Parameters::default();
        // Those of the operation first: they take the place of those of the path.
        for (place, list) in [(own.as_str(), operation.get("parameters")), (at, item.get("parameters"))] {
            for (index, parameter) in list.and_then(Value::as_array).into_iter().flatten().enumerate() {
                let (pointer, parameter) = source.resolve(format!("{place}/parameters/{index}"), parameter)?;
                add(&mut parameters, &pointer, parameter, source)?;
            }
        }
        if let Some(stray) = parameters.path.iter().find(|parameter| !template.has(&parameter.name)) {
            return Err(ConfigError::at("", format!("its path has no parameter `{}`", stray.name)));
        }
        let body = match operation.get("requestBody") {
            Some(body) => request_body(source.resolve([&own, "/requestBody"].concat(), body)?, source)?,
            None => BodyRules::None,
        };
        Ok(Self { parameters, body })
    }
}

fn request_body((pointer, body): (String, &Value), source: &Source<'_>) -> Result<BodyRules, ConfigError> {
    let mut types = Vec::new();
    for (media, content) in body.get("content").and_then(Value::as_object).into_iter().flatten() {
        let range =
            MediaRange::parse(media).ok_or_else(|| ConfigError::at("", format!("`{media}` is no media type")))?;
        let check = match (range.is_json(), content.get("schema")) {
            (false, _) => Check::Opaque,
            (true, None) => Check::Json(None),
            (true, Some(_)) => {
                let schema = source.schema(&[&pointer, "/content/", &escaped(media), "/schema"].concat())?;
                Check::Json(Some(Arc::new(schema)))
            }
        };
        types.push((range, check));
    }
    let required = body.get("required") == Some(&Value::Bool(true));
    Ok(BodyRules::Some { types, needed: if required { Needed::Always } else { Needed::Never } })
}

fn add(all: &mut Parameters, pointer: &str, parameter: &Value, source: &Source<'_>) -> Result<(), ConfigError> {
    let text = |key: &str| parameter.get(key).and_then(Value::as_str).unwrap_or_default();
    let (name, place) = (text("name"), text("in"));
    let named = |error| about(format_args!("parameter `{name}`"), error);
    let is_there = |list: &[Parameter]| list.iter().any(|other| *other.name == *name);
    match place {
        "query" if !is_there(&all.query) => all.query.push(one(pointer, parameter, source).map_err(named)?),
        "path" if !is_there(&all.path) => all.path.push(one(pointer, parameter, source).map_err(named)?),
        "cookie" if !is_there(&all.cookies) => all.cookies.push(one(pointer, parameter, source).map_err(named)?),
        "header" => {
            let field = HeaderName::from_bytes(name.as_bytes());
            let field = field.map_err(|_| named(ConfigError::at("", "no name of a header field")))?;
            // The document says them elsewhere (OpenAPI 3.1.1 section 4.8.12.2).
            let elsewhere = ["accept", "content-type", "authorization"].contains(&field.as_str());
            if !elsewhere && !all.headers.iter().any(|(other, _)| *other == field) {
                all.headers.push((field, one(pointer, parameter, source).map_err(named)?));
            }
        }
        "query" | "path" | "cookie" => {}
        _ => return Err(named(ConfigError::at("", "neither in query, path, header nor cookie"))),
    }
    Ok(())
}

fn one(pointer: &str, parameter: &Value, source: &Source<'_>) -> Result<Parameter, ConfigError> {
    let text = |key: &str| parameter.get(key).and_then(Value::as_str);
    let name = text("name").unwrap_or_default().into();
    let required = parameter.get("required") == Some(&Value::Bool(true)) || text("in") == Some("path");
    let Some(schema) = parameter.get("schema") else {
        return Ok(Parameter { name, required, form: Form::Anything, schema: None });
    };
    let place = [pointer, "/schema"].concat();
    let (_, resolved) = source.resolve(place.clone(), schema)?;
    let form = form(parameter, resolved, source)?;
    let schema = (form != Form::Anything).then(|| source.schema(&place)).transpose()?;
    Ok(Parameter { name, required, form, schema })
}

/// How the texts of a parameter become a value (OpenAPI 3.1.1 section 4.8.12.3). Objects, and styles other than the
/// usual ones, are not looked at.
fn form(parameter: &Value, schema: &Value, source: &Source<'_>) -> Result<Form, ConfigError> {
    let place = parameter.get("in").and_then(Value::as_str).unwrap_or_default();
    let usual = if matches!(place, "query" | "cookie") { "form" } else { "simple" };
    let style = parameter.get("style").and_then(Value::as_str).unwrap_or(usual);
    let explode = parameter.get("explode").and_then(Value::as_bool).unwrap_or(style == "form");
    let kind = schema.get("type").and_then(Value::as_str);
    if kind == Some("object") || schema.get("properties").is_some() {
        return Ok(Form::Anything);
    }
    if kind != Some("array") {
        return Ok(if style == usual { Form::One(scalar(kind)) } else { Form::Anything });
    }
    let items = match schema.get("items") {
        Some(items) => source.resolve(String::new(), items)?.1.get("type").and_then(Value::as_str),
        None => None,
    };
    // A text that may be one of several things is only known by the whole schema, which has a list.
    let item = match scalar(items) {
        Scalar::Any => return Ok(Form::Anything),
        known => known,
    };
    Ok(match (style, explode) {
        ("form", true) if place == "query" => Form::Texts(item),
        ("form", false) | ("simple", _) => Form::Split(',', item),
        ("pipeDelimited", false) => Form::Split('|', item),
        ("spaceDelimited", false) => Form::Split(' ', item),
        _ => Form::Anything,
    })
}

fn scalar(kind: Option<&str>) -> Scalar {
    match kind {
        Some("string") => Scalar::String,
        Some("integer") => Scalar::Integer,
        Some("number") => Scalar::Number,
        Some("boolean") => Scalar::Boolean,
        _ => Scalar::Any,
    }
}
