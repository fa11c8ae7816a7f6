//! What somebody sends who registers.

use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use crate::service::body::Members;
use crate::service::passwords::Fault;

/// The characters of a name.
const NAME: std::ops::RangeInclusive<usize> = 3..=64;
/// The longest address (RFC 5321 section 4.5.3.1, with the brackets of a path).
const LONGEST_EMAIL: usize = 254;
const LONGEST_LOCAL_PART: usize = 64;
const LONGEST_DISPLAY: usize = 128;
/// Longer texts are not looked at.
const LONGEST: usize = 1024;

/// A registration, in the form in which it is kept.
#[derive(Default)]
pub(super) struct Form {
    pub(super) name: String,
    pub(super) display: String,
    pub(super) email: Option<String>,
    pub(super) password: Zeroizing<String>,
}

/// The name of an account as it is kept and compared: trimmed, NFC, in lower case. `None` for what can't be one.
pub(crate) fn name_of(text: &str) -> Option<String> {
    if text.len() > LONGEST {
        return None;
    }
    // Lower case can come apart (U+0130), and is put together again.
    let lower: String = text.trim().nfc().flat_map(char::to_lowercase).collect();
    let name: String = lower.nfc().collect();
    let fits = NAME.contains(&name.chars().count());
    // Marks that belong to no letter are none of these: what looks the same is the same.
    let clean = name.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '@' | '+'));
    (fits && clean).then_some(name)
}

impl Form {
    /// What can be read of it, and all that is wrong.
    pub(super) fn read(members: &Members) -> (Self, Vec<Fault>) {
        let (mut form, mut faults) = (Self::default(), Vec::new());
        let mut text = |pointer: &'static str| match members.text(pointer.trim_start_matches('/')) {
            Ok(text) => text,
            Err(_) => {
                faults.push(Fault::at(pointer, "must be a string"));
                None
            }
        };
        let (name, email, password, display) = (text("/name"), text("/email"), text("/password"), text("/display"));
        let mut wrong = |pointer, detail: &str| {
            // One fault of a member is enough.
            if !faults.iter().any(|fault: &Fault| fault.pointer == pointer) {
                faults.push(Fault::at(pointer, detail));
            }
        };
        match name.map(name_of) {
            None => wrong("/name", "is required"),
            Some(None) => wrong("/name", "must be 3 to 64 letters, digits or . _ - @ +"),
            Some(Some(name)) => form.name = name,
        }
        match email.map(str::trim) {
            Some(email) if !is_email(email) => wrong("/email", "is no e-mail address"),
            email => form.email = email.map(str::to_owned),
        }
        match display.map(str::trim) {
            Some(display) if !is_display(display) => wrong("/display", "must be 1 to 128 characters on one line"),
            display => display.or(name.map(str::trim)).unwrap_or_default().clone_into(&mut form.display),
        }
        match password {
            Some(password) if !password.is_empty() => form.password = Zeroizing::new(password.to_owned()),
            _ => wrong("/password", "is required"),
        }
        (form, faults)
    }

    /// What the password must not be like.
    pub(super) fn about(&self) -> [&str; 3] {
        [&self.name, self.email.as_deref().unwrap_or_default(), &self.display]
    }
}

/// Whether mail could be sent there. Only mail that is answered shows more.
pub(in crate::service) fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let word = |word: &str| !word.is_empty() && word.chars().all(is_atext);
    let label = |label: &str| {
        let inside = label.chars().all(|c| c.is_alphanumeric() || c == '-');
        (1..=63).contains(&label.len()) && inside && !label.starts_with('-') && !label.ends_with('-')
    };
    text.len() <= LONGEST_EMAIL
        && local.len() <= LONGEST_LOCAL_PART
        && local.split('.').all(word)
        && domain.contains('.')
        && domain.split('.').all(label)
}

/// RFC 5322 section 3.2.3, and letters beyond ASCII (RFC 6532).
fn is_atext(c: char) -> bool {
    c.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c)
}

/// Whether somebody can be called this.
pub(in crate::service) fn is_display(text: &str) -> bool {
    let length = text.chars().take(LONGEST_DISPLAY + 1).count();
    (1..=LONGEST_DISPLAY).contains(&length) && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_look_the_same_are_the_same() {
        for (text, name) in [
            ("  Jane.Doe ", "jane.doe"),
            ("ÄRGER", "ärger"),
            ("A\u{308}rger", "ärger"),
            ("jane@example.com", "jane@example.com"),
            ("李小龙", "李小龙"),
        ] {
            assert_eq!(name_of(text).as_deref(), Some(name), "{text}");
        }
        let long = "x".repeat(65);
        for bad in
            ["", "ab", "  ab  ", &long, "jane doe", "jane\u{200b}", "jane\u{301}\u{302}", "a/b/c", "jane\0", "ja\nne"]
        {
            assert_eq!(name_of(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn addresses_have_two_parts_and_a_domain() {
        let longest = format!("{}@example.com", "x".repeat(64));
        for good in ["a@b.co", "jane.o'doe+tag@mail.example.com", "jörg@müller.example", &longest] {
            assert!(is_email(good), "{good}");
        }
        let long = format!("a@{}.com", "x.".repeat(130));
        for bad in [
            "",
            "a",
            "@b.co",
            "a@",
            "a@b",
            "a b@c.de",
            "a@b..co",
            "a@-b.co",
            ".a@b.co",
            "a.@b.co",
            "a@b@c.de",
            "a@b.co\n",
            "<a@b.co>",
            &long,
            &format!("x{longest}"),
        ] {
            assert!(!is_email(bad), "{bad:?}");
        }
    }
}
