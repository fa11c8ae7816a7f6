//! `errors:`, the section.

use std::collections::BTreeMap;
use std::path::PathBuf;

use http::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_core::{ConfigError, ConfigErrors, ConfigPath};

use super::page::Page;

/// What clients read when something went wrong.
///
/// ```yaml
/// errors:
///   format: problem+json
///   pages: { 502: /etc/tidegate/502.html, 503: /etc/tidegate/503.html }
///   intercept_upstream: [502, 503]
/// ```
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ErrorsConfig {
    /// The body of an error that has no page of its own. Default: `problem+json`.
    pub(super) format: Format,
    /// A file to send as the body of each error with this status (400 to 599), at most 256 KiB. Its name ends in
    /// `.html`, `.json` or `.txt`, which decides the `Content-Type`. In it `{status}`, `{title}`, `{detail}`,
    /// `{code}` and `{request_id}` are replaced; other braces stay. A client that asks for JSON and not for HTML
    /// gets JSON instead. Read when the configuration is loaded. Default: none.
    pages: BTreeMap<u16, PathBuf>,
    /// Statuses (400 to 599) of upstreams' own answers of which the body and the header fields are replaced by
    /// those of an error made here, so that clients never read an upstream's error page. Default: none.
    intercept_upstream: Vec<u16>,
}

/// The body of an error.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub(crate) enum Format {
    /// `application/problem+json` (RFC 9457): `type`, `title`, `status`, `detail`, `code` and `request_id`.
    #[default]
    #[serde(rename = "problem+json")]
    ProblemJson,
    /// The same object as `application/json`.
    #[serde(rename = "json")]
    Json,
    /// A small HTML page. A client that asks for JSON and not for HTML gets `problem+json`.
    #[serde(rename = "html")]
    Html,
}

impl ErrorsConfig {
    pub(super) fn load_pages(&self, errors: &mut ConfigErrors) -> Box<[(StatusCode, Page)]> {
        let pages = self.pages.iter().filter_map(|(status, file)| {
            let path = ConfigPath::root().key("pages").key(&status.to_string());
            let status = errors.collect(error_status(*status).map_err(|error| error.under(&path)));
            let page = errors.collect(Page::read(file).map_err(|error| error.under(&path)));
            status.zip(page)
        });
        pages.collect()
    }

    pub(super) fn intercepted(&self, errors: &mut ConfigErrors) -> Box<[u16]> {
        let statuses = self.intercept_upstream.iter().enumerate().filter_map(|(index, status)| {
            let path = ConfigPath::root().key("intercept_upstream").index(index);
            errors.collect(error_status(*status).map_err(|error| error.under(&path)))
        });
        statuses.map(|status| status.as_u16()).collect()
    }
}

fn error_status(status: u16) -> Result<StatusCode, ConfigError> {
    let valid = StatusCode::from_u16(status).ok();
    valid
        .filter(|status| status.is_client_error() || status.is_server_error())
        .ok_or_else(|| ConfigError::at("", format!("{status} is not the status of an error")).help("use 400 to 599"))
}
