//! Path templates: `/users/{id}`, `/files/{name}.json`.

use percent_encoding::percent_decode_str;
use tidegate_core::ConfigError;

/// A path with parameters, by segments.
#[derive(Debug)]
pub(crate) struct Template(Vec<Segment>);

#[derive(Debug)]
enum Segment {
    /// Decoded.
    Fixed(Box<str>),
    /// A parameter, with fixed text before and after it, decoded.
    Param { before: Box<str>, name: Box<str>, after: Box<str> },
}

impl Template {
    /// The errors carry no path.
    pub(crate) fn parse(path: &str) -> Result<Self, ConfigError> {
        path.split('/').skip(1).map(Segment::parse).collect::<Result<_, _>>().map(Self)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// What is fixed is matched before what is not.
    pub(crate) fn vagueness(&self) -> Vec<u8> {
        let of = |segment: &Segment| match segment {
            Segment::Fixed(_) => 0,
            Segment::Param { before, after, .. } if before.len() + after.len() > 0 => 1,
            Segment::Param { .. } => 2,
        };
        self.0.iter().map(of).collect()
    }

    pub(crate) fn has(&self, param: &str) -> bool {
        self.names().any(|name| name == param)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|segment| match segment {
            Segment::Fixed(_) => None,
            Segment::Param { name, .. } => Some(&**name),
        })
    }

    /// What the parameters captured, if the path is of this form; there are as many segments.
    pub(crate) fn captures<'t, 'p>(&'t self, segments: &[&'p str]) -> Option<Vec<(&'t str, &'p str)>> {
        let mut captured = Vec::new();
        for (own, theirs) in self.0.iter().zip(segments) {
            match own {
                Segment::Fixed(text) => {
                    let same = **text == **theirs || percent_decode_str(theirs).eq(text.bytes());
                    same.then_some(())?;
                }
                Segment::Param { before, name, after } => {
                    let text = without_end(without_start(theirs, before)?, after)?;
                    captured.push((&**name, text));
                }
            }
        }
        // A parameter of a path is never empty (OpenAPI 3.1.1 section 4.8.2.1).
        captured.iter().all(|(_, text)| !text.is_empty()).then_some(captured)
    }
}

impl Segment {
    fn parse(text: &str) -> Result<Self, ConfigError> {
        let decoded = |text| -> Result<Box<str>, ConfigError> {
            let text = percent_decode_str(text).decode_utf8().map_err(|_| ConfigError::at("", "not a path"))?;
            Ok(text.as_ref().into())
        };
        let Some((before, rest)) = text.split_once('{') else { return decoded(text).map(Self::Fixed) };
        let (name, after) = rest.split_once('}').unwrap_or_default();
        if name.is_empty() || after.contains(['{', '}']) || before.contains('}') {
            let error = ConfigError::at("", "can't read the template: a segment has one parameter at most");
            return Err(error.help("write it like /users/{id}"));
        }
        Ok(Self::Param { before: decoded(before)?, name: name.into(), after: decoded(after)? })
    }
}

/// What follows a fixed text, however that is encoded: for who reads the path after us, `%3A` is a colon.
fn without_start<'p>(text: &'p str, fixed: &str) -> Option<&'p str> {
    let left = fixed.bytes().try_fold(text.as_bytes(), |left, byte| {
        let (first, after) = match left {
            [b'%', high, low, after @ ..] => (hex(*high, *low)?, after),
            [first, after @ ..] => (*first, after),
            [] => return None,
        };
        (first == byte).then_some(after)
    })?;
    text.get(text.len() - left.len()..)
}

/// What comes before a fixed text, likewise.
fn without_end<'p>(text: &'p str, fixed: &str) -> Option<&'p str> {
    let left = fixed.bytes().rev().try_fold(text.as_bytes(), |left, byte| {
        let (before, last) = match left {
            [before @ .., b'%', high, low] => (before, hex(*high, *low)?),
            [before @ .., last] => (before, *last),
            [] => return None,
        };
        (last == byte).then_some(before)
    })?;
    text.get(..left.len())
}

fn hex(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit(high)? << 4 | digit(low)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn captures(template: &str, path: &str) -> Option<Vec<(String, String)>> {
        let template = Template::parse(template).expect("a template");
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        assert_eq!(segments.len(), template.len());
        let captured = template.captures(&segments)?;
        Some(captured.into_iter().map(|(name, text)| (name.to_owned(), text.to_owned())).collect())
    }

    #[test]
    fn parameters_are_captured() {
        let pair = |name: &str, text: &str| (name.to_owned(), text.to_owned());
        assert_eq!(captures("/users/{id}/x", "/users/7%20/x"), Some(vec![pair("id", "7%20")]));
        assert_eq!(captures("/f/{name}.json", "/f/a.json"), Some(vec![pair("name", "a")]));
        assert_eq!(captures("/f/{name}.json", "/f/a.xml"), None);
        assert_eq!(captures("/f/{name}.json", "/f/.json"), None);
        assert_eq!(captures("/users/{id}", "/users/"), None);
        assert_eq!(captures("/a b", "/a%20b"), Some(Vec::new()));
        assert_eq!(captures("/o/{id}:cancel", "/o/7%3Ac%61ncel"), Some(vec![pair("id", "7")]));
        assert_eq!(captures("/o/{id}:cancel", "/o/7:cancels"), None);
        assert_eq!(captures("/o/v%C3%A4{id}", "/o/%76%c3%a47%3a"), Some(vec![pair("id", "7%3a")]));
        assert_eq!(captures("/o/a{id}", "/o/%2"), None);
        assert_eq!(captures("/", "/"), Some(Vec::new()));
        for bad in ["/{a}{b}", "/{a", "/a}", "/{}", "/{a}}"] {
            assert_eq!(Template::parse(bad).is_err(), bad != "/a}", "{bad}");
        }
    }
}
