//! The query, as far as it is part of a key.

use std::borrow::Cow;

use tidegate_core::{ConfigError, ConfigErrors, ConfigPath};

use super::names::{Names, name_of};
use crate::config::QueryKey;

/// Which parameters count, and whether their order does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Query {
    counts: Counts,
    sorted: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
enum Counts {
    #[default]
    All,
    None,
    These(Names),
    Others(Names),
}

impl Query {
    /// Errors have paths from `key`.
    pub(super) fn build(config: &QueryKey, sorted: bool) -> Result<Self, ConfigErrors> {
        let names = |list: &[String], key: &str| {
            let at = ConfigPath::from("query").key(key);
            if list.is_empty() {
                let help = "write `query: all` or `query: none`";
                return Err(ConfigError::at(at, "an empty list says nothing").help(help).into());
            }
            Names::build(list).map_err(|errors| errors.under(&at))
        };
        let counts = match config {
            QueryKey::All => Counts::All,
            QueryKey::None if sorted => {
                let error = ConfigError::at("sort_query", "there is nothing to sort with `query: none`");
                return Err(error.help("leave it out").into());
            }
            QueryKey::None => Counts::None,
            QueryKey::Allow(list) => Counts::These(names(list, "allow")?),
            QueryKey::Deny(list) => Counts::Others(names(list, "deny")?),
        };
        Ok(Self { counts, sorted })
    }

    /// What counts of a query. `None` is no query, which isn't the same as an empty one.
    pub(crate) fn of<'a>(&self, query: Option<&'a str>) -> Option<Cow<'a, str>> {
        let query = query?;
        let all = self.counts == Counts::All;
        match (&self.counts, self.sorted) {
            (Counts::None, _) => return None,
            (Counts::All, false) => return Some(Cow::Borrowed(query)),
            _ if query.is_empty() => return all.then_some(Cow::Borrowed("")),
            _ => {}
        }
        let mut pairs: Vec<&str> = query.split('&').filter(|pair| self.has(pair)).collect();
        if self.sorted {
            // Stable: what one name says first may be what counts.
            pairs.sort_by_key(|pair| pair.split_once('=').map_or(*pair, |(name, _)| name));
        }
        (all || !pairs.is_empty()).then(|| Cow::Owned(pairs.join("&")))
    }

    fn has(&self, pair: &str) -> bool {
        match &self.counts {
            Counts::All => true,
            Counts::None => false,
            Counts::These(names) => names.has(&name_of(pair)),
            Counts::Others(names) => !names.has(&name_of(pair)),
        }
    }
}
