//! Sets of header names, given by name or by a pattern such as `X-Internal-*`.

use tidegate_core::HeaderName;

use crate::field::Fields;

/// Whether `X_User_Id` is the same name as `X-User-Id`.
///
/// In HTTP it is not. But CGI, WSGI, Rack and PHP hand both to the application as `HTTP_X_USER_ID`, so what is
/// stripped from a request to keep a client from forging it must be stripped in every spelling.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Spelling {
    #[default]
    Exact,
    AnySeparator,
}

impl Spelling {
    fn fold(self, byte: u8) -> u8 {
        match (self, byte) {
            (Spelling::AnySeparator, b'_') => b'-',
            (_, byte) => byte,
        }
    }
}

/// A pattern of header names: `*` stands for any characters, or none. Case is ignored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern(Box<[u8]>);

impl Pattern {
    /// `None` when it could match no header name, or has no `*`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let valid = text.contains('*') && HeaderName::from_bytes(text.replace('*', "x").as_bytes()).is_ok();
        valid.then(|| Self(text.to_ascii_lowercase().into_bytes().into()))
    }

    /// Whether it matches `name`, which is in lower case.
    pub(crate) fn matches(&self, name: &str) -> bool {
        self.matches_in(name, Spelling::Exact)
    }

    /// Goes back to the last `*` only, which is enough: what an earlier one could take, the last one can too.
    fn matches_in(&self, name: &str, spelling: Spelling) -> bool {
        let (pattern, name) = (&*self.0, name.as_bytes());
        let (mut at, mut from) = (0, 0);
        let mut star: Option<(usize, usize)> = None;
        while let Some(byte) = name.get(from) {
            match (pattern.get(at), star) {
                (Some(b'*'), _) => {
                    star = Some((at + 1, from));
                    at += 1;
                }
                (Some(expected), _) if spelling.fold(*expected) == spelling.fold(*byte) => {
                    (at, from) = (at + 1, from + 1);
                }
                (_, Some((after, taken))) => {
                    star = Some((after, taken + 1));
                    (at, from) = (after, taken + 1);
                }
                (_, None) => return false,
            }
        }
        pattern.iter().skip(at).all(|byte| *byte == b'*')
    }
}

/// A set of names and patterns.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names {
    /// Folded by `spelling`, and sorted.
    exact: Box<[Box<[u8]>]>,
    patterns: Box<[Pattern]>,
    spelling: Spelling,
    initials: Initials,
}

impl Names {
    pub(crate) fn new(
        exact: impl IntoIterator<Item = HeaderName>,
        patterns: impl IntoIterator<Item = Pattern>,
        spelling: Spelling,
    ) -> Self {
        let fold = |name: HeaderName| name.as_str().bytes().map(|byte| spelling.fold(byte)).collect();
        let mut exact: Vec<Box<[u8]>> = exact.into_iter().map(fold).collect();
        exact.sort();
        let patterns: Box<[_]> = patterns.into_iter().collect();
        let initials = Initials::of(exact.iter().map(|name| &**name).chain(patterns.iter().map(|p| &*p.0)));
        Self { exact: exact.into(), patterns, spelling, initials }
    }

    /// Whether `name` is one of them.
    pub(crate) fn has(&self, name: &HeaderName) -> bool {
        let name = name.as_str();
        self.initials.may_begin(name) && (self.has_exact(name) || self.has_pattern(name))
    }

    fn has_exact(&self, name: &str) -> bool {
        let folded = || name.bytes().map(|byte| self.spelling.fold(byte));
        self.exact.binary_search_by(|known| known.iter().copied().cmp(folded())).is_ok()
    }

    fn has_pattern(&self, name: &str) -> bool {
        self.patterns.iter().any(|pattern| pattern.matches_in(name, self.spelling))
    }

    /// Takes all of them away. Allocates only when there is one.
    pub(crate) fn strip(&self, head: &mut impl Fields) {
        if self.initials == Initials::default() {
            return;
        }
        let found: Vec<HeaderName> = head.fields().keys().filter(|name| self.has(name)).cloned().collect();
        found.iter().for_each(|name| head.take(name));
    }
}

/// The bytes that names begin with. Most fields of a message are turned away by their first letter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Initials(u128);

impl Initials {
    fn of<'a>(names: impl Iterator<Item = &'a [u8]>) -> Self {
        Self(names.filter_map(|name| name.first()).fold(0, |set, first| match first {
            b'*' => u128::MAX,
            // A separator may stand for the other one, whatever the spelling: this is only a first sieve.
            b'-' | b'_' => set | Self::bit(b'-') | Self::bit(b'_'),
            first => set | Self::bit(*first),
        }))
    }

    /// Header names are ASCII.
    fn bit(byte: u8) -> u128 {
        1 << (byte & 0x7f)
    }

    fn may_begin(self, name: &str) -> bool {
        name.bytes().next().is_some_and(|first| self.0 & Self::bit(first) != 0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::field::tests::{assert_fields, request};

    fn name(text: &str) -> HeaderName {
        text.parse().expect("valid")
    }

    fn pattern(text: &str) -> Pattern {
        Pattern::parse(text).expect("valid")
    }

    #[test]
    fn a_star_stands_for_anything_or_nothing() {
        for (text, yes, no) in [
            ("X-Internal-*", vec!["x-internal-", "x-internal-a-b"], vec!["x-internal", "ax-internal-a"]),
            ("*-id", vec!["x-id", "-id"], vec!["x-ids", "id"]),
            ("x-*-id", vec!["x--id", "x-a-b-id"], vec!["x-id", "x-a-idx"]),
            ("*", vec!["a"], vec![]),
            ("x-**a", vec!["x-a", "x-ba"], vec!["x-b"]),
        ] {
            let pattern = pattern(text);
            yes.iter().for_each(|name| assert!(pattern.matches(name), "{text} {name}"));
            no.iter().for_each(|name| assert!(!pattern.matches(name), "{text} {name}"));
        }
    }

    #[test]
    fn what_no_name_can_match_is_no_pattern() {
        for text in ["", "x", "x y*", "x:*", "*\n", "ü*"] {
            assert_eq!(Pattern::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn names_are_stripped_in_any_case_with_all_their_values() {
        let names = Names::new([name("x-user")], [pattern("X-Internal-*")], Spelling::Exact);
        let mut head = request(&[
            ("X-User", "a"),
            ("x-user", "b"),
            ("X-INTERNAL-Key", "c"),
            ("X_User", "kept"),
            ("X-Users", "kept"),
            ("Accept", "kept"),
        ]);
        names.strip(&mut head);
        assert_fields(&head, &[("accept", "kept"), ("x-users", "kept"), ("x_user", "kept")]);
    }

    #[test]
    fn an_underscore_does_not_hide_a_name_where_any_separator_counts() {
        let names = Names::new([name("x-user_id")], [pattern("X-Internal-*")], Spelling::AnySeparator);
        let mut head = request(&[
            ("X_User_ID", "a"),
            ("X-User-Id", "b"),
            ("x_user-id", "c"),
            ("X_Internal_Key", "d"),
            ("X-UserId", "kept"),
        ]);
        names.strip(&mut head);
        assert_fields(&head, &[("x-userid", "kept")]);
    }

    #[test]
    fn no_names_strip_nothing() {
        let mut head = request(&[("a", "1")]);
        Names::default().strip(&mut head);
        assert_fields(&head, &[("a", "1")]);
    }

    /// The definition, without regard to speed.
    fn model(pattern: &[u8], name: &[u8]) -> bool {
        match (pattern.split_first(), name.split_first()) {
            (Some((b'*', rest)), _) => (0..=name.len()).any(|taken| model(rest, &name[taken..])),
            (Some((a, pattern)), Some((b, name))) => a == b && model(pattern, name),
            (None, None) => true,
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn patterns_match_by_definition(text in "[ab*]{0,6}\\*[ab*]{0,4}", name in "[ab]{1,8}") {
            prop_assert_eq!(pattern(&text).matches(&name), model(text.as_bytes(), name.as_bytes()));
        }

        #[test]
        fn a_set_has_exactly_what_one_of_its_members_is(
            exact in prop::collection::vec("[ab_-]{1,3}", 0..5),
            patterns in prop::collection::vec("[ab_-]{0,2}\\*[ab_-]{0,2}", 0..3),
            asked in "[ab_-]{1,4}",
        ) {
            for (spelling, fold) in [(Spelling::Exact, "_"), (Spelling::AnySeparator, "-")] {
                let folded = |text: &str| text.replace('_', fold);
                let set = Names::new(exact.iter().map(|n| name(n)), patterns.iter().map(|p| pattern(p)), spelling);
                let expected = exact.iter().any(|n| folded(n) == folded(&asked))
                    || patterns.iter().any(|p| model(folded(p).as_bytes(), folded(&asked).as_bytes()));
                prop_assert_eq!(set.has(&name(&asked)), expected);
            }
        }
    }
}
