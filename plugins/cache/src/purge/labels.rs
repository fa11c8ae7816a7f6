//! By what a stored answer can be purged: its URL, its host, its tags.

use tidegate_core::HeaderMap;

/// What the parts of a cache key say of its URL. The key's order is that of `crate::key`.
pub(super) struct Place<'a> {
    pub(super) scheme: &'a str,
    pub(super) host: &'a str,
    pub(super) port: &'a str,
    pub(super) path: &'a str,
    pub(super) query: &'a str,
}

impl<'a> Place<'a> {
    /// `None` for bytes that aren't a key of ours.
    pub(super) fn of(key: &'a [u8]) -> Option<Self> {
        let mut parts = Parts(key);
        let mut text = || std::str::from_utf8(parts.next()?).ok();
        let (_tag, scheme, host, port) = (text()?, text()?, text()?, text()?);
        let (_method, path, query) = (text()?, text()?, text()?);
        Some(Self { scheme, host, port, path, query })
    }

    /// `https://shop.example:8443`
    pub(super) fn origin(&self) -> String {
        let default = matches!((self.scheme, self.port), (_, "") | ("http", "80") | ("https", "443"));
        match default {
            true => [self.scheme, "://", self.host].concat(),
            false => [self.scheme, "://", self.host, ":", self.port].concat(),
        }
    }

    pub(super) fn url(&self) -> String {
        let rest = match self.query.is_empty() {
            true => self.path.to_owned(),
            false => [self.path, "?", self.query].concat(),
        };
        url(&self.origin(), &rest)
    }
}

/// The URL of a cache key, its query in order.
pub(crate) fn url_of(key: &[u8]) -> Option<String> {
    Place::of(key).map(|place| place.url())
}

struct Parts<'a>(&'a [u8]);

impl<'a> Iterator for Parts<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.0.split_first_chunk::<8>()?;
        let length = usize::try_from(u64::from_be_bytes(*length)).ok()?;
        let (part, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some(part)
    }
}

/// A URL with its query in order.
pub(super) fn url(origin: &str, path_and_query: &str) -> String {
    match path_and_query.split_once('?') {
        None | Some((_, "")) => [origin, path_and_query.trim_end_matches('?')].concat(),
        Some((path, query)) => {
            let mut pieces: Vec<&str> = query.split('&').collect();
            pieces.sort_unstable();
            [origin, path, "?", &pieces.join("&")].concat()
        }
    }
}

/// Tags are separated by commas in `Cache-Tag`, by spaces in `Surrogate-Key`; here by both, for no tag has one.
pub(super) fn tags(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let fields = ["cache-tag", "surrogate-key"].into_iter().flat_map(|name| headers.get_all(name));
    let texts = fields.filter_map(|value| value.to_str().ok());
    texts.flat_map(|text| text.split([',', ' ', '\t'])).filter(|tag| !tag.is_empty()).take(MOST_TAGS)
}

/// How many tags of one answer are looked at. An upstream that gives more is told so by the documentation.
const MOST_TAGS: usize = 1_000;
