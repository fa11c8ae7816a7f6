//! Patterns with `*`, matched in linear time: an author's pattern and a client's text can't make it slow.

/// A text in which `*` stands for any number of characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Glob {
    /// Before the first `*`; the whole, where there is none.
    start: Box<str>,
    rest: Option<Rest>,
}

/// What follows the first `*`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rest {
    /// The parts up to the last `*`.
    between: Box<[Box<str>]>,
    end: Box<str>,
}

impl Glob {
    pub(super) fn new(pattern: &str) -> Self {
        let mut parts = pattern.split('*');
        let start = parts.next().unwrap_or_default().into();
        let end = parts.next_back();
        let between = || parts.filter(|part| !part.is_empty()).map(Box::from).collect();
        let rest = end.map(|end| Rest { between: between(), end: end.into() });
        Self { start, rest }
    }

    /// Each part between stars is looked for once, from where the one before it ended: taking the first place of each
    /// leaves the most room for those after it, so no other place needs to be tried.
    pub(super) fn matches(&self, text: &str) -> bool {
        let Some(Rest { between, end }) = &self.rest else { return *self.start == *text };
        let inner = text.strip_prefix(&*self.start).and_then(|text| text.strip_suffix(&**end));
        let Some(mut inner) = inner else { return false };
        between.iter().all(|part| match inner.find(&**part) {
            Some(at) => {
                inner = inner.get(at + part.len()..).unwrap_or_default();
                true
            }
            None => false,
        })
    }

    /// Whether it matches whatever there is.
    pub(super) fn is_everything(&self) -> bool {
        self.start.is_empty() && self.rest.as_ref().is_some_and(|rest| rest.between.is_empty() && rest.end.is_empty())
    }

    /// Whether it can match a text of these bytes alone.
    pub(super) fn could_be(&self, is_one: impl Fn(u8) -> bool) -> bool {
        let rest = self.rest.iter().flat_map(|rest| rest.between.iter().chain([&rest.end]));
        std::iter::once(&self.start).chain(rest).all(|part| part.bytes().all(&is_one))
    }

    /// Whether its last part is `*`.
    pub(super) fn is_open(&self) -> bool {
        self.rest.as_ref().is_some_and(|rest| rest.end.is_empty())
    }
}

/// As it was written, but for stars that say nothing.
impl std::fmt::Display for Glob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.start)?;
        let Some(Rest { between, end }) = &self.rest else { return Ok(()) };
        between.iter().try_for_each(|part| write!(f, "*{part}"))?;
        write!(f, "*{end}")
    }
}

/// A text, or with `*` at its end all that begin so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Beginning {
    text: Box<str>,
    open: bool,
}

impl Beginning {
    /// What is wrong with the text, if it is none.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (text, open) = match text.strip_suffix('*') {
            Some(text) => (text, true),
            None => (text, false),
        };
        match text {
            "" if !open => Err("an empty text matches nobody and nothing".to_owned()),
            _ if text.contains('*') => Err("`*` stands at the end only".to_owned()),
            _ => Ok(Self { text: text.into(), open }),
        }
    }

    pub(super) fn matches(&self, text: &str) -> bool {
        match self.open {
            true => text.starts_with(&*self.text),
            false => *self.text == *text,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// By definition: each `*` tries every number of characters.
    fn model(pattern: &[char], text: &[char]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some(('*', rest)) => (0..=text.len()).any(|skip| model(rest, &text[skip..])),
            Some((one, rest)) => text.split_first().is_some_and(|(first, text)| first == one && model(rest, text)),
        }
    }

    proptest! {
        #[test]
        fn a_glob_matches_what_its_definition_says(pattern in "[abé*]{0,8}", text in "[abé]{0,10}") {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(Glob::new(&pattern).matches(&text), model(&chars(&pattern), &chars(&text)));
        }

        #[test]
        fn everything_is_what_matches_everything(pattern in "[a*]{0,4}", text in ".{0,8}") {
            if Glob::new(&pattern).is_everything() {
                prop_assert!(Glob::new(&pattern).matches(&text));
            }
        }
    }

    #[test]
    fn a_pattern_made_to_be_slow_is_not() {
        let pattern = Glob::new(&"a*".repeat(2_000));
        let text = "a".repeat(1_999) + &"b".repeat(100_000);
        let started = std::time::Instant::now();
        assert!(!pattern.matches(&text));
        assert!(started.elapsed() < std::time::Duration::from_secs(1), "{:?}", started.elapsed());
    }

    #[test]
    fn stars_alone_are_everything() {
        assert!(Glob::new("*").is_everything() && Glob::new("**").is_everything());
        for less in ["", "a", "a*", "*a", "*a*"] {
            assert!(!Glob::new(less).is_everything(), "{less}");
        }
    }

    #[test]
    fn a_beginning_has_its_star_at_the_end() {
        let matches = |pattern: &str, text: &str| Beginning::parse(pattern).expect(pattern).matches(text);
        assert!(matches("users:*", "users:read") && matches("users:*", "users:") && matches("*", "x"));
        assert!(!matches("users:*", "user") && !matches("users", "users:read") && matches("users", "users"));
        for bad in ["", "a*b", "**", "*a"] {
            assert!(Beginning::parse(bad).is_err(), "{bad}");
        }
    }
}
