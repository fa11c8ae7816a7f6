//! Header fields as they were on the wire.

use std::fmt;

/// Header fields in the order and the case in which they were sent, doubles included.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Fields(pub(crate) Vec<(String, String)>);

impl Fields {
    /// The first value of `name`, whatever its case.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Every value of `name`, whatever its case.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let same = move |(key, _): &&(String, String)| key.eq_ignore_ascii_case(name);
        self.0.iter().filter(same).map(|(_, value)| value.as_str())
    }

    /// Whether there is a field called `name`.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// How often `name` is there.
    pub fn count(&self, name: &str) -> usize {
        self.all(name).count()
    }

    /// Name and value of each, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The names in lower case, sorted, each once.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.0.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
        names.sort();
        names.dedup();
        names
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reads the lines of a head after its first. Lenient: what isn't a field is kept with an empty value.
    pub(crate) fn parse(lines: &[u8]) -> Self {
        let lines = lines.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let fields = lines.filter(|line| !line.is_empty()).map(|line| {
            let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
            let value = line.get(colon + 1..).unwrap_or_default();
            (text(&line[..colon]), text(value.trim_ascii()))
        });
        Self(fields.collect())
    }
}

impl From<&http::HeaderMap> for Fields {
    fn from(map: &http::HeaderMap) -> Self {
        Self(map.iter().map(|(name, value)| (name.to_string(), text(value.as_bytes()))).collect())
    }
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_case_and_doubles_are_kept() {
        let fields = Fields::parse(b"Host: a\r\nX-A:1\r\nx-a:  2 \r\nodd\r\n");
        assert_eq!(fields.iter().collect::<Vec<_>>(), [("Host", "a"), ("X-A", "1"), ("x-a", "2"), ("odd", "")]);
        assert_eq!(fields.all("X-a").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!((fields.count("x-a"), fields.has("nope"), fields.len()), (2, false, 4));
        assert_eq!(fields.names(), ["host", "odd", "x-a"]);
    }
}
