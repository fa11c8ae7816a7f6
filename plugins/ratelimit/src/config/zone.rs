//! Time zones, in which a day or a month begins.

use std::fmt;
use std::str::FromStr;

use jiff::tz::TimeZone;
use tidegate_core::config::UnitError;

use super::text::{shown, text_impls, unreadable};

/// A time zone of the IANA database: `Europe/Berlin`. The default is `UTC`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone(TimeZone);

impl Zone {
    /// The zone, with its rules of past and future.
    pub fn get(&self) -> &TimeZone {
        &self.0
    }
}

impl Default for Zone {
    fn default() -> Self {
        Self(TimeZone::UTC)
    }
}

impl FromStr for Zone {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        if text == "UTC" {
            return Ok(Self::default());
        }
        let help = "write a name of the IANA database, such as Europe/Berlin or UTC";
        let named = |zone: TimeZone| zone.iana_name().is_some().then_some(Self(zone));
        let zone = TimeZone::get(text).ok().and_then(named);
        zone.ok_or_else(|| unreadable(format!("no time zone is called {}", shown(text)), help))
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.iana_name().unwrap_or("UTC"))
    }
}

text_impls!(
    Zone,
    "TimeZone",
    "the name of a time zone",
    ["UTC", "Europe/Berlin", "America/New_York"],
    "A time zone of the IANA database, such as `Europe/Berlin`."
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_known_by_their_name() {
        for name in ["UTC", "Europe/Berlin", "America/New_York"] {
            assert_eq!(name.parse::<Zone>().expect(name).to_string(), name);
        }
        assert_eq!(Zone::default().to_string(), "UTC");
    }

    #[test]
    fn what_is_no_zone_is_refused_with_its_remedy() {
        for name in ["Europe/Berlinn", "", "+02:00", "../../etc/passwd", "CEST"] {
            assert_eq!(
                name.parse::<Zone>().expect_err(name).to_string(),
                format!(
                    "no time zone is called `{name}`\n\
                     help: write a name of the IANA database, such as Europe/Berlin or UTC"
                )
            );
        }
    }
}
