//! Patterns of paths below the root: what is hidden, and which `Cache-Control` counts.

use globset::{GlobBuilder, GlobMatcher};
use tidegate_core::{ConfigError, ConfigErrors, ConfigPath, HeaderValue};

use crate::config::{CacheRule, Dotfiles, Folder};
use crate::place::name_of;

/// The longest pattern.
const LONGEST: usize = 1024;

/// One pattern, matched in linear time.
#[derive(Debug)]
struct Pattern {
    glob: GlobMatcher,
    /// Whether it is matched with the whole path, and not with the name.
    whole: bool,
}

impl Pattern {
    /// The error carries no path.
    fn new(text: &str) -> Result<Self, ConfigError> {
        if text.is_empty() || text.len() > LONGEST {
            return Err(ConfigError::at("", "a pattern has 1 to 1024 characters").help("such as `*.map` or `/private`"));
        }
        let whole = text.contains('/');
        let glob = GlobBuilder::new(text.trim_matches('/')).literal_separator(true).backslash_escape(true).build();
        let glob = glob.map_err(|error| ConfigError::at("", format!("not a pattern: {}", error.kind())))?;
        Ok(Self { glob: glob.compile_matcher(), whole })
    }

    fn fits(&self, path: &str) -> bool {
        self.glob.is_match(if self.whole { path } else { name_of(path) })
    }
}

/// What is not there for clients.
#[derive(Debug)]
pub(crate) struct Hidden {
    dotfiles: Dotfiles,
    patterns: Vec<Pattern>,
}

impl Hidden {
    pub(crate) fn new(config: &Folder) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        let at = |index: usize| ConfigPath::root().key("hide").index(index);
        let patterns = config.hide.iter().enumerate().filter_map(|(index, text)| {
            let pattern = Pattern::new(text).map_err(|error| error.under(&at(index)));
            errors.collect(pattern)
        });
        let patterns = patterns.collect();
        errors.into_result(Self { dotfiles: config.dotfiles, patterns })
    }

    /// Whether the path, or a folder on the way to it, is hidden.
    pub(crate) fn hides(&self, path: &str) -> bool {
        if path.is_empty() {
            return false;
        }
        let dotted = |(index, name): (usize, &str)| name.starts_with('.') && !(index == 0 && name == ".well-known");
        if self.dotfiles == Dotfiles::Hide && path.split('/').enumerate().any(dotted) {
            return true;
        }
        !self.patterns.is_empty() && ways(path).any(|way| self.patterns.iter().any(|pattern| pattern.fits(way)))
    }
}

/// `a`, `a/b` and `a/b/c` of `a/b/c`.
fn ways(path: &str) -> impl Iterator<Item = &str> {
    let ends = path.bytes().enumerate().filter(|(_, byte)| *byte == b'/').map(|(at, _)| at);
    ends.chain([path.len()]).filter_map(|end| path.get(..end))
}

/// Which `Cache-Control` counts.
#[derive(Debug)]
pub(crate) struct CacheRules(Vec<(Pattern, HeaderValue)>);

impl CacheRules {
    pub(crate) fn new(rules: &[CacheRule]) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        let mut made = Vec::with_capacity(rules.len());
        for (index, rule) in rules.iter().enumerate() {
            let at = ConfigPath::root().key("cache_control").index(index);
            let pattern = Pattern::new(&rule.path).map_err(|error| error.under(&at.key("path")));
            let value = HeaderValue::from_str(&rule.value).ok().filter(|value| !value.is_empty());
            let value = value.ok_or_else(|| {
                let error = ConfigError::at(at.key("value"), "not a value of `Cache-Control`");
                error.help("such as `public, max-age=31536000, immutable`")
            });
            made.extend(errors.collect(pattern).zip(errors.collect(value)));
        }
        errors.into_result(Self(made))
    }

    /// That of a file. By default all may keep it, and must ask whether it is still good.
    pub(crate) fn of(&self, path: &str) -> HeaderValue {
        let first = self.0.iter().find(|(pattern, _)| pattern.fits(path));
        first.map_or(HeaderValue::from_static("no-cache"), |(_, value)| value.clone())
    }
}

#[cfg(test)]
mod tests {
    use tidegate_core::RawConfig;
    use tidegate_core::config::Value;

    use super::*;

    fn hidden(patterns: &[&str], dotfiles: &str) -> Hidden {
        let patterns = Value::from(patterns.iter().map(|pattern| Value::from(*pattern)).collect::<Vec<_>>());
        let config = [("root", Value::from("/")), ("hide", patterns), ("dotfiles", Value::from(dotfiles))];
        let config: Folder = RawConfig::new(Value::map(config), "").read().expect("a configuration");
        Hidden::new(&config).expect("patterns")
    }

    #[test]
    fn what_a_dot_begins_is_hidden_but_for_well_known_at_the_top() {
        let hidden = hidden(&[], "hide");
        for path in
            [".env", ".git/config", "a/.git/config", "a/.htpasswd", ".well-known/.x", "a/.well-known/x", "..;/a"]
        {
            assert!(hidden.hides(path), "{path}");
        }
        for path in ["", "a", "a.b", "a./b", ".well-known", ".well-known/security.txt"] {
            assert!(!hidden.hides(path), "{path}");
        }
        assert!(!self::hidden(&[], "serve").hides(".git/config"));
    }

    #[test]
    fn a_pattern_hides_a_name_anywhere_or_a_path_and_all_below() {
        let hidden = hidden(&["*.map", "/private", "secrets/**/*.txt", "[ab]c"], "hide");
        for path in [
            "app.js.map",
            "a/app.js.map",
            "x.map/y",
            "private",
            "private/a/b",
            "secrets/a.txt",
            "secrets/a/b.txt",
            "x/ac/y",
        ] {
            assert!(hidden.hides(path), "{path}");
        }
        for path in ["map", "a/private", "privat", "private2", "secrets/a.html", "a/secrets/a.txt", "app.js"] {
            assert!(!hidden.hides(path), "{path}");
        }
    }

    #[test]
    fn the_first_rule_that_fits_counts_and_all_else_is_asked_for_each_time() {
        let rule = |path: &str, value: &str| CacheRule { path: path.into(), value: value.into() };
        let rules = [rule("*.html", "no-store"), rule("/assets/**", "immutable"), rule("*.png", "max-age=60")];
        let rules = CacheRules::new(&rules).expect("rules");
        for (path, value) in [
            ("index.html", "no-store"),
            ("assets/x.html", "no-store"),
            ("assets/a/b.png", "immutable"),
            ("img/b.png", "max-age=60"),
            ("app.js", "no-cache"),
            ("a/assets/app.js", "no-cache"),
        ] {
            assert_eq!(rules.of(path), value, "{path}");
        }
    }
}
