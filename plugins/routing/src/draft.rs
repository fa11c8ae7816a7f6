//! One route of the configuration, checked and taken apart.

use std::fmt::Display;

use tidegate_core::{ConfigError, ConfigErrors, ConfigPath, RouteLimits, RouteSpec};

use crate::config::{MatchConfig, RouteConfig};
use crate::deprecation::Deprecation;
use crate::fields::{Field, FieldMatch, FieldTest};
use crate::hooks::{Deprecates, Rewrites};
use crate::host::HostPattern;
use crate::methods::Methods;
use crate::networks::Networks;
use crate::normalise::PathRules;
use crate::path::PathPattern;
use crate::predicate::{Conditions, Others};
use crate::redirect::Redirect;
use crate::rewrite::Rewrite;
use crate::serve::{Served, served};
use crate::version::Versions;

/// One route, ready for the index.
pub(crate) struct Draft {
    /// Its place in the file.
    pub(crate) index: usize,
    pub(crate) hosts: Vec<HostPattern>,
    pub(crate) paths: Vec<PathPattern>,
    pub(crate) conditions: Conditions,
    /// What happens to its requests, in lines for people.
    pub(crate) words: Vec<String>,
    pub(crate) spec: RouteSpec,
}

/// What all routes share.
#[derive(Clone, Copy)]
pub(crate) struct Shared<'a> {
    pub(crate) rules: PathRules,
    pub(crate) versions: Option<&'a Versions>,
}

impl Draft {
    /// Errors carry paths relative to the route.
    pub(crate) fn new(index: usize, config: &RouteConfig, shared: Shared<'_>) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        let name = errors.collect(route_name(index, config.name.as_deref()));
        let paths =
            errors.collect(paths(&config.matches, shared.rules).map_err(|errors| errors.under(&"match".into())));
        let conditions =
            errors.collect(conditions(config, shared.versions).map_err(|errors| errors.under(&"match".into())));
        let served = errors.collect(served(config));
        let own = paths.as_deref().and_then(|paths| errors.collect(Own::new(config, paths, shared)));
        let (Some(name), Some(paths), Some(conditions), Some(served), Some(own)) =
            (name, paths, conditions, served, own)
        else {
            return Err(errors);
        };
        check_params(&served, own.rewrite.as_ref(), &paths, &mut errors);
        let hosts = match config.matches.host.is_empty() {
            true => vec![HostPattern::Any],
            false => config.matches.host.to_vec(),
        };
        let words = own.words(&served);
        let mut spec = RouteSpec::new(name, ConfigPath::from("routes").index(index), served.by);
        spec.summary = summary(&conditions, &hosts, &paths);
        spec.params = paths.first().map(|path| path.names().map(Box::from).collect()).unwrap_or_default();
        spec.mounts = paths.iter().filter_map(PathPattern::mount).collect();
        spec.policies.clone_from(&config.plugins);
        spec.limits = limits(config);
        let spec = own.hook(spec);
        errors.into_result(Self { index, hosts, paths, conditions, words, spec })
    }

    /// Where it stands, relative to the section.
    pub(crate) fn path(&self) -> &ConfigPath {
        &self.spec.path
    }
}

/// The router's own share in the route's requests.
struct Own {
    rewrite: Option<Rewrite>,
    deprecation: Option<Deprecation>,
}

impl Own {
    fn new(config: &RouteConfig, paths: &[PathPattern], shared: Shared<'_>) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        let rewrite = config.rewrite.as_ref().map(|rewrite| Rewrite::new(rewrite, paths, shared.rules)).transpose();
        let rewrite = errors.collect(rewrite.map_err(|error| error.under(&"rewrite".into())));
        let deprecation = config.deprecation.as_ref().map(Deprecation::new).transpose();
        let deprecation = errors.collect(deprecation.map_err(|error| error.under(&"deprecation".into())));
        let of_version = || shared.versions?.deprecation(config.matches.version.as_deref(), paths).cloned();
        errors.into_result(Self { rewrite: rewrite.flatten(), deprecation: deprecation.flatten().or_else(of_version) })
    }

    fn words(&self, served: &Served) -> Vec<String> {
        let mut words = vec![format!("it is served by {}", served.words)];
        words.extend(self.rewrite.as_ref().map(|rewrite| format!("on the way there, {rewrite}")));
        words.extend(self.deprecation.as_ref().map(|_| "its answers say that it is deprecated".to_owned()));
        words
    }

    fn hook(self, spec: RouteSpec) -> RouteSpec {
        match (self.rewrite, self.deprecation) {
            (None, None) => spec,
            (Some(rewrite), None) => spec.hooks(Rewrites(rewrite)),
            (rewrite, Some(deprecation)) => spec.hooks(Deprecates { rewrite, deprecation }),
        }
    }
}

const LONGEST_NAME: usize = 100;

fn route_name(index: usize, name: Option<&str>) -> Result<String, ConfigError> {
    let Some(name) = name else {
        return Ok(format!("route-{index}"));
    };
    let valid = |b: u8| b.is_ascii_alphanumeric() || b"._-:/".contains(&b);
    match !name.is_empty() && name.len() <= LONGEST_NAME && name.bytes().all(valid) {
        true => Ok(name.to_owned()),
        false => Err(ConfigError::at("name", "a name is made of letters, digits and . _ - : /, at most 100 of them")),
    }
}

fn paths(matches: &MatchConfig, rules: PathRules) -> Result<Vec<PathPattern>, ConfigErrors> {
    if matches.path.is_empty() {
        return Ok(vec![PathPattern::all()]);
    }
    let mut errors = ConfigErrors::new();
    let first: Vec<_> = matches.path.iter().take(1).flat_map(PathPattern::names).collect();
    for path in matches.path.iter() {
        if let Some(why) = path.unreachable(rules) {
            errors.push(ConfigError::at("path", format!("no request matches `{path}`: {why}")));
        }
        if path.names().ne(first.iter().copied()) {
            let message = format!("`{path}` has other parameters than the first path of the route");
            errors.push(
                ConfigError::at("path", message).help("name the same ones in the same order, or make it another route"),
            );
        }
    }
    errors.into_result(matches.path.to_vec())
}

fn conditions(config: &RouteConfig, versions: Option<&Versions>) -> Result<Conditions, ConfigErrors> {
    let (matches, mut errors) = (&config.matches, ConfigErrors::new());
    let mut fields = field_tests("headers", &matches.headers, Field::header, &mut errors);
    fields.extend(field_tests("query", &matches.query, |name| Ok(Field::Query(name.into())), &mut errors));
    fields.extend(field_tests("cookies", &matches.cookies, |name| Ok(Field::Cookie(name.into())), &mut errors));
    fields.sort_by(|a, b| a.field.cmp(&b.field));
    let version = matches.version.as_deref().map(|version| match versions {
        Some(versions) => versions.test(version),
        None => Err(ConfigError::at("", "there is no `versioning` section that says which versions there are")),
    });
    let version = errors.collect(version.transpose().map_err(|error| error.under(&"version".into())));
    let mut listeners: Vec<Box<str>> = matches.listener.iter().map(|name| name.as_str().into()).collect();
    listeners.sort_unstable();
    listeners.dedup();
    let scheme = matches.scheme.map(crate::config::SchemeName::get);
    errors.into_result(Conditions {
        methods: (!matches.methods.is_empty()).then(|| Methods::of_route(&matches.methods)),
        others: Others {
            // A redirect to another scheme would go on for ever with requests of that scheme.
            scheme: scheme.or_else(|| Redirect::needs_scheme(config.redirect.as_ref()?)),
            listeners,
            clients: (!matches.client.is_empty()).then(|| Networks::new(&matches.client)),
            path_regex: matches.path_regex.clone(),
            fields,
            version: version.flatten(),
        },
    })
}

fn field_tests(
    key: &str,
    config: &[FieldMatch],
    field: impl Fn(&str) -> Result<Field, ConfigError>,
    errors: &mut ConfigErrors,
) -> Vec<FieldTest> {
    let at = ConfigPath::from(key);
    let tests = config.iter().enumerate().map(|(index, config)| {
        let test = field(&config.name).and_then(|field| FieldTest::new(field, config));
        test.map_err(|error| error.under(&at.index(index)))
    });
    tests.filter_map(|test| errors.collect(test)).collect()
}

/// Refuses `{param.x}` where the path has no `{x}`.
fn check_params(served: &Served, rewrite: Option<&Rewrite>, paths: &[PathPattern], errors: &mut ConfigErrors) {
    let used = served.params.iter().map(|(name, at)| (&**name, *at));
    let used = used.chain(rewrite.into_iter().flat_map(Rewrite::params).map(|name| (name, "rewrite.path")));
    for (name, at) in used {
        if !paths.iter().all(|path| path.names().any(|known| known == name)) {
            errors.push(ConfigError::at(at, format!("the route's path has no parameter `{name}`")));
        }
    }
}

fn limits(config: &RouteConfig) -> RouteLimits {
    let timeouts = &config.timeouts;
    RouteLimits {
        body: config.limits.body,
        request: timeouts.request,
        connect: timeouts.connect,
        read: timeouts.read,
        write: timeouts.write,
    }
}

/// `GET,HEAD api.example.com/v1/users/** header x-beta=…`
fn summary(conditions: &Conditions, hosts: &[HostPattern], paths: &[PathPattern]) -> String {
    let methods = conditions.methods.as_ref().map(|methods| methods.to_string().replace(", ", ",") + " ");
    let host = if hosts == [HostPattern::Any] { String::new() } else { first_of(hosts) };
    [methods.unwrap_or_default(), host, first_of(paths), conditions.others.to_string()].concat()
}

/// The first, and how many more there are: `a.test(+2)`.
fn first_of(all: &[impl Display]) -> String {
    match all {
        [] => String::new(),
        [one] => one.to_string(),
        [first, more @ ..] => format!("{first}(+{})", more.len()),
    }
}
