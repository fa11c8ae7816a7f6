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
    /// A parameter, with fixed text before and after it.
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
                    let text = theirs.strip_prefix(&**before)?.strip_suffix(&**after)?;
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
        let Some((before, rest)) = text.split_once('{') else {
            let fixed = percent_decode_str(text).decode_utf8().map_err(|_| ConfigError::at("", "not a path"))?;
            return Ok(Self::Fixed(fixed.as_ref().into()));
        };
        let (name, after) = rest.split_once('}').unwrap_or_default();
        if name.is_empty() || after.contains(['{', '}']) || before.contains('}') {
            let error = ConfigError::at("", "can't read the template: a segment has one parameter at most");
            return Err(error.help("write it like /users/{id}"));
        }
        Ok(Self::Param { before: before.into(), name: name.into(), after: after.into() })
    }
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
        assert_eq!(captures("/", "/"), Some(Vec::new()));
        for bad in ["/{a}{b}", "/{a", "/a}", "/{}", "/{a}}"] {
            assert_eq!(Template::parse(bad).is_err(), bad != "/a}", "{bad}");
        }
    }
}
