//! A path of a URL as a place below the root.
//!
//! Decoded once, and refused where two readers could see two places in it: what is refused here needs no judgement of
//! the file system. What isn't is a list of plain names, and the [root](crate::root) sees to it that even those stay
//! beneath it.

use percent_encoding::percent_decode_str;

/// Longer paths are not there: `PATH_MAX`, with room for what is appended.
const LONGEST: usize = 4000;
/// Deeper paths are not there.
const DEEPEST: usize = 64;

/// Names below the root, decoded and joined by `/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// Without a slash at its ends; empty for the root.
    pub(crate) path: Box<str>,
    /// Whether a slash at the end says that a folder is meant.
    pub(crate) folder: bool,
}

/// Why a path is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoPlace {
    /// It says something that we don't take part in: 400.
    Bad(&'static str),
    /// There can't be anything: 404.
    Nothing,
}

/// The place that is meant by what follows the mount in a path: nothing, or what begins with a slash.
pub(crate) fn place(below: &str) -> Result<Place, NoPlace> {
    if below.len() > 3 * LONGEST {
        return Err(NoPlace::Nothing);
    }
    let Some(rest) = below.strip_prefix('/') else {
        return if below.is_empty() { Ok(Place { path: "".into(), folder: false }) } else { Err(NoPlace::Nothing) };
    };
    let (names, folder) = match rest.strip_suffix('/') {
        Some(names) => (names, true),
        None => (rest, rest.is_empty()),
    };
    let mut path = String::with_capacity(names.len());
    if names.is_empty() {
        // `//` is not the root.
        return if folder && rest.is_empty() { Ok(Place { path: "".into(), folder }) } else { Err(NoPlace::Nothing) };
    }
    for (depth, segment) in names.split('/').enumerate() {
        if depth > 0 {
            path.push('/');
        }
        push_name(&mut path, segment)?;
        if depth >= DEEPEST || path.len() > LONGEST {
            return Err(NoPlace::Nothing);
        }
    }
    Ok(Place { path: path.into(), folder })
}

fn push_name(path: &mut String, segment: &str) -> Result<(), NoPlace> {
    if segment.is_empty() {
        return Err(NoPlace::Nothing);
    }
    if !well_encoded(segment) {
        return Err(NoPlace::Bad("the path has a `%` that encodes nothing"));
    }
    // Overlong forms are no UTF-8, so none of them becomes a slash or a dot.
    let decoded = percent_decode_str(segment).decode_utf8();
    let name = decoded.map_err(|_| NoPlace::Bad("the path is not UTF-8"))?;
    match &*name {
        "." | ".." => Err(NoPlace::Bad("the path climbs")),
        name if name.contains(['/', '\\']) => Err(NoPlace::Bad("the path has an encoded slash or a backslash")),
        name if name.contains(char::is_control) => Err(NoPlace::Bad("the path has a control character")),
        name => {
            path.push_str(name);
            Ok(())
        }
    }
}

/// Whether two hexadecimal digits follow each `%`.
fn well_encoded(segment: &str) -> bool {
    let digits = |part: &str| part.as_bytes().get(..2).is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit));
    segment.split('%').skip(1).all(digits)
}

/// The file's name: what follows the last slash.
pub(crate) fn name_of(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_decoded_once_and_a_slash_at_the_end_means_a_folder() {
        for (below, path, folder) in [
            ("", "", false),
            ("/", "", true),
            ("/a", "a", false),
            ("/a/", "a", true),
            ("/a/b.js", "a/b.js", false),
            ("/%61%2e%6as", "a.js", false),
            ("/%252e%252e", "%2e%2e", false),
            ("/..;/a", "..;/a", false),
            ("/.../a.", ".../a.", false),
            ("/gr%C3%BC%C3%9Fe", "grüße", false),
            ("/grüße", "grüße", false),
            ("/a%20b", "a b", false),
            ("/a:b?", "a:b?", false),
        ] {
            assert_eq!(place(below), Ok(Place { path: path.into(), folder }), "{below}");
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_no_place() {
        for below in [
            "/..",
            "/../",
            "/.",
            "/a/..",
            "/a/./b",
            "/%2e%2e",
            "/%2e%2E/x",
            "/.%2e",
            "/%2e",
            "/..%2f",
            "/..%2Fetc",
            "/a%2fb",
            "/\\..\\",
            "/..\\x",
            "/..%5cx",
            "/a%5C",
            "/%00",
            "/a%00.html",
            "/a%0d%0ab",
            "/%7f",
            "/%",
            "/%2",
            "/%zz",
            "/a%+1",
            "/%c0%ae%c0%ae/",
            "/%c0%af",
            "/%ff",
            "/%e0%80%af",
            "/%c2%80",
        ] {
            assert!(matches!(place(below), Err(NoPlace::Bad(_))), "{below}: {:?}", place(below));
        }
        for below in ["//", "///", "//etc/passwd", "/a//b", "/a//", "a", "x/y"] {
            assert_eq!(place(below), Err(NoPlace::Nothing), "{below}");
        }
    }

    #[test]
    fn what_is_too_long_or_too_deep_is_not_there() {
        assert_eq!(place(&"/a".repeat(65)), Err(NoPlace::Nothing));
        assert!(place(&"/a".repeat(64)).is_ok());
        assert_eq!(place(&format!("/{}", "a".repeat(LONGEST + 1))), Err(NoPlace::Nothing));
        assert_eq!(place(&format!("/{}", "%61".repeat(LONGEST + 1))), Err(NoPlace::Nothing));
    }

    proptest! {
        #[test]
        fn a_place_is_plain_names(below in "(/|\\.|%2e|%2f|%5c|%00|\\\\|%c0%ae|%25|;|a|%61){0,12}") {
            if let Ok(place) = place(&below) {
                let plain = |name: &str| !matches!(name, "" | "." | "..") && !name.contains(['\0', '\\']);
                prop_assert!(place.path.is_empty() || place.path.split('/').all(plain), "{} is {:?}", below, place);
            }
        }
    }
}
