//! Keys of programs.

mod keys;
mod uses;

use std::sync::Arc;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use serde_json::{Value, json};
use tidegate_core::{BuildCx, ConfigError, ConfigErrors, RequestHeader, Stop};

use crate::config::ApiKey as Config;
use crate::credential::{Carried, Sources, watched};
use crate::plugin::Parts;
use crate::verdict::{Asking, Authenticator, Reason, Scheme, Verdict};

use keys::{Keys, No};
use uses::Uses;

/// The provider.
struct ApiKey {
    name: Box<str>,
    sources: Sources,
    strip: bool,
    keys: Arc<ArcSwap<Keys>>,
}

/// The provider. Errors are relative to its own map.
pub(crate) fn build(
    config: &Config,
    name: &str,
    _parts: &Parts,
    cx: &mut BuildCx<'_>,
) -> Result<Arc<dyn Authenticator>, ConfigErrors> {
    let mut errors = ConfigErrors::new();
    let sources = errors.collect(Sources::build(&config.sources, cx).map_err(|e| e.under(&"sources".into())));
    let uses = Uses::kept(name, cx).map_err(|error| ConfigError::at("", error.to_string()));
    let uses = errors.collect(uses).map(Arc::new);
    let keys = uses.and_then(|uses| errors.collect(all_keys(config, name, uses, cx)));
    let (Some(sources), Some(keys), true) = (sources, keys, errors.is_empty()) else { return Err(errors) };
    Ok(Arc::new(ApiKey { name: name.into(), sources, strip: config.strip, keys }))
}

fn all_keys(
    config: &Config,
    name: &str,
    uses: Arc<Uses>,
    cx: &mut BuildCx<'_>,
) -> Result<Arc<ArcSwap<Keys>>, ConfigErrors> {
    let inline = Keys::build(&config.keys, name, &uses).map_err(|errors| errors.under(&"keys".into()))?;
    let Some(file) = &config.file else {
        if inline.is_empty() {
            let error = ConfigError::at("keys", "there are no keys: nobody would ever be known");
            return Err(error.help("write `keys`, or name a `file` with them").into());
        }
        let keys = Arc::new(ArcSwap::from_pointee(inline));
        let current = keys.clone();
        // Not before this configuration is the current one: the one before shows its keys till then.
        cx.spawn(&["api_key.", name].concat(), async move |_: Stop| uses.keep_only(|key| current.load().has(key)));
        return Ok(keys);
    };
    let (entries, provider, known) = (config.keys.clone(), name.to_owned(), uses.clone());
    let read = move |text: &str| Keys::read(&entries, text, &provider, &known);
    let current = move |keys: &Keys| uses.keep_only(|key| keys.has(key));
    let keys = watched(file, &["api_key.", name].concat(), read, current, cx);
    Ok(keys.map_err(|error| error.under(&"file".into()))?)
}

#[async_trait]
impl Authenticator for ApiKey {
    fn name(&self) -> &str {
        &self.name
    }

    fn at_once(&self, asking: &Asking<'_>) -> Option<Verdict> {
        Some(match self.sources.find(&asking.head) {
            Carried::Nothing => Verdict::Nothing,
            Carried::Several => Verdict::Refused(Reason::Ambiguous.into()),
            Carried::Broken => Verdict::Refused(Reason::Malformed.into()),
            Carried::One(key) => match self.keys.load().prove(key, asking.now) {
                Ok(proved) => Verdict::Proved(proved),
                Err(No::Nobodys) => Verdict::NotMine(Reason::Unknown.into()),
                Err(No::Wrong) => Verdict::Refused(Reason::Unknown.into()),
                Err(No::Expired) => Verdict::Refused(Reason::Expired.into()),
            },
        })
    }

    async fn authenticate(&self, asking: &Asking<'_>) -> Verdict {
        self.at_once(asking).unwrap_or(Verdict::Nothing)
    }

    fn strip(&self, head: &mut RequestHeader) {
        if self.strip {
            self.sources.strip(head);
        }
    }

    fn scheme(&self) -> Option<Scheme> {
        self.sources.has_bearer().then_some(Scheme::Bearer)
    }

    fn state(&self) -> Option<Value> {
        Some(json!({ "keys": self.keys.load().shown() }))
    }
}
