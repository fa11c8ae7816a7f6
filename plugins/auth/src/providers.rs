//! All providers of the section, and which of them count on a route.

mod selected;

use std::collections::BTreeMap;
use std::sync::Arc;

use tidegate_core::{BuildCx, ConfigError, ConfigErrors, ConfigPath, HeaderName};

use crate::config::{Config, Own, Provider as ProviderConfig};
use crate::metrics::{AuthMetrics, Checks};
use crate::plugin::Parts;
use crate::verdict::Authenticator;

pub(crate) use selected::{Found, Selected, Walk};

/// All providers, in order.
pub(crate) struct Providers(Vec<Provider>);

/// A provider, and what came of its checks.
#[derive(Clone)]
pub(crate) struct Provider {
    pub(crate) authenticator: Arc<dyn Authenticator>,
    pub(crate) checks: Arc<Checks>,
}

type Built = Result<Arc<dyn Authenticator>, ConfigErrors>;

/// The longest name of a provider.
const MOST_NAME: usize = 64;

impl Providers {
    /// Errors are relative to the section.
    pub(crate) fn build(
        config: &Config,
        parts: &Parts,
        metrics: &AuthMetrics,
        cx: &mut BuildCx<'_>,
    ) -> Result<Self, ConfigErrors> {
        let own = [ProviderConfig { service: Some(Own {}), ..ProviderConfig::default() }];
        let all = match config.providers.is_empty() && config.service.is_some() {
            true => &own[..],
            false => &config.providers,
        };
        let mut errors = ConfigErrors::new();
        let mut names = BTreeMap::new();
        let mut built = Vec::new();
        for (index, provider) in all.iter().enumerate() {
            let at = ConfigPath::from("providers").index(index);
            let one = build(provider, config, parts, cx).map_err(|errors| errors.under(&at));
            let Some(authenticator) = errors.collect(one) else { continue };
            let name = authenticator.name().to_owned();
            errors.collect(taken(&names, &name, &at));
            let checks = Arc::new(metrics.checks(&name));
            names.insert(name, index);
            built.push(Provider { authenticator, checks });
        }
        errors.into_result(Self(built))
    }

    /// Whether nobody can prove anything here.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &dyn Authenticator> {
        self.0.iter().map(|provider| &*provider.authenticator)
    }

    /// Those that count on a route: all where it names none. In the order of the section. Errors are relative to
    /// the policy.
    pub(crate) fn select(&self, names: &[String]) -> Result<Selected, ConfigErrors> {
        let known = || self.iter().map(Authenticator::name);
        let mut errors = ConfigErrors::new();
        for (index, name) in names.iter().enumerate().filter(|(_, name)| !known().any(|known| known == *name)) {
            let path = ConfigPath::from("providers").index(index);
            let error = ConfigError::at(path, format!("there is no provider `{}`", name.escape_debug()));
            errors.push(match self.is_empty() {
                true => error.help("the section `auth` has no `providers:`"),
                false => error.help(format!("there are: {}", known().collect::<Vec<_>>().join(", "))),
            });
        }
        let wanted =
            |provider: &&Provider| names.is_empty() || names.iter().any(|name| name == provider.authenticator.name());
        errors.into_result(Selected::new(self.0.iter().filter(wanted).cloned().collect()))
    }

    /// Fields of clients that could be taken for what a provider says.
    pub(crate) fn spoofable(&self) -> Vec<HeaderName> {
        self.iter().flat_map(|provider| provider.spoofable().to_vec()).collect()
    }
}

/// What is likely a mistake, though it can be checked. Relative to the section.
pub(crate) fn warnings(config: &Config) -> ConfigErrors {
    let mut found = ConfigErrors::new();
    let tokens = config.providers.iter().enumerate().filter_map(|(index, one)| Some((index, one.jwt.as_ref()?)));
    for (index, jwt) in tokens {
        found.extend(crate::jwt::warnings(jwt).under(&ConfigPath::from("providers").index(index).key("jwt")));
    }
    let service = config.service.as_ref().map(|service| crate::service::warnings(service).under(&"service".into()));
    found.extend(service.unwrap_or_default());
    found
}

/// One provider; errors are relative to it.
fn build(provider: &ProviderConfig, config: &Config, parts: &Parts, cx: &mut BuildCx<'_>) -> Built {
    let [kind] = kinds(provider)[..] else {
        let error = ConfigError::at("", "a provider is of exactly one kind");
        let help = "one of: jwt, introspection, api_key, basic, client_certificate, forward, service";
        return Err(error.help(help).into());
    };
    let name = provider.name.as_deref().unwrap_or(kind);
    if !(1..=MOST_NAME).contains(&name.len()) || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
        let error = ConfigError::at("name", "a name is 1 to 64 visible characters");
        return Err(error.help("logs and metrics show it: `staff`").into());
    }
    let built = match provider {
        ProviderConfig { jwt: Some(jwt), .. } => crate::jwt::build(jwt, name, parts, cx),
        ProviderConfig { introspection: Some(introspection), .. } => {
            crate::introspection::build(introspection, name, parts, cx)
        }
        ProviderConfig { api_key: Some(api_key), .. } => crate::api_key::build(api_key, name, parts, cx),
        ProviderConfig { basic: Some(basic), .. } => crate::basic::build(basic, name, parts, cx),
        ProviderConfig { client_certificate: Some(certificate), .. } => {
            crate::client_certificate::build(certificate, name, parts, cx)
        }
        ProviderConfig { forward: Some(forward), .. } => crate::forward::build(forward, name, parts, cx),
        _ => own(config, name, parts, cx),
    };
    built.map_err(|errors| errors.under(&kind.into()))
}

/// The kinds that a provider says it is of.
fn kinds(provider: &ProviderConfig) -> Vec<&'static str> {
    let kinds = [
        ("jwt", provider.jwt.is_some()),
        ("introspection", provider.introspection.is_some()),
        ("api_key", provider.api_key.is_some()),
        ("basic", provider.basic.is_some()),
        ("client_certificate", provider.client_certificate.is_some()),
        ("forward", provider.forward.is_some()),
        ("service", provider.service.is_some()),
    ];
    kinds.into_iter().filter(|(_, given)| *given).map(|(kind, _)| kind).collect()
}

/// The token service's own tokens.
fn own(config: &Config, name: &str, parts: &Parts, cx: &mut BuildCx<'_>) -> Built {
    let Some(service) = &config.service else {
        let error = ConfigError::at("", "there is no token service whose tokens could be taken");
        return Err(error.help("add `service:` to the section").into());
    };
    // What is wrong with the service is reported where it is.
    // What is wrong with the service is reported where it is: the service has such a provider of its own.
    crate::service::provider(name, service, parts, cx).map_err(|_| ConfigErrors::new())
}

fn taken(names: &BTreeMap<String, usize>, name: &str, at: &ConfigPath) -> Result<(), ConfigError> {
    let Some(first) = names.get(name) else { return Ok(()) };
    let error = ConfigError::at(at, format!("providers[{first}] is called `{name}` already"));
    Err(error.help("give it a `name:` of its own"))
}
