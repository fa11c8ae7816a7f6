//! Operations of an OpenAPI document, found by method and path.

mod dialect;
mod operation;
mod template;

use std::collections::HashMap;

use jsonschema::{Draft, Registry};
use serde_json::Value;
use tidegate_core::{ConfigError, HeaderValue, Method};

use crate::config::OpenApi as Config;
use crate::schema;

pub(crate) use operation::Operation;
use operation::Source;
use template::Template;

/// By which schemas in the document are referred to.
const URI: &str = "urn:tidegate:openapi";

/// What a document says of requests.
#[derive(Debug)]
pub(crate) struct Document {
    base: Box<str>,
    /// By the number of their segments; those with fewer parameters first.
    paths: HashMap<usize, Vec<PathItem>>,
}

#[derive(Debug)]
struct PathItem {
    template: Template,
    operations: Vec<(Method, Operation)>,
}

/// What a document says of one request.
#[derive(Debug)]
pub(crate) enum Found<'d, 'p> {
    /// The operation, and what its path captured, still percent-encoded.
    Operation(&'d Operation, Vec<(&'d str, &'p str)>),
    /// The path is there, with other methods: these.
    Method(Option<HeaderValue>),
    Nothing,
}

impl Document {
    /// The errors carry no path.
    pub(crate) fn load(config: &Config) -> Result<Self, ConfigError> {
        let named = |error| schema::about(config.file.display(), error);
        Self::read(schema::read(&config.file)?, config.base_path.as_deref()).map_err(named)
    }

    pub(crate) fn read(mut document: Value, base: Option<&str>) -> Result<Self, ConfigError> {
        dialect::to_json_schema(&mut document)?;
        let base = base.map_or_else(|| base_of(&document), |base| Ok(base.to_owned()))?;
        let base = base.trim_end_matches('/');
        if !base.is_empty() && !base.starts_with('/') {
            return Err(ConfigError::at("", "the base path does not begin with a slash"));
        }
        let unusable = |error: jsonschema::ReferencingError| ConfigError::at("", format!("can't be used: {error}"));
        let builder = Registry::new().draft(Draft::Draft202012).add(URI, document.clone()).map_err(unusable)?;
        let registry = builder.prepare().map_err(unusable)?;
        let source = Source { document: &document, registry: &registry };
        let mut paths: HashMap<usize, Vec<PathItem>> = HashMap::new();
        for (path, item) in document.get("paths").and_then(Value::as_object).into_iter().flatten() {
            // Extensions (`x-…`) stand beside paths.
            if path.starts_with('/') {
                let item = path_item(path, item, &source)?;
                paths.entry(item.template.len()).or_default().push(item);
            }
        }
        if paths.is_empty() {
            return Err(ConfigError::at("", "it has no paths"));
        }
        paths.values_mut().for_each(|items| items.sort_by_key(|item| item.template.vagueness()));
        Ok(Self { base: base.into(), paths })
    }

    /// What the document says of a request.
    pub(crate) fn find<'d, 'p>(&'d self, method: &Method, path: &'p str) -> Found<'d, 'p> {
        let Some(rest) = path.strip_prefix(&*self.base).and_then(|rest| rest.strip_prefix('/')) else {
            return Found::Nothing;
        };
        let segments: Vec<&'p str> = rest.split('/').collect();
        let mut others = Vec::new();
        for item in self.paths.get(&segments.len()).into_iter().flatten() {
            let Some(captured) = item.template.captures(&segments) else { continue };
            match item.operation(method) {
                Some(operation) => return Found::Operation(operation, captured),
                None => others.extend(item.operations.iter().map(|(method, _)| method.as_str())),
            }
        }
        if others.is_empty() {
            return Found::Nothing;
        }
        others.sort_unstable();
        others.dedup();
        Found::Method(HeaderValue::from_str(&others.join(", ")).ok())
    }

    /// How many operations there are.
    pub(crate) fn len(&self) -> usize {
        self.paths.values().flatten().map(|item| item.operations.len()).sum()
    }
}

impl PathItem {
    /// HEAD is a GET without the answer's body, and documents rarely list it.
    fn operation(&self, method: &Method) -> Option<&Operation> {
        let of =
            |method: &Method| self.operations.iter().find(|(own, _)| own == method).map(|(_, operation)| operation);
        of(method).or_else(|| if *method == Method::HEAD { of(&Method::GET) } else { None })
    }
}

fn path_item(path: &str, item: &Value, source: &Source<'_>) -> Result<PathItem, ConfigError> {
    const METHODS: [(&str, Method); 8] = [
        ("get", Method::GET),
        ("put", Method::PUT),
        ("post", Method::POST),
        ("delete", Method::DELETE),
        ("options", Method::OPTIONS),
        ("head", Method::HEAD),
        ("patch", Method::PATCH),
        ("trace", Method::TRACE),
    ];
    let of = |error| schema::about(path, error);
    let template = Template::parse(path).map_err(of)?;
    let (pointer, item) = source.resolve(format!("/paths/{}", escaped(path)), item).map_err(of)?;
    let mut operations = Vec::new();
    for (key, method) in METHODS {
        if let Some(operation) = item.get(key) {
            let built = Operation::build(&pointer, item, key, operation, &template, source);
            operations.push((method, built.map_err(|error| of(schema::about(key, error)))?));
        }
    }
    Ok(PathItem { template, operations })
}

/// A key as a part of a JSON Pointer.
fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// The path of the first server's URL.
fn base_of(document: &Value) -> Result<String, ConfigError> {
    let Some(url) = document.pointer("/servers/0/url").and_then(Value::as_str) else { return Ok(String::new()) };
    let path = match url.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("", |at| &rest[at..]),
        None => url,
    };
    if path.contains(['{', '?', '#']) || (!path.is_empty() && !path.starts_with('/')) {
        let error = ConfigError::at("", "the path of its first server is none that requests can have");
        return Err(error.help("say what comes before its paths: base_path: /v1"));
    }
    Ok(path.to_owned())
}

#[cfg(test)]
mod tests;
