//! What others need to know to check tokens: the keys, and where they are.

use std::time::Duration;

use serde_json::json;
use tidegate_core::{Body, Bytes, HeaderValue, Reply, StatusCode, header};

use super::Desk;
use super::answer::Answer;
use crate::config::service::{Service, SigningAlgorithm};

/// The longest that others keep keys.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// `Cache-Control` of the keys: the next one is known to everybody before it signs.
pub(super) fn max_age(config: &Service) -> HeaderValue {
    let age = (config.keys.publish_before.get() / 2).min(LONGEST).as_secs();
    let value = format!("public, max-age={age}");
    HeaderValue::try_from(value).unwrap_or_else(|_| HeaderValue::from_static("no-store"))
}

/// Where everything is, for the service below `at`, as far as OpenID Connect Discovery 1.0 section 3 has words for it.
pub(super) fn document(config: &Service, at: &str) -> Bytes {
    let algorithm = match config.keys.algorithm {
        SigningAlgorithm::ES256 => "ES256",
        SigningAlgorithm::RS256 => "RS256",
        SigningAlgorithm::EdDSA => "EdDSA",
    };
    let base = config.issuer.trim_end_matches('/');
    let document = json!({
        "issuer": config.issuer,
        "jwks_uri": format!("{base}{at}/.well-known/jwks.json"),
        "response_types_supported": ["none"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [algorithm],
    });
    Bytes::from(document.to_string())
}

impl Desk<'_> {
    pub(super) fn jwks(&self) -> Answer {
        Ok(self.shared(self.service.deps.keys.jwks()?))
    }

    pub(super) fn discovery(&self) -> Answer {
        Ok(self.shared(self.document.clone()))
    }

    fn shared(&self, body: Bytes) -> Reply {
        Reply::new(StatusCode::OK)
            .header(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .header(header::CACHE_CONTROL, self.service.max_age.clone())
            .body(Body::Bytes(body))
    }
}
