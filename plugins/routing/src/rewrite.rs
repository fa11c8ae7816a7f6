//! Paths that change on their way to the upstream. The query always stays as it is.

use std::borrow::Cow;

use http::HeaderValue;
use http::header::HOST;
use http::uri::{PathAndQuery, Uri};
use regex::{Regex, RegexBuilder};
use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_core::{ConfigError, Cx, Error, RequestHeader, Result};

use crate::host::HostPattern;
use crate::normalise::{EscapedSlashes, Normal, PathParameters, PathRules, RepeatedSlashes, normalise};
use crate::path::PathPattern;
use crate::pattern::explained;
use crate::url::{Part, Source, UrlTemplate};

/// What the upstream sees instead of the client's path and host. Without it, both go on unchanged.
///
/// `path` stands alone; of the others, `strip_prefix` is done first, then `regex`, then `add_prefix`. Percent-encoding
/// and the query stay as they are.
///
/// ```yaml
/// rewrite: { strip_prefix: /v1/users, add_prefix: /internal }
/// ```
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RewriteConfig {
    /// Whole segments to take off the front. Must be the front of each `path` of the route, `{names}` included.
    pub strip_prefix: Option<PathPattern>,
    /// Whole segments to put in front.
    pub add_prefix: Option<String>,
    /// A replacement by regular expression.
    pub regex: Option<ReplaceConfig>,
    /// The whole path, with parts of the old one: `/accounts/{param.id}`.
    pub path: Option<UrlTemplate>,
    /// The `Host` that the upstream sees, port included if it is to have one.
    pub host: Option<String>,
}

/// A replacement in the path.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplaceConfig {
    /// What to look for, anywhere in the (normalised) path unless `^` and `$` say otherwise. The first place counts.
    pub pattern: String,
    /// What to put in its place; `$1` or `${name}` is a group of the pattern, `$$` a dollar sign.
    pub replace: String,
}

/// A change of path and host, ready to be applied.
#[derive(Debug, Clone)]
pub(crate) struct Rewrite {
    path: PathRewrite,
    host: Option<HeaderValue>,
    rules: PathRules,
}

#[derive(Debug, Clone)]
enum PathRewrite {
    Steps { strip: usize, replace: Option<(Regex, Box<str>)>, add: Box<str> },
    Whole(UrlTemplate),
}

/// What a rewritten path is brought to: the gateway's own rules have had their say before.
fn rules_after(rules: PathRules) -> PathRules {
    PathRules {
        escaped_slashes: EscapedSlashes::Keep,
        repeated_slashes: match rules.repeated_slashes {
            RepeatedSlashes::Keep => RepeatedSlashes::Keep,
            _ => RepeatedSlashes::Merge,
        },
        path_parameters: PathParameters::Check,
    }
}

const LARGEST_REGEX: usize = 1 << 20;

impl Rewrite {
    /// Errors carry paths relative to the `rewrite` section.
    pub(crate) fn new(config: &RewriteConfig, paths: &[PathPattern], rules: PathRules) -> Result<Self, ConfigError> {
        let host = config.host.as_deref().map(host_header).transpose()?;
        let has_steps = config.strip_prefix.is_some() || config.add_prefix.is_some() || config.regex.is_some();
        let path = match &config.path {
            Some(_) if has_steps => {
                return Err(ConfigError::at(
                    "path",
                    "`path` is the whole path: leave out strip_prefix, regex and add_prefix",
                ));
            }
            Some(path) => PathRewrite::Whole(whole_path(path)?),
            None if has_steps || host.is_some() => PathRewrite::Steps {
                strip: config.strip_prefix.as_ref().map_or(Ok(0), |prefix| strip_count(prefix, paths))?,
                replace: config.regex.as_ref().map(replacement).transpose()?,
                add: config.add_prefix.as_deref().map_or(Ok(""), added_prefix)?.into(),
            },
            None => {
                return Err(ConfigError::at(
                    "",
                    "nothing is rewritten: give strip_prefix, add_prefix, regex, path or host",
                ));
            }
        };
        Ok(Self { path, host, rules: rules_after(rules) })
    }

    /// The parameters of the path that it uses.
    pub(crate) fn params(&self) -> impl Iterator<Item = &str> {
        let template = match &self.path {
            PathRewrite::Whole(template) => Some(template),
            PathRewrite::Steps { .. } => None,
        };
        template.into_iter().flat_map(UrlTemplate::params)
    }

    /// What the upstream sees; an error where the outcome is no path.
    fn path(&self, source: &impl Source) -> Result<String> {
        let rewritten = match &self.path {
            PathRewrite::Whole(template) => {
                let mut path = String::with_capacity(64);
                template.render(source, &mut path).ok_or_else(|| Error::internal("the rewritten path lacks a part"))?;
                path
            }
            PathRewrite::Steps { strip, replace, add } => {
                let head = source.head();
                let stripped = without_segments(head.path, *strip);
                let replaced = match replace {
                    Some((regex, with)) => regex.replace(if stripped.is_empty() { "/" } else { stripped }, &**with),
                    None => Cow::Borrowed(stripped),
                };
                match [add, &*replaced].concat() {
                    path if path.is_empty() => "/".to_owned(),
                    path => path,
                }
            }
        };
        // What is put together here could be a `..` that nobody sent.
        match normalise(&rewritten, self.rules) {
            Ok(Normal::Same) => Ok(rewritten),
            Ok(Normal::Changed(path) | Normal::Redirect(path)) => Ok(path.into()),
            Err(why) => Err(Error::internal("the rewritten path is not a path").because(why)),
        }
    }

    /// Changes `head`, whose URI is the client's, normalised.
    pub(crate) fn apply(&self, cx: &Cx<'_>, head: &mut RequestHeader) -> Result<()> {
        let mut path = self.path(cx)?;
        if let Some(query) = head.uri.query() {
            path.push('?');
            path.push_str(query);
        }
        let path = PathAndQuery::try_from(path)
            .map_err(|error| Error::internal("the rewritten path is not a path").because(error))?;
        let mut parts = head.uri.clone().into_parts();
        parts.path_and_query = Some(path);
        head.set_uri(
            Uri::from_parts(parts).map_err(|error| Error::internal("the rewritten URI is not a URI").because(error))?,
        );
        if let Some(host) = &self.host {
            head.insert_header(HOST, host)?;
        }
        Ok(())
    }
}

fn strip_count(prefix: &PathPattern, paths: &[PathPattern]) -> Result<usize, ConfigError> {
    let mut count = 0;
    for path in paths {
        count = path.segments_under(prefix).ok_or_else(|| {
            let message = format!("`{prefix}` is not the front of the route's path `{path}`, segment by segment");
            ConfigError::at("strip_prefix", message).help("it has no `**`, and no slash at its end")
        })?;
    }
    Ok(count)
}

fn without_segments(path: &str, count: usize) -> &str {
    if count == 0 {
        return path;
    }
    path.match_indices('/').nth(count).and_then(|(at, _)| path.get(at..)).unwrap_or("")
}

fn added_prefix(prefix: &str) -> Result<&str, ConfigError> {
    let is_normal = normalise(prefix, PathRules::default()) == Ok(Normal::Same);
    match is_normal && !prefix.ends_with('/') {
        true => Ok(prefix),
        false => {
            Err(ConfigError::at("add_prefix", format!("`{prefix}` is not a prefix")).help("write it as /internal/v2"))
        }
    }
}

fn whole_path(path: &UrlTemplate) -> Result<UrlTemplate, ConfigError> {
    let rooted = match path.parts().first() {
        Some(Part::Text(text)) => text.starts_with('/') && !text.starts_with("//"),
        first => first == Some(&Part::Path),
    };
    let foreign = |part: &Part| match part {
        Part::Text(text) => text.contains(['?', '#']),
        Part::Path | Part::Param(_) => false,
        Part::Scheme | Part::Host | Part::Query => true,
    };
    match rooted && !path.parts().iter().any(foreign) {
        true => Ok(path.clone()),
        false => {
            Err(ConfigError::at("path", "a path begins with one `/`, and has only {path} and {param.<name>} in it"))
        }
    }
}

fn host_header(host: &str) -> Result<HeaderValue, ConfigError> {
    let name = host.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok()).map_or(host, |(name, _)| name);
    match (name.parse::<HostPattern>(), HeaderValue::from_str(host)) {
        (Ok(HostPattern::Exact(_)), Ok(value)) => Ok(value),
        _ => Err(ConfigError::at("host", format!("`{host}` is not a host"))),
    }
}

fn replacement(config: &ReplaceConfig) -> Result<(Regex, Box<str>), ConfigError> {
    let regex = RegexBuilder::new(&config.pattern).size_limit(LARGEST_REGEX).build();
    let regex = regex.map_err(|error| ConfigError::at("regex.pattern", explained(&config.pattern, &error)))?;
    for group in groups(&config.replace) {
        let known = match group.parse::<usize>() {
            Ok(number) => number < regex.captures_len(),
            Err(_) => regex.capture_names().flatten().any(|name| name == group),
        };
        if !known {
            let help = "write ${1} where a letter, digit or _ follows";
            return Err(ConfigError::at("regex.replace", format!("the pattern has no group `{group}`")).help(help));
        }
    }
    Ok((regex, config.replace.as_str().into()))
}

/// The groups that a replacement names, by the rules of the `regex` crate.
fn groups(replace: &str) -> Vec<&str> {
    let (mut groups, mut rest) = (Vec::new(), replace);
    while let Some((_, after)) = rest.split_once('$') {
        rest = after;
        if let Some(after) = rest.strip_prefix('$') {
            rest = after;
        } else if let Some((name, after)) = rest.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
            groups.push(name);
            rest = after;
        } else {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
            let (name, after) = rest.split_at(end);
            groups.extend(Some(name).filter(|name| !name.is_empty()));
            rest = after;
        }
    }
    groups
}

/// `path -> strip 2 segments, add /internal`
impl std::fmt::Display for Rewrite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut steps = Vec::new();
        match &self.path {
            PathRewrite::Whole(template) => steps.push(format!("the path becomes {template}")),
            PathRewrite::Steps { strip, replace, add } => {
                steps.extend((*strip > 0).then(|| format!("{strip} segments are taken off")));
                steps.extend(replace.as_ref().map(|(regex, with)| format!("{regex} becomes {with}")));
                steps.extend((!add.is_empty()).then(|| format!("{add} is put in front")));
            }
        }
        steps.extend(
            self.host.as_ref().and_then(|host| host.to_str().ok()).map(|host| format!("the host becomes {host}")),
        );
        f.write_str(&steps.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::url::tests::{Asked, asked};

    fn patterns(texts: &[&str]) -> Vec<PathPattern> {
        texts.iter().map(|text| text.parse().expect(text)).collect()
    }

    fn rewrite(config: &RewriteConfig, route: &str, source: &Asked) -> String {
        let rewrite = Rewrite::new(config, &patterns(&[route]), PathRules::default()).expect("valid");
        rewrite.path(source).expect("a path")
    }

    fn strip(prefix: &str) -> RewriteConfig {
        RewriteConfig { strip_prefix: Some(prefix.parse().expect(prefix)), ..RewriteConfig::default() }
    }

    fn replace(pattern: &str, with: &str) -> RewriteConfig {
        let regex = ReplaceConfig { pattern: pattern.into(), replace: with.into() };
        RewriteConfig { regex: Some(regex), ..RewriteConfig::default() }
    }

    #[test]
    fn whole_segments_are_stripped_and_added() {
        let both = |prefix, add: &str| RewriteConfig { add_prefix: Some(add.into()), ..strip(prefix) };
        for (config, path, expected) in [
            (strip("/v1/users"), "/v1/users/123", "/123"),
            (strip("/v1/users"), "/v1/users", "/"),
            (strip("/v1/users"), "/v1/users/", "/"),
            (strip("/v1/users"), "/v1/users/a%20b/%C3%BC", "/a%20b/%C3%BC"),
            (both("/v1/users", "/internal"), "/v1/users/7", "/internal/7"),
            (both("/v1/users", "/internal"), "/v1/users", "/internal"),
            (both("/v1/users", "/internal"), "/v1/users/", "/internal/"),
        ] {
            assert_eq!(rewrite(&config, "/v1/users/**", &asked("a.test", path)), expected, "{path}");
        }
        assert_eq!(rewrite(&strip("/{user}"), "/{user}/**", &asked("a.test", "/anne/x")), "/x");
    }

    #[test]
    fn a_path_is_replaced_by_expression_or_template() {
        let source = Asked { params: &[("id", "a%2Cb")], ..asked("a.test", "/old/a%2Cb") };
        assert_eq!(rewrite(&replace("^/old/(?<rest>.*)$", "/new/${rest}/$1"), "/**", &source), "/new/a%2Cb/a%2Cb");
        assert_eq!(rewrite(&replace("^/other", "/x"), "/**", &source), "/old/a%2Cb");
        let whole =
            RewriteConfig { path: Some("/users/{param.id}{path}".parse().expect("valid")), ..RewriteConfig::default() };
        assert_eq!(rewrite(&whole, "/old/{id}", &source), "/users/a%2Cb/old/a%2Cb");
    }

    #[test]
    fn a_rewrite_never_makes_a_path_that_climbs() {
        // Taking `x` out of `/a/.x./admin` would make `/a/../admin`.
        let cut = replace("x", "");
        assert_eq!(rewrite(&cut, "/**", &asked("a.test", "/a/.x./admin")), "/admin");
        let rewrite = Rewrite::new(&cut, &patterns(&["/**"]), PathRules::default()).expect("valid");
        assert!(rewrite.path(&asked("a.test", "/.x./admin")).is_err());
        let no_slash = Rewrite::new(&replace("^/", ""), &patterns(&["/**"]), PathRules::default()).expect("valid");
        assert!(no_slash.path(&asked("a.test", "/admin")).is_err());
    }

    #[test]
    fn a_rewrite_that_cannot_work_is_refused() {
        let whole = |path: &str| RewriteConfig { path: Some(path.parse().expect(path)), ..RewriteConfig::default() };
        let add = |prefix: &str| RewriteConfig { add_prefix: Some(prefix.into()), ..RewriteConfig::default() };
        let host = |host: &str| RewriteConfig { host: Some(host.into()), ..RewriteConfig::default() };
        for config in [
            RewriteConfig::default(),
            strip("/v1/user"),
            strip("/v1/users/"),
            strip("/v1/**"),
            add("internal"),
            add("/internal/"),
            add("/../x"),
            replace("(", "x"),
            replace("(a)", "$2"),
            replace("(a)", "$1x"),
            replace("(?<a>.)", "${b}"),
            whole("x"),
            whole("//x"),
            whole("/x?y"),
            whole("/{host}"),
            RewriteConfig { add_prefix: Some("/x".into()), ..whole("/y") },
            host("a b"),
            host("http://a.test"),
            host("*.a.test"),
        ] {
            assert!(Rewrite::new(&config, &patterns(&["/v1/users/**"]), PathRules::default()).is_err(), "{config:?}");
        }
        for good in ["a.test", "a.test:8080", "[::1]:80"] {
            assert!(Rewrite::new(&host(good), &patterns(&["/**"]), PathRules::default()).is_ok(), "{good}");
        }
        assert_eq!(groups("$1 $$2 ${a}b $c-"), ["1", "a", "c"]);
    }
}
