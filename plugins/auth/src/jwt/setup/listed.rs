//! Keys that are written out in the configuration.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use tidegate_core::config::Secret;
use tidegate_core::{ConfigError, ConfigErrors, ConfigPath};

use super::{is_tried, read_bounded};
use crate::config::JwtKey;
use crate::jwt::algorithm::Algorithms;
use crate::jwt::form::LONGEST_KID;
use crate::jwt::key::{KeyError, Material, VerifyKey};
use crate::jwt::keys::Keys;
use crate::jwt::pem::{self, PublicPem};

/// All of them. Errors are relative to the provider.
pub(super) fn keys(list: &[JwtKey], allowed: Algorithms) -> Result<Keys, ConfigErrors> {
    let mut errors = ConfigErrors::new();
    let mut keys = Vec::with_capacity(list.len().min(super::MOST_KEYS));
    for (index, key) in list.iter().enumerate() {
        let at = ConfigPath::from("keys").index(index);
        if !is_tried(&keys, key.id.as_deref()) {
            let error = ConfigError::at(at, "one key too many: it would never be tried");
            errors.push(error.help("at most 100 keys, and at most 8 with the same `id`"));
            break;
        }
        keys.extend(errors.collect(read(key, allowed).map_err(|e| e.under(&at))));
    }
    errors.into_result(keys).map(Keys::new)
}

fn read(key: &JwtKey, allowed: Algorithms) -> Result<VerifyKey, ConfigError> {
    let id = key.id.as_deref();
    if id.is_some_and(|id| id.is_empty() || id.len() > LONGEST_KID) {
        return Err(ConfigError::at("id", "an id has 1 to 256 bytes").help("leave it out for a key without one"));
    }
    let said = Some(key.algorithms.iter().copied().collect()).filter(|said: &Algorithms| !said.is_empty());
    let new = |material: Material<'_>| VerifyKey::new(id, material, said);
    let pem = |text: &[u8], field: &str| PublicPem::read(text)?.material(new).map_err(|e| e.under(&field.into()));
    let (field, made) = match (&key.secret, &key.secret_base64, &key.pem, &key.file) {
        (Some(secret), None, None, None) => ("secret", new(Material::Secret(secret.expose().as_bytes()))),
        (None, Some(secret), None, None) => {
            let secret = decode(secret).map_err(|e| e.under(&"secret_base64".into()))?;
            ("secret_base64", new(Material::Secret(&secret)))
        }
        (None, None, Some(text), None) => ("pem", pem(text.as_bytes(), "pem")?),
        (None, None, None, Some(file)) => {
            let text = read_bounded(file, pem::LONGEST as u64).map_err(|e| e.under(&"file".into()))?;
            ("file", pem(&text, "file")?)
        }
        _ => {
            let error = ConfigError::at("", "a key is in one place");
            return Err(error.help("write one of `secret`, `secret_base64`, `pem` and `file`"));
        }
    };
    let made = made.map_err(|error| explained(field, &error))?;
    match made.algorithms.and(allowed).is_empty() {
        true => {
            Err(ConfigError::at("", "it would never be used: the provider's `algorithms` have none that is for it"))
        }
        false => Ok(made),
    }
}

fn explained(field: &str, error: &KeyError) -> ConfigError {
    let at = |field: &str| ConfigError::at(field, error.to_string());
    match error {
        KeyError::NoAlgorithm => at("algorithms").help("such as `algorithms: [HS256]`"),
        KeyError::Misfit { .. } => at("algorithms").help("leave it out for all that fit the key"),
        KeyError::ShortSecret { least, .. } => {
            at(field).help(format!("`openssl rand -base64 {least}` makes one for `secret_base64`"))
        }
        KeyError::RsaSize(_) | KeyError::RsaModulus | KeyError::RsaExponent | KeyError::Point(_) => at(field),
    }
}

const EITHER_WAY: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);

/// Base64 or base64url, with or without padding.
fn decode(secret: &Secret) -> Result<Vec<u8>, ConfigError> {
    let text = secret.expose().trim();
    let alphabet = if text.contains(['-', '_']) { &alphabet::URL_SAFE } else { &alphabet::STANDARD };
    let bytes = GeneralPurpose::new(alphabet, EITHER_WAY).decode(text);
    bytes.map_err(|_| ConfigError::at("", "it is neither base64 nor base64url"))
}
