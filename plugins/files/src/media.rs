//! Media types by extension.

use std::collections::HashMap;

use tidegate_core::{ConfigError, ConfigErrors, ConfigPath, HeaderValue};

use crate::config::Folder;
use crate::place::name_of;

/// What the registry lacks, or has under a name of the past.
const OURS: [(&str, &str); 8] = [
    ("cjs", "text/javascript"),
    ("glb", "model/gltf-binary"),
    ("ico", "image/x-icon"),
    ("js", "text/javascript"),
    ("map", "application/json"),
    ("mjs", "text/javascript"),
    ("wasm", "application/wasm"),
    ("webmanifest", "application/manifest+json"),
];

/// Which type a file has.
#[derive(Debug)]
pub(crate) struct Types {
    given: HashMap<Box<str>, HeaderValue>,
    other: HeaderValue,
}

impl Types {
    pub(crate) fn new(config: &Folder) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        let mut given: HashMap<Box<str>, HeaderValue> =
            OURS.iter().filter_map(|(extension, media)| Some(((*extension).into(), whole(media)?))).collect();
        for (extension, media) in &config.types {
            let at = ConfigPath::root().key("types").key(extension);
            let extension = extension.strip_prefix('.').unwrap_or(extension).to_ascii_lowercase();
            if extension.is_empty() || extension.contains(['/', '.']) {
                errors.push(ConfigError::at(at.clone(), "not an extension such as `js`").about_key());
            }
            given
                .extend(errors.collect(read(media).map_err(|error| error.under(&at))).map(|it| (extension.into(), it)));
        }
        let other = read(&config.default_type).map_err(|error| error.under(&"default_type".into()));
        let Some(other) = errors.collect(other) else { return Err(errors) };
        errors.into_result(Self { given, other })
    }

    /// `Content-Type` of a file.
    pub(crate) fn of(&self, path: &str) -> HeaderValue {
        self.known(path).unwrap_or_else(|| self.other.clone())
    }

    /// Whether the path ends like a file of a kind that is known, and not HTML.
    pub(crate) fn is_other_than_html(&self, path: &str) -> bool {
        let html = |media: &HeaderValue| {
            let essence = media.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
            essence == "text/html" || essence == "application/xhtml+xml"
        };
        self.known(path).is_some_and(|media| !html(&media))
    }

    fn known(&self, path: &str) -> Option<HeaderValue> {
        let (_, extension) = name_of(path).rsplit_once('.')?;
        let given = match extension.bytes().any(|byte| byte.is_ascii_uppercase()) {
            true => self.given.get(&*extension.to_ascii_lowercase()),
            false => self.given.get(extension),
        };
        given.cloned().or_else(|| whole(mime_guess::from_ext(extension).first_raw()?))
    }
}

/// The error carries no path.
fn read(media: &str) -> Result<HeaderValue, ConfigError> {
    let token = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
    };
    let essence = media.split(';').next().unwrap_or_default().trim();
    let good = essence.split_once('/').is_some_and(|(kind, name)| token(kind) && token(name));
    let value = whole(media).filter(|_| good);
    value.ok_or_else(|| ConfigError::at("", "not a media type").help("such as `text/html` or `model/gltf-binary`"))
}

/// With the encoding of texts, unless it is said. Those in which they are said inside (XML, JSON) stay as they are.
fn whole(media: &str) -> Option<HeaderValue> {
    match media {
        "text/javascript" => Some(HeaderValue::from_static("text/javascript; charset=utf-8")),
        "text/html" => Some(HeaderValue::from_static("text/html; charset=utf-8")),
        "text/css" => Some(HeaderValue::from_static("text/css; charset=utf-8")),
        media if media.starts_with("text/") && !media.contains(';') => {
            HeaderValue::try_from([media, "; charset=utf-8"].concat()).ok()
        }
        media => HeaderValue::from_str(media).ok(),
    }
}

#[cfg(test)]
mod tests {
    use tidegate_core::RawConfig;
    use tidegate_core::config::Value;

    use super::*;

    fn types(given: &[(&'static str, &str)]) -> Result<Types, ConfigErrors> {
        let given = Value::map(given.iter().map(|(extension, media)| (*extension, Value::from(*media))));
        let config = Value::map([("root", Value::from("/")), ("types", given)]);
        Types::new(&RawConfig::new(config, "").read::<Folder>().expect("a configuration"))
    }

    #[test]
    fn the_types_of_a_site_are_those_that_browsers_want() {
        let types = types(&[]).expect("types");
        for (path, media) in [
            ("index.html", "text/html; charset=utf-8"),
            ("a/INDEX.HTM", "text/html; charset=utf-8"),
            ("app.123.js", "text/javascript; charset=utf-8"),
            ("app.mjs", "text/javascript; charset=utf-8"),
            ("app.css", "text/css; charset=utf-8"),
            ("app.js.map", "application/json"),
            ("a.json", "application/json"),
            ("robots.txt", "text/plain; charset=utf-8"),
            ("manifest.webmanifest", "application/manifest+json"),
            ("logo.svg", "image/svg+xml"),
            ("a.wasm", "application/wasm"),
            ("a.woff2", "font/woff2"),
            ("a.png", "image/png"),
            ("a.jpeg", "image/jpeg"),
            ("a.webp", "image/webp"),
            ("a.avif", "image/avif"),
            ("favicon.ico", "image/x-icon"),
            ("a.pdf", "application/pdf"),
            ("a.mp4", "video/mp4"),
            ("sitemap.xml", "text/xml; charset=utf-8"),
            ("a.gz", "application/gzip"),
            ("a.unknown", "application/octet-stream"),
            ("a.b/none", "application/octet-stream"),
            ("a.", "application/octet-stream"),
        ] {
            assert_eq!(types.of(path), media, "{path}");
        }
    }

    #[test]
    fn types_of_ones_own_come_first() {
        let types = types(&[("js", "text/plain"), (".Foo", "text/foo; charset=latin1")]).expect("types");
        assert_eq!(types.of("a.JS"), "text/plain; charset=utf-8");
        assert_eq!(types.of("a.foo"), "text/foo; charset=latin1");
        for (extension, media) in [("a", "b"), ("a", "/b"), ("a", "b/"), ("a", "b/c\n"), ("", "a/b"), ("a/b", "a/b")] {
            assert!(types_of(extension, media).is_err(), "{extension}: {media}");
        }
    }

    fn types_of(extension: &'static str, media: &str) -> Result<Types, ConfigErrors> {
        types(&[(extension, media)])
    }

    #[test]
    fn a_path_that_ends_like_another_kind_of_file_is_no_page() {
        let types = types(&[("data", "application/x-data")]).expect("types");
        for path in ["app.js", "a/logo.PNG", "x.data", "a.json"] {
            assert!(types.is_other_than_html(path), "{path}");
        }
        for path in ["", "users/7", "users/john.doe", "a.html", "a.js/b", "v1.2"] {
            assert!(!types.is_other_than_html(path), "{path}");
        }
    }
}
