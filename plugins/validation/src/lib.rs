#![doc = include_str!("../README.md")]

mod body;
pub mod config;
mod detail;
mod fault;
mod held;
mod json;
mod metrics;
mod openapi;
mod parameter;
mod route;
mod schema;
mod survey;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use tidegate_core::{BuildCx, Clock, ConfigError, ConfigErrors, ConfigPath, Plugin, Route, StatusCode};

use body::{BodyRules, Check, Limits, MediaRange, Needed};
use config::{Body, Config, Empty, OpenApi, Policy};
use metrics::ValidationMetrics;
use openapi::Document;
use schema::Schema;

pub use route::ValidationRoute;

/// The longest body that may be read into memory.
const LONGEST_BODY: u64 = 64 << 20;

/// The plugin; its section is `validation`. See the crate's own page for what it does.
#[derive(Debug)]
pub struct Validation {
    status: StatusCode,
    most_faults: usize,
    metrics: ValidationMetrics,
    clock: Clock,
    /// Routes often share a document, and a large one takes a while.
    documents: Mutex<HashMap<Place, Arc<Document>>>,
}

/// A file, and what comes before its paths.
type Place = (PathBuf, Option<String>);

impl Plugin for Validation {
    const NAME: &'static str = "validation";
    type Config = Config;
    type Policy = Policy;
    type Handler = ValidationRoute;

    fn build(config: Config, cx: &mut BuildCx<'_>) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        let status = match config.status {
            400 => StatusCode::BAD_REQUEST,
            422 => StatusCode::UNPROCESSABLE_ENTITY,
            _ => {
                errors.push(ConfigError::at("status", "must be 400 or 422"));
                StatusCode::BAD_REQUEST
            }
        };
        if !(1..=100).contains(&config.max_errors) {
            errors.push(ConfigError::at("max_errors", "must be from 1 to 100"));
        }
        let metrics = ValidationMetrics::new(cx.metrics()).map_err(|error| ConfigError::at("", error.to_string()))?;
        let (most_faults, clock) = (config.max_errors, cx.clock().clone());
        errors.into_result(Self { status, most_faults, metrics, clock, documents: Mutex::default() })
    }

    fn handler(&self, policy: Policy, route: &Route) -> Result<ValidationRoute, ConfigErrors> {
        let mut errors = limits_of(&policy);
        if policy.openapi.is_some() && policy.body.is_some() {
            let error = ConfigError::at("body", "the OpenAPI document says what a body must be");
            errors.push(error.help("leave out `body`, or `openapi`"));
        }
        let parameters = errors.collect(parameter::build(&policy, route.params()));
        let body = policy.body.as_ref().map(body_rules).transpose().map_err(|e| e.under(&"body".into()));
        let body = errors.collect(body);
        let document = policy.openapi.as_ref().map(|openapi| self.document(openapi)).transpose();
        let document = errors.collect(document.map_err(|error| error.under(&"openapi.file".into())));
        let (Some(parameters), Some(body), Some(document), true) = (parameters, body, document, errors.is_empty())
        else {
            return Err(errors);
        };
        Ok(ValidationRoute {
            mode: policy.mode,
            parameters,
            other_query: policy.other_query,
            body,
            document: document.zip(policy.openapi.map(|openapi| openapi.unknown)),
            here: route.is_served_here(),
            limits: Limits {
                longest: policy.max_body.as_usize(),
                deepest: policy.max_depth,
                most_faults: self.most_faults,
                status: self.status,
            },
            failures: self.metrics.of(route.name(), policy.mode),
            clock: self.clock.clone(),
            said: Mutex::default(),
        })
    }
}

impl Validation {
    fn document(&self, config: &OpenApi) -> Result<Arc<Document>, ConfigError> {
        let key = (config.file.clone(), config.base_path.clone());
        let mut documents = self.documents.lock();
        if let Some(document) = documents.get(&key) {
            return Ok(document.clone());
        }
        let document = Arc::new(Document::load(config)?);
        log::debug!(file:? = config.file, operations = document.len(); "an OpenAPI document was read");
        documents.insert(key, document.clone());
        Ok(document)
    }
}

fn limits_of(policy: &Policy) -> ConfigErrors {
    let mut errors = ConfigErrors::new();
    if !(1..=LONGEST_BODY).contains(&policy.max_body.bytes()) {
        errors.push(
            ConfigError::at("max_body", "must be from 1B to 64MiB")
                .help("a body is held in memory while it is checked"),
        );
    }
    if !(1..=100).contains(&policy.max_depth) {
        errors.push(ConfigError::at("max_depth", "must be from 1 to 100"));
    }
    errors
}

fn body_rules(config: &Body) -> Result<BodyRules, ConfigErrors> {
    let mut errors = ConfigErrors::new();
    let schema = config.json_schema.as_ref().map(Schema::build).transpose();
    let schema = errors.collect(schema.map_err(|error| error.under(&"json_schema".into())));
    let check = Check::Json(schema.flatten().map(Arc::new));
    let mut types = Vec::new();
    for (index, text) in config.content_types.iter().enumerate() {
        match MediaRange::parse(text) {
            Some(range) => types.push((range, check.clone())),
            None => errors.push(ConfigError::at(ConfigPath::from("content_types").index(index), "no media type")),
        }
    }
    if config.content_types.is_empty() {
        errors.push(ConfigError::at("content_types", "a body has a type: list one"));
    }
    let needed = if config.empty == Empty::Refuse { Needed::Usually } else { Needed::Never };
    errors.into_result(BodyRules::Some { types, needed })
}
