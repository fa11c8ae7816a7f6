//! Which paths something is about.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use tidegate_core::{ConfigError, ConfigErrors, ConfigPath};

use crate::config;

/// Patterns of paths, matched all at once and in linear time.
#[derive(Debug, Clone, Default)]
pub(super) struct Globs(Option<GlobSet>);

/// Longest pattern.
const LONGEST: usize = 1024;

impl Globs {
    /// Errors have paths from the list.
    pub(super) fn build(list: &[String]) -> Result<Self, ConfigErrors> {
        if list.is_empty() {
            return Ok(Self(None));
        }
        let mut errors = ConfigErrors::new();
        let mut set = GlobSetBuilder::new();
        for (index, text) in list.iter().enumerate() {
            let wrong = |why: String| {
                ConfigError::at(ConfigPath::root().index(index), why).help("paths begin with a slash: `/assets/**`")
            };
            if !text.starts_with('/') || text.len() > LONGEST {
                errors.push(wrong(format!("`{text}` is not a path")));
                continue;
            }
            match GlobBuilder::new(text).literal_separator(true).backslash_escape(true).build() {
                Ok(glob) => drop(set.add(glob)),
                Err(error) => errors.push(wrong(format!("not a pattern: {}", error.kind()))),
            }
        }
        match set.build() {
            Ok(set) => errors.into_result(Self(Some(set))),
            Err(error) => {
                errors.push(ConfigError::at("", format!("not patterns: {}", error.kind())));
                Err(errors)
            }
        }
    }

    pub(super) fn have(&self, path: &str) -> bool {
        self.0.as_ref().is_some_and(|set| set.is_match(path))
    }
}

/// Which requests a rule is for.
#[derive(Debug)]
pub(super) struct Matcher {
    /// In lower case, with the dot.
    extensions: Box<[String]>,
    paths: Globs,
}

impl Matcher {
    /// Errors have paths from `match`.
    pub(super) fn build(config: &config::Match) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        if config.extensions.is_empty() && config.paths.is_empty() {
            let error = ConfigError::at("", "a rule that fits everything is no rule");
            errors.push(error.help("give `extensions` or `paths`, or say it in the policy itself"));
        }
        for (index, text) in config.extensions.iter().enumerate() {
            let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'/' | b'*' | b'%' | b'?' | b'#');
            if text.is_empty() || text.starts_with('.') || !text.bytes().all(plain) {
                let at = ConfigPath::from("extensions").index(index);
                errors
                    .push(ConfigError::at(at, format!("`{text}` is not an extension")).help("without the dot: `css`"));
            }
        }
        let paths = Globs::build(&config.paths).map_err(|errors| errors.under(&ConfigPath::from("paths")));
        let paths = errors.collect(paths).unwrap_or_default();
        let extensions = config.extensions.iter().map(|text| format!(".{}", text.to_ascii_lowercase())).collect();
        errors.into_result(Self { extensions, paths })
    }

    pub(super) fn fits(&self, path: &str) -> bool {
        let ends = || self.extensions.iter().any(|extension| ends_in(path, extension));
        (self.extensions.is_empty() || ends()) && (self.paths.0.is_none() || self.paths.have(path))
    }
}

/// `/a/style.CSS` ends in `.css`; `/a/.css` has no name before it.
fn ends_in(path: &str, extension: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path).as_bytes();
    let Some(start) = name.len().checked_sub(extension.len()).filter(|start| *start > 0) else { return false };
    name.get(start..).is_some_and(|end| end.eq_ignore_ascii_case(extension.as_bytes()))
}
