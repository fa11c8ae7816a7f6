//! How a client shows who it is (RFC 6749 section 2.3.1).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What `application/x-www-form-urlencoded` leaves as it is; a space may be `%20` as well as `+`.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'*');

/// `Authorization` of a client. Both are encoded as in a form before they are joined: either may have a colon in it.
pub(crate) fn basic(id: &str, secret: &str) -> HeaderValue {
    let joined = [encoded(id).as_str(), ":", encoded(secret).as_str()].concat();
    let text = ["Basic ", &STANDARD.encode(joined)].concat();
    let mut value = HeaderValue::from_str(&text).expect("base64 can stand in a field");
    value.set_sensitive(true);
    value
}

/// A text as it stands in a form, and in the query of a URL.
pub(crate) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_is_encoded_before_it_is_joined_with_its_secret() {
        // RFC 6749 section 2.3.1, with what makes the difference.
        let value = basic("s6BhdRkqt3", "7Fjfp0ZBr1KtDRbnfVdmIw");
        assert_eq!(value, "Basic czZCaGRSa3F0Mzo3RmpmcDBaQnIxS3REUmJuZlZkbUl3");
        assert_eq!(basic("a:b", "c d+ä%"), format!("Basic {}", STANDARD.encode("a%3Ab:c%20d%2B%C3%A4%25")));
        assert!(!format!("{value:?}").contains("czZ"), "not for logs");
    }
}
