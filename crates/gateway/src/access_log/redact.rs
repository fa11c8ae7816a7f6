//! What a line must not show: the values of query parameters and header fields whose names say that they are secret.
//!
//! Names are compared without regard to letter case, punctuation and percent-encoding: `access%5Ftoken`,
//! `AccessToken` and `user[access-token]` are one. Rather hide too much: whoever reads logs is not who may log in.

use smallvec::SmallVec;
use tidegate_core::{ConfigError, ConfigErrors, ConfigPath};

use super::escape::Quoted;

/// A name with any of these in it is secret.
const PARTS: [&[u8]; 14] = [
    b"token",
    b"secret",
    b"passw",
    b"passphrase",
    b"signature",
    b"credential",
    b"authorization",
    b"assertion",
    b"apikey",
    b"accesskey",
    b"privatekey",
    b"sessid",
    b"sessionid",
    b"jwt",
];

/// A name that is just this is secret.
const WHOLE: [&[u8]; 18] = [
    b"key",
    b"code",
    b"sig",
    b"auth",
    b"session",
    b"sid",
    b"otp",
    b"totp",
    b"pin",
    b"pwd",
    b"ticket",
    b"bearer",
    b"cookie",
    b"setcookie",
    b"samlresponse",
    b"samlrequest",
    b"codeverifier",
    b"hmac",
];

const HIDDEN: &[u8] = b"***";

/// Knows which names are secret.
#[derive(Debug, Default)]
pub(super) struct Redactor {
    more: Box<[Name]>,
}

/// A name in lower case, of letters and digits only.
type Name = SmallVec<[u8; 64]>;

impl Redactor {
    /// Hides these besides what is always hidden.
    pub(super) fn new(more: &[String]) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        for (index, _) in more.iter().enumerate().filter(|(_, name)| bare(name.as_bytes()).is_empty()) {
            let path = ConfigPath::root().key("redact").index(index);
            errors.push(ConfigError::at(path, "a name needs a letter or a digit"));
        }
        errors.into_result(Self { more: more.iter().map(|name| bare(name.as_bytes())).collect() })
    }

    /// Whether the value of this parameter or header field is secret.
    pub(super) fn hides(&self, name: &[u8]) -> bool {
        let name = bare(name);
        let listed = WHOLE.contains(&&name[..]) || self.more.contains(&name);
        listed || (0..name.len()).any(|at| PARTS.iter().any(|part| name[at..].starts_with(part)))
    }

    /// Whether a path may have parameters in it (`/cart;jsessionid=…`).
    pub(super) fn concerns(path: &[u8]) -> bool {
        path.iter().any(|byte| matches!(byte, b'=' | b'%'))
    }

    /// Adds a query without what is secret in it.
    pub(super) fn put_query(&self, query: &[u8], text: &mut Quoted<'_>) {
        let mut rest = query;
        loop {
            let end = rest.iter().position(|byte| matches!(byte, b'&' | b';')).unwrap_or(rest.len());
            let (pair, after) = rest.split_at(end);
            self.put_pair(pair, text);
            let Some((separator, after)) = after.split_first() else { return };
            text.push(&[*separator]);
            rest = after;
        }
    }

    fn put_pair(&self, pair: &[u8], text: &mut Quoted<'_>) {
        match self.secret_in(pair) {
            Some(begin) => {
                text.push(&pair[..begin]);
                text.push(HIDDEN);
            }
            None => text.push(pair),
        }
    }

    /// Adds a URL without what is secret in its query and fragment, and without a user and password.
    pub(super) fn put_url(&self, url: &[u8], text: &mut Quoted<'_>) {
        let end = url.iter().position(|byte| matches!(byte, b'?' | b'#')).unwrap_or(url.len());
        put_place(&url[..end], text);
        self.put_query(&url[end..], text);
    }

    /// Where in `name=value` a secret begins. It may be further in: a value can be a URL with a query of its own,
    /// percent-encoded any number of times (`?next=%2Fin%3Fcode%3D…`).
    fn secret_in(&self, pair: &[u8]) -> Option<usize> {
        let (mut name, mut at) = (0, 0);
        while let Some(mark) = Mark::next(&pair[at..]) {
            let place = at + mark.place;
            at = place + mark.length;
            if mark.byte == b'=' && self.hides(&pair[name..place]) {
                return Some(at);
            }
            name = at;
        }
        None
    }
}

/// Adds a host, or a URL up to its query, without a user and password.
pub(super) fn put_place(place: &[u8], text: &mut Quoted<'_>) {
    let begin = place.windows(3).position(|part| part == b"://").map_or(0, |at| at + 3);
    let authority = place[begin..].split(|byte| *byte == b'/').next().unwrap_or_default();
    match authority.iter().rposition(|byte| *byte == b'@') {
        Some(at) => {
            text.push(&place[..begin]);
            text.push(HIDDEN);
            text.push(&place[begin + at..]);
        }
        None => text.push(place),
    }
}

/// Something that begins or ends a name, percent-encoded or not.
struct Mark {
    place: usize,
    length: usize,
    byte: u8,
}

impl Mark {
    fn next(text: &[u8]) -> Option<Self> {
        text.iter().enumerate().find_map(|(place, byte)| {
            let (byte, length) = decoded(*byte, &text[place + 1..]);
            matches!(byte, b'=' | b'?' | b'#' | b'&' | b';').then_some(Self { place, length, byte })
        })
    }
}

fn bare(name: &[u8]) -> Name {
    let mut bare = Name::new();
    let mut at = 0;
    while let Some(byte) = name.get(at) {
        let (byte, length) = decoded(*byte, &name[at + 1..]);
        at += length;
        if byte.is_ascii_alphanumeric() {
            bare.push(byte.to_ascii_lowercase());
        }
    }
    bare
}

/// The byte that `first` and what follows it mean, and how many bytes that takes. `%3D` is `=`, and so is `%253D`,
/// which is `%3D` encoded once more, and so on.
fn decoded(first: u8, after: &[u8]) -> (u8, usize) {
    if first != b'%' {
        return (first, 1);
    }
    let mut again = 0;
    while after[again..].starts_with(b"25") {
        again += 2;
    }
    let digit = |at: usize| char::from(*after.get(at)?).to_digit(16);
    match (digit(again), digit(again + 1)) {
        (Some(high), Some(low)) => ((high << 4 | low) as u8, again + 3),
        _ => (first, 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(put: impl FnOnce(&mut Quoted<'_>)) -> String {
        let mut out = Vec::new();
        put(&mut Quoted::new(&mut out));
        String::from_utf8(out).expect("text")
    }

    fn query(text: &str) -> String {
        shown(|out| Redactor::default().put_query(text.as_bytes(), out))
    }

    #[test]
    fn what_is_no_secret_stays_as_it_is() {
        for text in [
            "",
            "a",
            "page=2&sort=name",
            "q=a=b&&c=;d",
            "keyword=x&monkey=y&encode=z",
            "next=%2Fhome%3Fpage%3D2",
            "100%&%2",
        ] {
            assert_eq!(query(text), text);
        }
    }

    #[test]
    fn a_secret_is_hidden_under_all_its_names() {
        for name in [
            "token",
            "access_token",
            "id_token",
            "refresh_token",
            "csrf-token",
            "key",
            "api_key",
            "apikey",
            "X-Api-Key",
            "password",
            "passwd",
            "client_secret",
            "code",
            "signature",
            "X-Amz-Signature",
            "X-Amz-Credential",
            "sig",
            "AWSAccessKeyId",
            "jwt",
            "auth",
            "Authorization",
            "session",
            "JSESSIONID",
            "PHPSESSID",
            "otp",
            "pin",
            "SAMLResponse",
            "client_assertion",
            "code_verifier",
            "user[password]",
            "pass%77ord",
            "%2574oken",
            "TOKEN",
        ] {
            assert_eq!(query(&format!("a=1&{name}=canary&b=2")), format!("a=1&{name}=***&b=2"));
            assert_eq!(query(&format!("a=1;{name}=canary=;b=2")), format!("a=1;{name}=***;b=2"));
            assert_eq!(query(&format!("{name}%3Dcanary")), format!("{name}%3D***"));
        }
    }

    #[test]
    fn a_secret_inside_a_value_is_hidden() {
        assert_eq!(query("next=/in?code=canary"), "next=/in?code=***");
        assert_eq!(query("next=%2Fin%3Fa%3D1%26code%3Dcanary%26b%3D1&c=2"), "next=%2Fin%3Fa%3D1%26code%3D***&c=2");
        assert_eq!(query("next=%252Fin%253Fcode%253Dcanary"), "next=%252Fin%253Fcode%253D***");
        assert_eq!(query("next=/in#access_token=canary"), "next=/in#access_token=***");
    }

    #[test]
    fn a_secret_with_an_encoded_separator_is_hidden_to_its_end() {
        assert_eq!(query("password=can%26ary%3Dcanary&a=1"), "password=***&a=1");
    }

    #[test]
    fn names_of_the_configuration_are_hidden_too() {
        let redactor = Redactor::new(&["Tax-Number".into(), "vin".into()]).expect("valid");
        let text = shown(|out| redactor.put_query(b"tax_number=canary&vin=canary&vine=1", out));
        assert_eq!(text, "tax_number=***&vin=***&vine=1");
        assert!(redactor.hides(b"taxnumber") && redactor.hides(b"cookie") && !redactor.hides(b"x-tenant"));
        let errors = Redactor::new(&["a".into(), "-".into()]).expect_err("refused");
        assert_eq!(errors.to_string(), "redact[1]: a name needs a letter or a digit");
    }

    #[test]
    fn a_url_loses_its_password_and_its_secrets() {
        for (url, logged) in [
            ("https://a.test/x?a=1&token=canary#b", "https://a.test/x?a=1&token=***"),
            ("https://user:canary@a.test/@x?a=1", "https://***@a.test/@x?a=1"),
            ("https://a.test/@x", "https://a.test/@x"),
            ("https://a.test#access_token=canary", "https://a.test#access_token=***"),
            ("android-app://com.example", "android-app://com.example"),
            ("no url", "no url"),
        ] {
            assert_eq!(shown(|out| Redactor::default().put_url(url.as_bytes(), out)), logged);
        }
        assert_eq!(shown(|out| put_place(b"user:canary@a.test:80", out)), "***@a.test:80");
    }
}
