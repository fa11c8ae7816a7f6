//! What each spelling of a path becomes.

use proptest::prelude::*;

use super::*;

const KEEP: PathRules = PathRules {
    escaped_slashes: EscapedSlashes::Keep,
    repeated_slashes: RepeatedSlashes::Keep,
    path_parameters: PathParameters::Check,
};

fn rules() -> PathRules {
    PathRules::default()
}

/// The normal form in words: the path, `-> path` for a redirect, or why not.
fn shown(path: &str, rules: PathRules) -> String {
    match normalise(path, rules) {
        Ok(Normal::Same) => path.to_owned(),
        Ok(Normal::Changed(other)) => {
            assert_ne!(&*other, path, "unchanged, yet called changed");
            other.into()
        }
        Ok(Normal::Redirect(other)) => format!("-> {other}"),
        Err(why) => format!("{why:?}"),
    }
}

#[test]
fn every_spelling_has_one_normal_form() {
    for (path, normal) in [
        ("/", "/"),
        ("/a/b", "/a/b"),
        ("/a/", "/a/"),
        ("/API", "/API"),
        ("/%61dmin", "/admin"),
        ("/%7Euser/%2D%5F%2E%30", "/~user/-_.0"),
        ("/a%20b/%c3%bc", "/a%20b/%C3%BC"),
        ("/a%2Cb%3d", "/a%2Cb%3D"),
        ("/bücher", "/b%C3%BCcher"),
        ("/a|b^`{}\"<>", "/a%7Cb%5E%60%7B%7D%22%3C%3E"),
        ("/.well-known/acme", "/.well-known/acme"),
        ("/a.b/...", "/a.b/..."),
        ("/a/./b", "/a/b"),
        ("/a/.", "/a/"),
        ("/.", "/"),
        ("/api/../admin", "/admin"),
        ("/api/%2e%2E/admin", "/admin"),
        ("/api/.%2e/admin/%2e", "/admin/"),
        ("/a/b/..", "/a/"),
        ("/a/..", "/"),
        ("/a/b/../../c/d/../e", "/c/e"),
        ("//", "/"),
        ("//evil.example/x", "/evil.example/x"),
        ("/a//b///c//", "/a/b/c/"),
        ("/a;v=1/b", "/a;v=1/b"),
        ("/%25%32%65", "/%252e"),
        ("/%252e%252e/x", "/%252e%252e/x"),
        ("/%e4", "/%E4"),
    ] {
        assert_eq!(shown(path, rules()), normal, "{path}");
    }
}

#[test]
fn a_path_that_can_be_read_in_two_ways_is_refused() {
    for (path, why) in [
        ("", BadPath::Form),
        ("admin", BadPath::Form),
        ("http://a/", BadPath::Form),
        ("/..", BadPath::AboveRoot),
        ("/../admin", BadPath::AboveRoot),
        ("/a/../..", BadPath::AboveRoot),
        ("/%2e%2e/", BadPath::AboveRoot),
        ("/a//../b", BadPath::Ambiguous),
        ("/a/../b//c", BadPath::Ambiguous),
        ("/a%2Fb", BadPath::EscapedSlash),
        ("/a%2fb", BadPath::EscapedSlash),
        ("/a%5Cb", BadPath::EscapedSlash),
        ("/a\\b", BadPath::EscapedSlash),
        ("/..\\admin", BadPath::EscapedSlash),
        ("/%", BadPath::Encoding),
        ("/%4", BadPath::Encoding),
        ("/%zz", BadPath::Encoding),
        ("/%u002e", BadPath::Encoding),
        ("/%c0%af", BadPath::Encoding),
        ("/%C0%AE%C0%AE/", BadPath::Encoding),
        ("/%e0%80%af", BadPath::Encoding),
        ("/%f0%80%80%af", BadPath::Encoding),
        ("/a%00", BadPath::Character),
        ("/a%0d%0aX", BadPath::Character),
        ("/a%7f", BadPath::Character),
        ("/a\u{0}", BadPath::Character),
        ("/a b", BadPath::Character),
        ("/a#b", BadPath::Character),
        ("/a?b", BadPath::Character),
        ("/a\u{fffd}", BadPath::Character),
        ("/admin;x/..;/", BadPath::HiddenDots),
        ("/a/..;x=1/b", BadPath::HiddenDots),
        ("/a/.;/b", BadPath::HiddenDots),
        ("/a/..%3Bx/b", BadPath::HiddenDots),
        ("/a/%2e%2e;/b", BadPath::HiddenDots),
    ] {
        assert_eq!(normalise(path, rules()), Err(why), "{path}");
    }
}

#[test]
fn kept_escaped_slashes_are_data_but_hide_no_dots() {
    let keep = PathRules { escaped_slashes: EscapedSlashes::Keep, ..rules() };
    for (path, normal) in [
        ("/group%2fname", "/group%2Fname"),
        ("/group%2Fname", "/group%2Fname"),
        ("/a\\b", "/a%5Cb"),
        ("/a%5cb", "/a%5Cb"),
        ("/..%2Fadmin", "HiddenDots"),
        ("/a%2f..", "HiddenDots"),
        ("/a%2F.%2Fb", "HiddenDots"),
        ("/..%5cadmin", "HiddenDots"),
        ("/x/%2e%2e%2fadmin", "HiddenDots"),
        ("/a%2F..b", "/a%2F..b"),
    ] {
        assert_eq!(shown(path, keep), normal, "{path}");
    }
}

#[test]
fn decoded_escaped_slashes_are_slashes_before_anything_else() {
    let decode = PathRules { escaped_slashes: EscapedSlashes::Decode, ..rules() };
    for (path, normal) in [
        ("/a%2Fb", "/a/b"),
        ("/a%5cb", "/a/b"),
        ("/a\\..\\b", "/b"),
        ("/api%2f..%2Fadmin", "/admin"),
        ("/..%2Fadmin", "AboveRoot"),
        ("/%2Fevil.example", "/evil.example"),
        ("/a%252Fb", "/a%252Fb"),
    ] {
        assert_eq!(shown(path, decode), normal, "{path}");
    }
}

#[test]
fn escaped_slashes_redirect_to_the_path_with_slashes() {
    let redirect = PathRules { escaped_slashes: EscapedSlashes::Redirect, ..rules() };
    assert_eq!(shown("/a%2Fb", redirect), "-> /a/b");
    assert_eq!(shown("/%2F%2Fevil.example", redirect), "-> /evil.example");
    assert_eq!(shown("/a//b", redirect), "/a/b");
    let keeping = PathRules { repeated_slashes: RepeatedSlashes::Keep, ..redirect };
    assert_eq!(shown("/%2Fevil.example", keeping), "RepeatedSlash", "a browser would go to another site");
}

#[test]
fn repeated_slashes_follow_their_policy() {
    for (policy, normal) in [
        (RepeatedSlashes::Merge, "/a/b/"),
        (RepeatedSlashes::Redirect, "-> /a/b/"),
        (RepeatedSlashes::Reject, "RepeatedSlash"),
        (RepeatedSlashes::Keep, "/a//b//"),
    ] {
        assert_eq!(shown("/a//b//", PathRules { repeated_slashes: policy, ..rules() }), normal);
    }
}

#[test]
fn path_parameters_follow_their_policy() {
    for (policy, path, normal) in [
        (PathParameters::Strip, "/a;v=1/b;c", "/a/b"),
        (PathParameters::Strip, "/a/;x/b", "/a/b"),
        (PathParameters::Strip, "/a%3Bb", "/a%3Bb"),
        (PathParameters::Reject, "/a;v=1", "Parameters"),
        (PathParameters::Reject, "/a%3Bv", "/a%3Bv"),
        (PathParameters::Check, "/a;v=1", "/a;v=1"),
    ] {
        assert_eq!(shown(path, PathRules { path_parameters: policy, ..rules() }), normal);
    }
    assert_eq!(&*without_parameters("/admin;x/y;z").expect("normal"), "/admin/y");
}

fn any_rules() -> impl Strategy<Value = PathRules> {
    let escaped = prop_oneof![
        Just(EscapedSlashes::Keep),
        Just(EscapedSlashes::Reject),
        Just(EscapedSlashes::Redirect),
        Just(EscapedSlashes::Decode)
    ];
    let repeated = prop_oneof![
        Just(RepeatedSlashes::Merge),
        Just(RepeatedSlashes::Redirect),
        Just(RepeatedSlashes::Reject),
        Just(RepeatedSlashes::Keep)
    ];
    let parameters =
        prop_oneof![Just(PathParameters::Check), Just(PathParameters::Strip), Just(PathParameters::Reject)];
    (escaped, repeated, parameters).prop_map(|(escaped_slashes, repeated_slashes, path_parameters)| PathRules {
        escaped_slashes,
        repeated_slashes,
        path_parameters,
    })
}

/// Paths made of what attacks are made of, and of anything at all.
fn any_path() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        8 => prop::sample::select(vec![
            "/", "/", "/", "//", ".", "..", "%2e", "%2E", "%2f", "%2F", "%5c", "\\", ";", "%3b", "%3B", "a", "b", "admin", "%61",
            "%25", "%41", "%c3%bc", "%C3", "%c0%af", "%e0%80", "ü", " ", "%20", "%00", "%", "%4", "~", "|", "+", ",", "%2C", "x=1",
        ]).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| format!("/{}", pieces.concat()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn the_normal_form_is_normal(path in any_path(), rules in any_rules()) {
        if let Ok(Normal::Changed(normal) | Normal::Redirect(normal)) = normalise(&path, rules) {
            prop_assert_eq!(normalise(&normal, rules), Ok(Normal::Same), "{} -> {}", path, normal);
        }
    }

    #[test]
    fn the_normal_form_holds_nothing_dangerous(path in any_path(), rules in any_rules()) {
        let normal: Box<str> = match normalise(&path, rules) {
            Ok(Normal::Same) => path.as_str().into(),
            Ok(Normal::Changed(normal) | Normal::Redirect(normal)) => normal,
            Err(_) => return Ok(()),
        };
        prop_assert!(normal.starts_with('/'));
        prop_assert!(normal.bytes().all(|b| (0x21..0x7f).contains(&b) && !b"\\#?\"<>^`{|}".contains(&b)), "{}", normal);
        prop_assert!(normal.split('/').all(|segment| !is_dots(segment) && !hides_dots(segment)), "{}", normal);
        prop_assert!(rules.repeated_slashes == RepeatedSlashes::Keep || !normal.contains("//"), "{}", normal);
        prop_assert!(rules.escaped_slashes == EscapedSlashes::Keep || !(normal.contains("%2F") || normal.contains("%5C")));
        prop_assert!(rules.path_parameters == PathParameters::Check || !normal.contains(';'));
        // As Uri sees it, the whole of it is a path.
        let uri: http::uri::PathAndQuery = normal.parse().expect("a normal path is a valid one");
        prop_assert_eq!(uri.path(), &*normal);
    }

    #[test]
    fn a_decoded_reader_sees_the_same_path(path in "(/[a-z.%~-]{0,3}(%2[eE]|%6[1-9]|%7[eE])?){1,5}") {
        // Decoding first and then taking out dots gives what we give, decoded: nobody downstream finds more dots.
        if let Ok(Normal::Changed(normal)) = normalise(&path, KEEP) {
            let decoded = percent_encoding::percent_decode_str(&normal).decode_utf8_lossy();
            prop_assert!(decoded.split('/').all(|segment| !is_dots(segment)), "{} -> {}", path, normal);
        }
    }
}
