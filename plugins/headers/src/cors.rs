//! Cross-origin resource sharing, as the Fetch Standard has it (<https://fetch.spec.whatwg.org/#http-cors-protocol>).

use tidegate_core::fields::is_token;
use tidegate_core::{
    ConfigError, ConfigErrors, ConfigPath, HeaderMap, HeaderName, HeaderValue, Method, Result, header,
};

use crate::config::{self, Credentials, PrivateNetwork};
use crate::field::{FieldName, Fields};
use crate::names::Pattern;
use crate::origin::Origins;

const REQUEST_PRIVATE_NETWORK: HeaderName = HeaderName::from_static("access-control-request-private-network");
/// Every response field of the protocol begins so.
const PREFIX: &str = "access-control-";
/// What preflights ask for is echoed up to this length; no browser asks for more.
const LONGEST_ECHO: usize = 4096;

/// What one route allows pages of other origins.
#[derive(Debug)]
pub(crate) struct Cors {
    origins: Origins,
    methods: Allowed,
    headers: Allowed,
    expose: Option<HeaderValue>,
    credentials: Credentials,
    max_age: Option<HeaderValue>,
    private_network: PrivateNetwork,
    names: ResponseNames,
    vary_preflight: HeaderValue,
}

/// A list of methods or of header names that a preflight is told.
#[derive(Debug)]
enum Allowed {
    Listed(HeaderValue),
    /// Whatever the preflight asks for. Not a literal `*`: that would leave out `Authorization`, and mean nothing with
    /// credentials.
    Asked,
}

/// What becomes of a request, before anybody knows who is asking.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Preflight {
    /// It is a request like any other.
    No,
    /// A browser asks on behalf of a page that may ask. Which methods and headers it may use, the answer says.
    Allowed,
    /// A browser asks on behalf of a page that may not.
    Refused,
}

#[derive(Debug)]
struct ResponseNames {
    allow_origin: FieldName,
    allow_credentials: FieldName,
    allow_methods: FieldName,
    allow_headers: FieldName,
    allow_private_network: FieldName,
    max_age: FieldName,
    expose_headers: FieldName,
    vary: FieldName,
}

impl Cors {
    /// What this request is to the protocol.
    pub(crate) fn preflight(&self, method: &Method, headers: &HeaderMap) -> Preflight {
        match is_preflight(method, headers) {
            false => Preflight::No,
            true if origin(headers).is_some_and(|origin| self.origins.has(origin.as_bytes())) => Preflight::Allowed,
            true => Preflight::Refused,
        }
    }

    /// Says in a response to such a request what the page may do with it. The upstream has no say.
    pub(crate) fn apply(&self, method: &Method, headers: &HeaderMap, head: &mut impl Fields) -> Result<()> {
        let upstreams: Vec<_> =
            head.fields().keys().filter(|name| name.as_str().starts_with(PREFIX)).cloned().collect();
        upstreams.iter().for_each(|name| head.take(name));
        let preflight = is_preflight(method, headers);
        self.vary(preflight, head)?;
        if !self.allow_origin(headers, head)? {
            return Ok(());
        }
        if self.credentials == Credentials::Allow {
            head.put(&self.names.allow_credentials, HeaderValue::from_static("true"))?;
        }
        match (preflight, &self.expose) {
            (true, _) => self.answer_preflight(headers, head),
            (false, Some(expose)) => head.put(&self.names.expose_headers, expose.clone()),
            (false, None) => Ok(()),
        }
    }

    /// Always, also where the answer would be the same for all: a cache in between must not learn otherwise from one
    /// answer what holds for the next configuration.
    fn vary(&self, preflight: bool, head: &mut impl Fields) -> Result<()> {
        if preflight {
            return head.push(&self.names.vary, self.vary_preflight.clone());
        }
        match varies_by_origin(head.fields()) {
            true => Ok(()),
            false => head.push(&self.names.vary, HeaderValue::from_static("Origin")),
        }
    }

    /// Whether the page may read the answer; if so, the answer says it.
    fn allow_origin(&self, headers: &HeaderMap, head: &mut impl Fields) -> Result<bool> {
        let allowed = match (&self.origins, origin(headers)) {
            (Origins::Any, _) => HeaderValue::from_static("*"),
            (Origins::Listed(_), Some(origin)) if self.origins.has(origin.as_bytes()) => origin.clone(),
            (Origins::Listed(_), _) => return Ok(false),
        };
        head.put(&self.names.allow_origin, allowed)?;
        Ok(true)
    }

    fn answer_preflight(&self, headers: &HeaderMap, head: &mut impl Fields) -> Result<()> {
        let names = &self.names;
        if let Some(methods) = self.methods.answer(headers, &header::ACCESS_CONTROL_REQUEST_METHOD) {
            head.put(&names.allow_methods, methods)?;
        }
        if let Some(allowed) = self.headers.answer(headers, &header::ACCESS_CONTROL_REQUEST_HEADERS) {
            head.put(&names.allow_headers, allowed)?;
        }
        if let Some(max_age) = &self.max_age {
            head.put(&names.max_age, max_age.clone())?;
        }
        let asks = headers.get(REQUEST_PRIVATE_NETWORK).is_some_and(|value| value == "true");
        if asks && self.private_network == PrivateNetwork::Allow {
            head.put(&names.allow_private_network, HeaderValue::from_static("true"))?;
        }
        Ok(())
    }
}

impl Allowed {
    fn answer(&self, headers: &HeaderMap, asked: &HeaderName) -> Option<HeaderValue> {
        match self {
            Allowed::Listed(listed) => Some(listed.clone()),
            Allowed::Asked => headers.get(asked).filter(|value| is_token_list(value.as_bytes())).cloned(),
        }
    }
}

/// "A CORS-preflight request is a CORS request […] It uses `OPTIONS` as method and includes
/// `Access-Control-Request-Method`." Any other `OPTIONS` is the upstream's.
fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    method == Method::OPTIONS
        && headers.contains_key(header::ORIGIN)
        && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// The request's origin; more than one is none.
fn origin(headers: &HeaderMap) -> Option<&HeaderValue> {
    let mut origins = headers.get_all(header::ORIGIN).iter();
    origins.next().filter(|_| origins.next().is_none())
}

fn varies_by_origin(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(header::VARY).iter().filter_map(|line| line.to_str().ok());
    let mut members = lines.flat_map(|line| line.split(',')).map(str::trim);
    members.any(|member| member == "*" || member.eq_ignore_ascii_case("origin"))
}

/// Tokens with commas between them (RFC 9110 section 5.6.1): what a list of methods or names may look like.
fn is_token_list(value: &[u8]) -> bool {
    value.len() <= LONGEST_ECHO && value.iter().all(|byte| is_token(*byte) || b", \t".contains(byte))
}

impl Cors {
    /// Errors have paths relative to `cors`.
    pub(crate) fn build(config: &config::Cors) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        let origins = errors.collect(Origins::build(&config.origins));
        let methods = errors.collect(list("methods", &config.methods, method));
        let headers = errors.collect(list("headers", &config.headers, header_name));
        let expose = errors.collect(list("expose", &config.expose, header_name));
        if let (Some(origins), Credentials::Allow) = (&origins, config.credentials) {
            errors.extend(credentials_at_risk(origins, &expose));
        }
        let (Some(origins), Some(methods), Some(headers), Some(expose)) = (origins, methods, headers, expose) else {
            return Err(errors);
        };
        errors.into_result(Self {
            origins,
            methods,
            headers,
            expose: match expose {
                Allowed::Asked => Some(HeaderValue::from_static("*")),
                Allowed::Listed(listed) => Some(listed).filter(|listed| !listed.is_empty()),
            },
            credentials: config.credentials,
            max_age: config.max_age.map(|age| HeaderValue::from(age.as_secs())),
            private_network: config.private_network,
            names: ResponseNames::new(),
            vary_preflight: HeaderValue::from_static(match config.private_network {
                PrivateNetwork::Deny => "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
                PrivateNetwork::Allow => {
                    "Origin, Access-Control-Request-Method, Access-Control-Request-Headers, \
                     Access-Control-Request-Private-Network"
                }
            }),
        })
    }

    /// Rules of the route that would undo what is promised here: two `Access-Control-Allow-Origin`, which browsers take
    /// for none, or an answer without `Vary`, which a cache hands to the wrong page. Paths are relative to the policy.
    pub(crate) fn conflicts(rules: &config::Edits) -> ConfigErrors {
        let at = |rule: &str| ConfigPath::from("response").key(rule);
        let remove = rules.remove.iter().enumerate().map(|(index, name)| (at("remove").index(index), name));
        let rename = rules.rename.iter().flat_map(|(old, new)| [old, new].map(|name| (at("rename").key(old), name)));
        let set = rules.set.keys().map(|name| (at("set").key(name), name));
        let add = rules.add.keys().map(|name| (at("add").key(name), name));
        let added = add.filter(|(_, name)| name.to_ascii_lowercase().starts_with(PREFIX));
        let changed = remove.chain(rename).chain(set).filter(|(_, name)| reaches_ours(name));
        let conflict = |(path, name): (ConfigPath, &String)| {
            let help = "say it in cors, or leave cors out; for more in Vary: response: { add: { Vary: … } }";
            ConfigError::at(path, format!("`{name}` is for `cors` to set")).help(help)
        };
        changed.chain(added).map(conflict).collect()
    }
}

/// Whether a name or a pattern of a rule is for a field that this plugin owns.
fn reaches_ours(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let pattern = Pattern::parse(&name);
    let matches = |field| pattern.as_ref().is_some_and(|pattern| pattern.matches(field));
    name.starts_with(PREFIX) || name == "vary" || matches("access-control-allow-origin") || matches("vary")
}

/// Fetch forbids credentials with `*`; `null` is no better, for any page can have that origin.
fn credentials_at_risk(origins: &Origins, expose: &Option<Allowed>) -> ConfigErrors {
    let mut errors = ConfigErrors::new();
    if origins.has_anybody() {
        let message = "with credentials, any web page at all could act for the user: `origins` lets in everybody";
        let help = "list the origins by name, without \"*\" and \"null\", or write credentials: omit";
        errors.push(ConfigError::at("credentials", message).help(help));
    }
    if matches!(expose, Some(Allowed::Asked)) {
        let message = "with credentials, `*` is the name of a header and does not stand for all";
        errors.push(ConfigError::at("expose", message).help("list the headers by name"));
    }
    errors
}

/// A list of names, checked one by one; `["*"]` for all.
fn list(
    key: &str,
    names: &[String],
    check: fn(&str) -> Result<(), (&'static str, &'static str)>,
) -> Result<Allowed, ConfigErrors> {
    if let [any] = names
        && any == "*"
    {
        return Ok(Allowed::Asked);
    }
    let mut errors = ConfigErrors::new();
    for (index, name) in names.iter().enumerate() {
        let path = ConfigPath::from(key).index(index);
        errors.collect(check(name).map_err(|(why, help)| ConfigError::at(path, format!("{name:?} {why}")).help(help)));
    }
    let joined = HeaderValue::try_from(names.join(", "));
    errors.into_result(Allowed::Listed(joined.unwrap_or_else(|_| HeaderValue::from_static(""))))
}

const ALONE: (&str, &str) = ("stands for all, and must stand alone", "write [\"*\"], or the names");

fn header_name(name: &str) -> Result<(), (&'static str, &'static str)> {
    match HeaderName::from_bytes(name.as_bytes()) {
        _ if name == "*" => Err(ALONE),
        Ok(_) => Ok(()),
        Err(_) => Err(("is not a header name", "a name is made of letters, digits, `-` and few other signs")),
    }
}

/// Fetch's forbidden methods never get as far as a preflight; `patch` in lower case is not `PATCH`.
fn method(name: &str) -> Result<(), (&'static str, &'static str)> {
    match Method::from_bytes(name.as_bytes()) {
        _ if name == "*" => Err(ALONE),
        Err(_) => Err(("is not a method", "write methods such as GET or PATCH")),
        Ok(_) if name.bytes().any(|b| b.is_ascii_lowercase()) => {
            Err(("is not the method it looks like: methods tell case apart", "write it in upper case"))
        }
        Ok(_) if ["CONNECT", "TRACE", "TRACK"].contains(&name) => {
            Err(("is a method that browsers let no page use", "leave it out"))
        }
        Ok(_) => Ok(()),
    }
}

impl ResponseNames {
    fn new() -> Self {
        let name = |text| FieldName::parse(text).expect("the names in this file are names");
        Self {
            allow_origin: name("Access-Control-Allow-Origin"),
            allow_credentials: name("Access-Control-Allow-Credentials"),
            allow_methods: name("Access-Control-Allow-Methods"),
            allow_headers: name("Access-Control-Allow-Headers"),
            allow_private_network: name("Access-Control-Allow-Private-Network"),
            max_age: name("Access-Control-Max-Age"),
            expose_headers: name("Access-Control-Expose-Headers"),
            vary: name("Vary"),
        }
    }
}

#[cfg(test)]
#[path = "cors_tests.rs"]
mod tests;
