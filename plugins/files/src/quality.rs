//! Lists with weights: `Accept`, `Accept-Encoding` (RFC 9110 section 12.4).

use tidegate_core::{HeaderMap, HeaderName, fields};

/// A weight in thousandths.
pub(crate) type Weight = u16;

/// The elements of a list field with their weights, parameters other than `q` left out. One whose weight is none is
/// skipped.
pub(crate) fn weighted<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = (&'h str, Weight)> {
    let lines = headers.get_all(name).into_iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).filter_map(element)
}

fn element(element: &str) -> Option<(&str, Weight)> {
    let mut parts = element.split(';').map(|part| part.trim_matches([' ', '\t']));
    let name = parts.next().filter(|name| !name.is_empty())?;
    let quality = parts.filter_map(|part| part.split_once('=')).find(|(key, _)| key.eq_ignore_ascii_case("q"));
    Some((name, quality.map_or(Some(1000), |(_, value)| fields::weight(value.as_bytes()))?))
}

/// Whether whoever sent these fields would rather have HTML than anything else: it is named, and nothing is liked
/// better. Browsers that go to a page say so; scripts, images and styles that a page loads don't.
pub(crate) fn prefers_html(headers: &HeaderMap) -> bool {
    let (mut html, mut other) = (0, 0);
    for (range, weight) in weighted(headers, &tidegate_core::header::ACCEPT) {
        let is_html = ["text/html", "application/xhtml+xml"].iter().any(|name| range.eq_ignore_ascii_case(name));
        let best = if is_html { &mut html } else { &mut other };
        *best = weight.max(*best);
    }
    html > 0 && html >= other
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(accept: &str) -> HeaderMap {
        HeaderMap::from_iter([(tidegate_core::header::ACCEPT, accept.parse().expect("a value"))])
    }

    #[test]
    fn weights_are_read_exactly() {
        let all =
            "a, b;q=0.5 , c; Q=0.123;x=y,d;q=1.000,,e;q=0, f;q=1.001, g;q=2, h;q=.5, i;q=0.1234, j;v=1;q=0.9, k;q=";
        let read: Vec<_> =
            weighted(&headers(all), &tidegate_core::header::ACCEPT).map(|(n, w)| format!("{n}{w}")).collect();
        assert_eq!(read, ["a1000", "b500", "c123", "d1000", "e0", "j900"]);
    }

    #[test]
    fn browsers_that_go_to_a_page_prefer_html_and_nobody_else_does() {
        for (accept, expected) in [
            ("text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8", true),
            ("text/html", true),
            ("Text/HTML;q=0.5", true),
            ("application/xhtml+xml", true),
            ("*/*", false),
            ("image/avif,image/webp,image/png,*/*;q=0.8", false),
            ("text/css,*/*;q=0.1", false),
            ("application/json, text/plain, */*", false),
            ("application/json, text/html;q=0.9", false),
            ("text/html;q=0", false),
            ("text/*", false),
            ("", false),
        ] {
            assert_eq!(prefers_html(&headers(accept)), expected, "{accept}");
        }
        assert!(!prefers_html(&HeaderMap::new()));
    }
}
