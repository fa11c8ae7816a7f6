//! Versions of an API: which one a request is for, and which ones there are.

use std::collections::BTreeMap;
use std::fmt;

use http::StatusCode;
use percent_encoding::percent_decode_str;
use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_core::{ConfigError, ConfigErrors, Reply, RequestHead};

use crate::deprecation::{Deprecation, DeprecationConfig};
use crate::fields::Field;
use crate::path::{PathPattern, Segment};
use crate::trie::{NodeId, Trie};

/// Which versions an API has, and where a request says which one it is for.
///
/// A request for a version that isn't there gets a 404 that lists those that are; routes of a deprecated version say
/// so in their answers.
///
/// ```yaml
/// versioning:
///   source: { path: "/{version}/**" }
///   versions: { v1: { deprecation: { sunset: 2026-12-31 } }, v2: {} }
/// ```
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VersioningConfig {
    /// Where a request says its version.
    pub source: VersionSource,
    /// The version of a request that says none. Only for `header` and `query`; without it, such a request meets no
    /// route that has a `version`.
    pub default: Option<String>,
    /// The versions there are, by name.
    pub versions: BTreeMap<String, VersionConfig>,
}

/// Where a request says its version.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum VersionSource {
    /// In the path, at the place of `{version}`: `"/{version}/**"`. Routes have it in their own path.
    Path(PathPattern),
    /// In this header field; routes ask for it with `match.version`.
    Header(String),
    /// In this query parameter; routes ask for it with `match.version`.
    Query(String),
}

/// One version.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct VersionConfig {
    /// Told to clients on every route of this version that has no `deprecation` of its own.
    pub deprecation: Option<DeprecationConfig>,
}

/// The versions of a gateway.
#[derive(Debug)]
pub(crate) struct Versions {
    place: Place,
    default: Option<Box<str>>,
    deprecations: BTreeMap<Box<str>, Option<Deprecation>>,
}

#[derive(Debug)]
enum Place {
    Path { pattern: PathPattern, at: usize, trie: Trie, root: NodeId },
    Field(Field),
}

/// The condition that a request is for one version.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct VersionTest {
    field: Field,
    wanted: Box<str>,
    is_default: bool,
}

impl Versions {
    /// Errors carry paths relative to the `versioning` section.
    pub(crate) fn new(config: &VersioningConfig) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        let place = errors.collect(Place::new(&config.source));
        let mut deprecations = BTreeMap::new();
        for (name, version) in &config.versions {
            let at = tidegate_core::ConfigPath::from("versions").key(name).key("deprecation");
            let made = version.deprecation.as_ref().map(Deprecation::new).transpose();
            let made = errors.collect(made.map_err(|error| error.under(&at)));
            deprecations.insert(name.as_str().into(), made.flatten());
        }
        let default = config.default.as_deref().map(Box::from);
        if let Some(name) = &default {
            if matches!(place, Some(Place::Path { .. })) {
                errors.push(ConfigError::at("default", "a path always says its version; there is no default"));
            } else if !deprecations.contains_key(name) {
                errors.push(ConfigError::at("default", format!("`{name}` is not one of `versions`")));
            }
        }
        if deprecations.is_empty() {
            errors.push(ConfigError::at("versions", "there are no versions"));
        }
        match place {
            Some(place) if errors.is_empty() => Ok(Self { place, default, deprecations }),
            _ => Err(errors),
        }
    }

    /// The condition that a request is for `version`.
    pub(crate) fn test(&self, version: &str) -> Result<VersionTest, ConfigError> {
        let Place::Field(field) = &self.place else {
            return Err(ConfigError::at("", "versions are in the path here; write the version into `path`"));
        };
        match self.deprecations.contains_key(version) {
            true => Ok(VersionTest {
                field: field.clone(),
                wanted: version.into(),
                is_default: self.default.as_deref() == Some(version),
            }),
            false => Err(ConfigError::at("", format!("there is no version `{version}`"))
                .help(format!("versioning.versions has: {}", self.names()))),
        }
    }

    /// What clients are told of a route of this version, or with these paths.
    pub(crate) fn deprecation(&self, version: Option<&str>, paths: &[PathPattern]) -> Option<&Deprecation> {
        let version = match &self.place {
            Place::Field(_) => version?.as_bytes(),
            Place::Path { pattern, at, .. } => {
                let mut versions = paths.iter().map(|path| version_in(path, pattern, *at));
                let first = versions.next()??;
                versions.all(|other| other == Some(first)).then_some(first)?
            }
        };
        self.deprecations.get(std::str::from_utf8(version).ok()?)?.as_ref()
    }

    /// The answer to a request (its path normalised) that no route is for, if it is for a version that isn't there.
    pub(crate) fn unknown(&self, head: &RequestHead<'_>) -> Option<Reply> {
        let (asked, must_look_like_one) = match &self.place {
            Place::Field(field) => (String::from_utf8_lossy(&field.first(head)?).into_owned(), false),
            Place::Path { at, trie, root, .. } => (segment(head.path, *at, trie, *root)?, true),
        };
        let is_known = self.deprecations.contains_key(&*asked);
        // With `/{version}/**`, `/favicon.ico` is not the version `favicon.ico`.
        let is_one = !must_look_like_one || self.deprecations.keys().any(|name| shape(name) == shape(&asked));
        (!is_known && is_one).then(|| {
            let detail = format!("there is no such version; there are: {}", self.names());
            Reply::problem(StatusCode::NOT_FOUND, "unknown_version", detail)
        })
    }

    fn names(&self) -> String {
        self.deprecations.keys().map(|name| &**name).collect::<Vec<_>>().join(", ")
    }
}

impl Place {
    fn new(source: &VersionSource) -> Result<Self, ConfigError> {
        match source {
            VersionSource::Header(name) => {
                Field::header(name).map(Self::Field).map_err(|error| ConfigError::at("source.header", error.message))
            }
            VersionSource::Query(name) => Ok(Self::Field(Field::Query(name.as_str().into()))),
            VersionSource::Path(pattern) => {
                let is_version = |segment: &Segment| *segment == Segment::One(Some("version".into()));
                let at = pattern.segments.iter().position(is_version).ok_or_else(|| {
                    ConfigError::at("source.path", "the path has no `{version}`").help("write it as in /{version}/**")
                })?;
                let mut trie = Trie::default();
                let root = trie.root();
                trie.insert(root, pattern, 0);
                Ok(Self::Path { pattern: pattern.clone(), at, trie, root })
            }
        }
    }
}

/// The version that a route's path has written out.
fn version_in<'p>(path: &'p PathPattern, pattern: &PathPattern, at: usize) -> Option<&'p [u8]> {
    let before = pattern.segments.get(..at)?;
    let same = |pair: (&Segment, &Segment)| pair.0 == pair.1 || matches!(pair.1, Segment::One(_));
    let (own, version) = (path.segments.get(..at)?, path.segments.get(at)?);
    match version {
        Segment::Fixed(text) if own.iter().zip(before).all(same) => Some(text),
        _ => None,
    }
}

/// The decoded segment of `path` at the place of the version.
fn segment(path: &str, at: usize, trie: &Trie, root: NodeId) -> Option<String> {
    trie.walk(root, path, &mut |_, _| Some(()))?;
    let segment = path.split('/').nth(at + 1)?;
    Some(percent_decode_str(segment).decode_utf8_lossy().into_owned())
}

/// A text with each run of digits as one zero: `v12` and `v1` look alike.
fn shape(text: &str) -> String {
    let mut shape = String::with_capacity(text.len());
    for c in text.chars() {
        match c.is_ascii_digit() {
            true if shape.ends_with('0') => {}
            true => shape.push('0'),
            false => shape.push(c),
        }
    }
    shape
}

impl VersionTest {
    pub(crate) fn passes(&self, head: &RequestHead<'_>) -> bool {
        match self.field.first(head) {
            Some(asked) => *asked == *self.wanted.as_bytes(),
            None => self.is_default,
        }
    }
}

impl fmt::Display for VersionTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let default = if self.is_default { " or none" } else { "" };
        write!(f, "version {} ({}{default})", self.wanted, self.field)
    }
}
