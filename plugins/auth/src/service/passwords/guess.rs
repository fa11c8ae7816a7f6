//! How hard a password is to guess for who knows words, names, dates and keyboards (zxcvbn).

use zeroize::Zeroizing;
use zxcvbn::zxcvbn;

/// What it takes to look at a text grows faster than its length: more than this is not looked at, of the password and of
/// what is known of the user.
const LONGEST: usize = crate::hashing::LONGEST;

/// From 0, a thousand guesses at most, to 4, more than ten thousand million. Looked at beside the threads that serve.
pub(super) async fn score(password: &str, about: &[&str]) -> u8 {
    let password = Zeroizing::new(start(password).to_owned());
    let about: Vec<String> = about.iter().map(|text| start(text).to_owned()).collect();
    let scored = tokio::task::spawn_blocking(move || {
        let about: Vec<&str> = about.iter().map(String::as_str).collect();
        u8::from(zxcvbn(&password, &about).score())
    });
    // It takes a bug of its own to get nothing: then nothing is said for the password.
    scored.await.unwrap_or(0)
}

/// As much of the beginning as is looked at.
fn start(text: &str) -> &str {
    let mut end = text.len().min(LONGEST);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_made_of_words_and_rows_of_keys_scores_low() {
        for (password, about, most) in [
            ("password", &[][..], 0),
            ("Passw0rd!", &[], 1),
            ("qwertyuiop12", &[], 1),
            ("aaaaaaaaaaaaaaaa", &[], 1),
            ("charlesbabbage", &["charles", "babbage"], 1),
        ] {
            let score = score(password, about).await;
            assert!(score <= most, "{password}: {score}");
        }
        for password in ["correct horse battery staple", "kD8#vQm2!xW9pL", "zulässig wäre Überfahrt Möwe"] {
            assert!(score(password, &[]).await >= 3, "{password}");
        }
    }

    #[tokio::test]
    async fn only_so_much_of_a_text_is_looked_at() {
        assert_eq!(start(&"é".repeat(100)).len(), LONGEST);
        assert_eq!(start(&"€".repeat(100)).len(), LONGEST / 3 * 3);
        let long = "a1".repeat(50_000);
        assert_eq!(score(&long, &[&long]).await, score(start(&long), &[start(&long)]).await);
    }
}
