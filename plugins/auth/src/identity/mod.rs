//! What upstreams are told of who is asking.

mod field;
mod names;
#[cfg(test)]
mod tests;
mod token;

use std::sync::Arc;

use tidegate_core::facts::Identity;
use tidegate_core::{Bytes, Clock, ConfigError, ConfigErrors, ConfigPath, HeaderName, RequestHeader};

use crate::config::Forwarding;
use crate::keys::KeyRing;

use field::What;
use names::Spoofed;
use token::Signer;

/// Removes what clients say of themselves, and says what is known.
pub(crate) struct Forwarder {
    spoofed: Spoofed,
    fields: Box<[Field]>,
    token: Option<(Bytes, Signer)>,
    clock: Clock,
}

/// A field that is written.
struct Field {
    /// In lower case, as HTTP/2 has it.
    name: Bytes,
    what: What,
}

/// Names while they are collected: those that are removed, and which of them are written.
#[derive(Default)]
struct Names {
    spoofed: Spoofed,
    written: Spoofed,
}

impl Forwarder {
    /// `spoofable`: more fields to remove. `service`: the token service's keys and its issuer, for the internal token.
    /// Errors are relative to `identity`.
    pub(crate) fn build(
        config: &Forwarding,
        spoofable: Vec<HeaderName>,
        service: Option<(Arc<KeyRing>, &str)>,
        clock: &Clock,
    ) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        let mut names = Names::default();
        let fields = config.headers.iter();
        let fields = fields.filter_map(|(name, what)| errors.collect(names.field(name, what))).collect();
        for (index, name) in config.strip.iter().enumerate() {
            let path = ConfigPath::from("strip").index(index);
            errors.collect(names.removed(name).map_err(|error| error.under(&path)));
        }
        spoofable.iter().for_each(|name| names.spoofed.add(name));
        let token = config.token.as_ref().and_then(|token| {
            let name = names.written(&token.header).map_err(|error| error.under(&"token.header".into()));
            let signer = Signer::build(token, service).map_err(|errors| errors.under(&"token".into()));
            errors.collect(name).zip(errors.collect(signer))
        });
        errors.into_result(Self { spoofed: names.spoofed, fields, token, clock: clock.clone() })
    }

    /// Removes what the client sent, and writes what is known of it.
    pub(crate) fn apply(&self, identity: Option<&Identity>, head: &mut RequestHeader) -> tidegate_core::Result<()> {
        self.spoofed.strip(head);
        let Some(identity) = identity else { return Ok(()) };
        for field in &self.fields {
            if let Some(value) = field.what.of(identity) {
                head.insert_header(field.name.clone(), value)?;
            }
        }
        if let Some((name, signer)) = &self.token {
            head.insert_header(name.clone(), signer.token(identity, self.clock.wall())?)?;
        }
        Ok(())
    }
}

impl Names {
    fn field(&mut self, name: &str, what: &str) -> Result<Field, ConfigError> {
        let path = ConfigPath::from("headers").key(name);
        if what.is_empty() {
            let error = ConfigError::at(path, "says nothing");
            return Err(error.help("`sub`, `roles`, `scopes`, `provider`, or the name of a claim"));
        }
        let name = self.written(name).map_err(|error| error.under(&path).about_key())?;
        Ok(Field { name, what: What::parse(what) })
    }

    fn written(&mut self, text: &str) -> Result<Bytes, ConfigError> {
        let name = names::written(text)?;
        if self.written.has(name.as_str()) {
            return Err(ConfigError::at("", format!("`{name}` is written already, or what some servers take for it")));
        }
        self.spoofed.add(&name);
        self.written.add(&name);
        Ok(Bytes::copy_from_slice(name.as_str().as_bytes()))
    }

    fn removed(&mut self, text: &str) -> Result<(), ConfigError> {
        names::removed(text).map(|name| self.spoofed.add(&name))
    }
}
