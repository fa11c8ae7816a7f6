//! Where browsers may be sent after login: to a path of this site, and nowhere else (RFC 9700 section 4.11).

/// The longest such path, in bytes: it is carried in a cookie.
const LONGEST: usize = 1024;

/// Whether this is a path here, in whatever way a browser reads it: `//host` and `/\host` are other sites to some (WHATWG
/// URL section 4.4), and so is what becomes one of these when its dots are taken out.
pub(super) fn is_local(text: &str) -> bool {
    let plain = text.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'\\' | b'"' | b'<' | b'>' | b'`'));
    let path = text.split(['?', '#']).next().unwrap_or_default();
    let Some(rest) = path.strip_prefix('/') else { return false };
    let folder = rest.strip_suffix('/').unwrap_or(rest);
    let clean = rest.is_empty() || folder.split('/').all(|segment| !segment.is_empty() && !is_dots(segment));
    plain && clean && text.len() <= LONGEST
}

/// `.` or `..`, in any of their spellings (WHATWG URL section 4.1).
fn is_dots(segment: &str) -> bool {
    let bytes = segment.to_ascii_lowercase().replace("%2e", ".");
    matches!(bytes.as_str(), "." | "..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_this_site_are_local() {
        let longest = format!("/{}", "a".repeat(LONGEST - 1));
        for good in [
            "/",
            "/app",
            "/app/",
            "/a/b?next=//c&d=https://e.test/",
            "/a#/b//c",
            "/%C3%A4",
            "/..a/.b/c..",
            "/a:b@c",
            &longest,
        ] {
            assert!(is_local(good), "{good}");
        }
        let long = format!("{longest}a");
        for bad in [
            "",
            "app",
            "//evil.test",
            "///evil.test",
            "/\\evil.test",
            "\\\\evil.test",
            "\\/evil.test",
            "/a\\b",
            "https://evil.test",
            "https:evil.test",
            "HTTPS://evil.test/",
            "javascript:alert(1)",
            "data:text/html,x",
            " /app",
            "/app ",
            "\t/app",
            "/\t/evil.test",
            "/\n/evil.test",
            "/\r\nSet-Cookie: a=b",
            "/app\u{0}",
            "/./evil.test/../",
            "/.//evil.test",
            "/..//evil.test",
            "/%2e//evil.test",
            "/%2E%2e/evil.test",
            "/a/../b",
            "/a//b",
            "?a=b",
            "#a",
            "/ä",
            "/\u{2028}",
            "/<script>",
            "@evil.test",
            ".evil.test",
            ":80",
            &long,
        ] {
            assert!(!is_local(bad), "{bad:?}");
        }
    }
}
