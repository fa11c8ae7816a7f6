//! Signatures as Standard Webhooks has them: HMAC-SHA256 of `<id>.<timestamp>.<body>`.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tidegate_core::ConfigError;

/// The fewest characters of a secret.
const SHORTEST: usize = 24;

/// Signs what a webhook is told.
pub(super) struct Signer(hmac::Key);

impl Signer {
    /// A secret is taken as it is; one that begins with `whsec_` is base64 behind it, as receivers' libraries have it.
    pub(super) fn new(secret: &str) -> Result<Self, ConfigError> {
        if secret.len() < SHORTEST {
            return Err(ConfigError::at("secret", format!("is shorter than {SHORTEST} characters"))
                .help("make one: openssl rand -base64 32"));
        }
        let key = match secret.strip_prefix("whsec_") {
            Some(encoded) => STANDARD.decode(encoded).ok().filter(|key| key.len() >= 16).ok_or_else(|| {
                ConfigError::at("secret", "begins with whsec_, but base64 of at least 16 bytes doesn't follow")
            })?,
            None => secret.as_bytes().to_vec(),
        };
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &key)))
    }

    /// `Webhook-Signature`.
    pub(super) fn sign(&self, id: &str, timestamp: u64, body: &[u8]) -> String {
        let mut mac = hmac::Context::with_key(&self.0);
        for part in [id.as_bytes(), b".", timestamp.to_string().as_bytes(), b".", body] {
            mac.update(part);
        }
        format!("v1,{}", STANDARD.encode(mac.sign()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the specification's own test data (standard-webhooks/standard-webhooks, libraries/*/tests).
    #[test]
    fn the_signature_is_the_one_that_receivers_libraries_make() {
        let signer = Signer::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("a secret");
        let signed = signer.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_secret_that_is_short_or_half_encoded_is_refused() {
        for bad in ["", "short", "whsec_", "whsec_c2hvcnQ=", "whsec_this is no base64 at all"] {
            assert!(Signer::new(bad).is_err(), "{bad}");
        }
        assert!(Signer::new("a sentence as a secret, long enough").is_ok());
    }
}
