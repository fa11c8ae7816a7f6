//! When a client is shut out.

use std::net::IpAddr;
use std::time::Duration;

use tidegate_core::config::Rate;
use tidegate_core::{ConfigError, ConfigErrors, ConfigPath};

use super::names;
use super::recipe::Refused;
use crate::algorithm::LONGEST;
use crate::config::{self, ClientPrefix, Config, Network};
use crate::key::{Builder, Key};
use crate::rule::Rule;
use crate::store::Strike;

/// What gets a client banned, and for how long.
#[derive(Debug)]
pub(crate) struct Bans {
    status: Box<[u16]>,
    codes: Box<[Box<str>]>,
    exempt: Box<[Network]>,
    prefix: ClientPrefix,
    /// Counts what clients did.
    strikes: Rule,
    /// The ban itself.
    ban: Rule,
    length: u64,
}

impl Bans {
    /// Errors have paths relative to the ban.
    pub(super) fn build(ban: &config::Ban, section: &Config) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        if ban.status.is_empty() && ban.codes.is_empty() {
            let help = "write status: [401, 403], or codes of the gateway's own answers";
            errors.push(ConfigError::at("", "nothing would ever get a client banned").help(help));
        }
        for (index, status) in ban.status.iter().enumerate().filter(|(_, status)| !(400..=599).contains(*status)) {
            let path = ConfigPath::from("status").index(index);
            errors.push(
                ConfigError::at(path, format!("{status} is not the status of an error")).help("write 400 to 599"),
            );
        }
        for (index, code) in ban.codes.iter().enumerate() {
            if code.is_empty() || !code.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_') {
                let path = ConfigPath::from("codes").index(index);
                let help = "write a code as answers have it: too_many_requests";
                errors.push(ConfigError::at(path, format!("{code:?} is not the code of an answer")).help(help));
            }
        }
        let length = micros(ban.length.get());
        if !(1..=LONGEST).contains(&length) {
            let message = format!("nobody can be banned for {}", ban.length);
            errors.push(ConfigError::at("for", message).help("write a time such as 1h"));
        }
        let strikes = errors.collect(strikes(ban));
        let Some(strikes) = strikes else { return Err(errors) };
        errors.into_result(Self {
            status: ban.status.clone().into(),
            codes: ban.codes.iter().map(|code| code.as_str().into()).collect(),
            exempt: section.exempt.iter().chain(&ban.exempt).copied().collect(),
            prefix: section.client,
            strikes,
            ban: Rule::ban(),
            length,
        })
    }

    /// Whether an answer counts against its client.
    pub(crate) fn is_strike(&self, status: u16, code: Option<&str>) -> bool {
        self.status.contains(&status) || code.is_some_and(|code| self.codes.iter().any(|of| **of == *code))
    }

    /// Whether this client is never banned.
    pub(crate) fn is_exempt(&self, client: IpAddr) -> bool {
        self.exempt.iter().any(|network| network.has(client))
    }

    /// What counts against this client.
    pub(crate) fn strike(&self, client: IpAddr, policy: u16) -> Strike {
        Strike {
            rule: self.strikes.clone(),
            key: self.key("strikes", client),
            ban: self.ban.clone(),
            ban_key: self.ban_key(client),
            length: self.length,
            policy,
        }
    }

    /// The ban's rule: refuses until it is over.
    pub(crate) fn rule(&self) -> &Rule {
        &self.ban
    }

    /// Under which a client's ban is kept.
    pub(crate) fn ban_key(&self, client: IpAddr) -> Key {
        self.key("ban", client)
    }

    fn key(&self, of: &str, client: IpAddr) -> Key {
        let mut key = Builder::default();
        key.client(client, self.prefix);
        key.finish(names::id(&["ban", of]))
    }
}

fn strikes(ban: &config::Ban) -> Result<Rule, ConfigError> {
    let Some(rate) = Rate::new(ban.count, ban.window.get()) else {
        let (key, help) = match ban.count {
            0 => ("count", "write how many are too many: count: 20"),
            _ => ("window", "write the time in which they are counted: window: 10m"),
        };
        return Err(ConfigError::at(key, "it is zero").help(help));
    };
    Rule::fixed_window(rate).map_err(|error| Refused::from(error).at("window"))
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
