//! Puzzles of services: Turnstile, hCaptcha, reCAPTCHA. All of them verify a solution in the same way.

use std::time::Duration;

use http::{Request, StatusCode, Uri, header};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::{Value, json};
use tidegate_core::config::Secret;
use tidegate_core::{BuildCx, Bytes, ConfigError, ConfigErrors, ConfigPath, FetchLimits, Http};

use super::challenge::Checked;
use crate::config::service::{Challenge, ChallengeKind};

/// The longest solution that is passed on; those of services have some two thousand characters at most.
const LONGEST: usize = 8192;
/// What reCAPTCHA v3 says of somebody who is as likely a program as a person.
const LOWEST_SCORE: f64 = 0.5;
const LIMITS: FetchLimits = FetchLimits { within: Duration::from_secs(5), largest: 64 * 1024 };

/// Asks a service about solutions. It is told the solution alone, nothing of the client.
pub(super) struct Verifier {
    name: &'static str,
    site_key: String,
    secret: Secret,
    hostnames: Box<[Box<str>]>,
    url: Uri,
    http: Http,
}

/// What a service answers.
#[derive(Deserialize)]
struct Answer {
    success: bool,
    #[serde(default)]
    score: Option<f64>,
    /// Of the page that showed the puzzle.
    #[serde(default)]
    hostname: Option<String>,
    #[serde(default, rename = "error-codes")]
    errors: Vec<String>,
}

impl Verifier {
    /// Errors are relative to `challenge`.
    pub(super) fn build(config: &Challenge, cx: &BuildCx<'_>) -> Result<Self, ConfigErrors> {
        let (name, own_url) = match config.kind {
            ChallengeKind::Hcaptcha => ("hcaptcha", "https://api.hcaptcha.com/siteverify"),
            ChallengeKind::Recaptcha => ("recaptcha", "https://www.google.com/recaptcha/api/siteverify"),
            ChallengeKind::Turnstile | ChallengeKind::Work => {
                ("turnstile", "https://challenges.cloudflare.com/turnstile/v0/siteverify")
            }
        };
        let mut errors = ConfigErrors::new();
        let missing = |key| ConfigError::at(key, format!("{name} needs it")).help("the service shows it");
        let site_key = errors.collect(config.site_key.clone().filter(|key| !key.is_empty()).ok_or(missing("site_key")));
        let secret = config.secret.clone().filter(|secret| !secret.expose().is_empty());
        let secret = errors.collect(secret.ok_or(missing("secret")));
        let url = errors.collect(address(config.url.as_deref().unwrap_or(own_url)));
        let http = errors.collect(cx.http(None));
        let hostnames = errors.collect(hostnames(&config.hostnames));
        match (site_key, secret, url, http, hostnames) {
            (Some(site_key), Some(secret), Some(url), Some(http), Some(hostnames)) => {
                Ok(Self { name, site_key, secret, hostnames, url, http })
            }
            _ => Err(errors),
        }
    }

    /// What a page needs to show the puzzle.
    pub(super) fn ask(&self) -> Value {
        json!({ "kind": self.name, "site_key": self.site_key })
    }

    /// Whether the service takes this solution.
    pub(super) async fn check(&self, solution: &str) -> Checked {
        if solution.is_empty() || solution.len() > LONGEST {
            return Checked::Wrong;
        }
        self.verify(solution).await.unwrap_or_else(|why| {
            log::error!(service = self.name; "solutions of challenges can't be verified: {why}");
            Checked::Unknown
        })
    }

    async fn verify(&self, solution: &str) -> Result<Checked, String> {
        let request = Request::post(self.url.clone())
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(self.form(solution))
            .map_err(|error| error.to_string())?;
        let answer = self.http.fetch(request, LIMITS).await.map_err(|error| error.to_string())?;
        if answer.status() != StatusCode::OK {
            return Err(format!("the service answers {}", answer.status().as_u16()));
        }
        let answer: Answer = serde_json::from_slice(answer.body()).map_err(|_| "the answer is not as documented")?;
        // A secret that the service doesn't know makes every solution wrong: that is no fault of the clients.
        if answer.errors.iter().any(|error| error.contains("input-secret")) {
            return Err("the service does not know the secret".to_owned());
        }
        let person = answer.score.is_none_or(|score| score >= LOWEST_SCORE);
        let ours = self.is_ours(answer.hostname.as_deref());
        Ok(if answer.success && person && ours { Checked::Solved } else { Checked::Wrong })
    }

    /// Whether a page of ours showed the puzzle.
    fn is_ours(&self, hostname: Option<&str>) -> bool {
        let is_one = |name: &str| self.hostnames.iter().any(|ours| ours.eq_ignore_ascii_case(name));
        self.hostnames.is_empty() || hostname.is_some_and(is_one)
    }

    fn form(&self, solution: &str) -> Bytes {
        let encoded = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
        Bytes::from(format!("secret={}&response={}", encoded(self.secret.expose()), encoded(solution)))
    }
}

fn hostnames(names: &[String]) -> Result<Box<[Box<str>]>, ConfigErrors> {
    let is_host = |name: &str| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
    };
    let mut errors = ConfigErrors::new();
    for (index, name) in names.iter().enumerate().filter(|(_, name)| !is_host(name)) {
        let error = ConfigError::at(
            ConfigPath::from("hostnames").index(index),
            format!("`{}` is no name of a site", name.escape_debug()),
        );
        errors.push(error.help("write it as it stands in its URL, without scheme and port: `app.example.com`"));
    }
    errors.into_result(names.iter().map(|name| name.as_str().into()).collect())
}

fn address(url: &str) -> Result<Uri, ConfigError> {
    let parsed = url.parse::<Uri>().ok();
    let absolute = |url: &Uri| matches!(url.scheme_str(), Some("https" | "http")) && url.host().is_some();
    parsed.filter(absolute).ok_or_else(|| ConfigError::at("url", "is no absolute URL of http or https"))
}
