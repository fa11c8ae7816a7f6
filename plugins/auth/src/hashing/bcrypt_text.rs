//! bcrypt in its usual text: `$2b$12$`, 22 characters of salt, 31 of hash.

use std::fmt::Write;
use std::ops::Range;
use std::sync::OnceLock;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use bcrypt::{HashParts, Version, hash_with_salt};

use super::LONGEST;
use crate::id::fill_random;

/// The costs of hashes that are compared with. One of a higher cost would keep a thread for minutes.
const COSTS: std::ops::RangeInclusive<u32> = 4..=16;

/// The cost that a hash was made with; `None` if it is no hash that passwords are compared with here.
///
/// `$2x$` is refused: it marks hashes of a broken implementation (CVE-2011-2483), which this one doesn't repeat.
pub(super) fn cost_of(hash: &str) -> Option<u32> {
    parts(hash).map(|parts| parts.get_cost())
}

fn parts(hash: &str) -> Option<HashParts> {
    let known = ["$2a$", "$2b$", "$2y$"].iter().any(|version| hash.starts_with(version));
    let parts = known.then(|| hash.parse::<HashParts>().ok())??;
    // What is not written back as it was read has bits in its last characters that belong to nothing.
    let same = parts.format_for_version(Version::TwoB).get(4..) == hash.get(4..);
    (same && COSTS.contains(&parts.get_cost())).then_some(parts)
}

/// A hash that no password matches, of this cost.
pub(super) fn dummy(cost: u32) -> String {
    static ENDS: OnceLock<String> = OnceLock::new();
    let ends = ENDS.get_or_init(random_ends);
    let mut text = String::with_capacity(60);
    let _ = write!(text, "$2b${cost:02}${ends}");
    text
}

/// A salt and the hash of nothing that anybody could find. Of each the last character carries bits that must be zero.
fn random_ends() -> String {
    const ALPHABET: &[u8; 64] = b"./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut random = [0; 53];
    fill_random(&mut random);
    (random[21], random[52]) = (0, 0);
    random.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 64)])).collect()
}

/// Whether bcrypt sees all of this password: it stops at a zero byte, and at the 72nd.
pub(super) fn is_whole(password: &[u8]) -> bool {
    password.len() <= LONGEST && !password.contains(&0)
}

/// Whether it is the hash of this password; nothing is of one that bcrypt wouldn't see all of.
pub(super) fn matches(password: &[u8], hash: &str) -> bool {
    let Some(parts) = parts(hash).filter(|_| is_whole(password)) else { return false };
    let made = hash_with_salt(password, parts.get_cost(), parts.get_salt_raw());
    // The cost and the salt are the same on both sides: what is compared is the hash.
    made.is_ok_and(|made| {
        let made = made.format_for_version(Version::TwoB);
        let end = |text: &str| text.as_bytes().get(4..).unwrap_or_default().to_vec();
        verify_slices_are_equal(&end(&made), &end(hash)).is_ok()
    })
}

/// Takes the time of one hash of each of these costs.
pub(super) fn spend(password: &[u8], costs: Range<u32>) -> u64 {
    let seen = password.get(..LONGEST).unwrap_or(password);
    costs.fold(0, |rounds, cost| {
        let _ = std::hint::black_box(hash_with_salt(seen, cost, [0; 16]));
        rounds + (1 << cost)
    })
}

/// The hash, as `$2b$`; one that nothing matches for a password that bcrypt would not see all of.
pub(super) fn hash(password: &[u8], cost: u32, salt: [u8; 16]) -> String {
    let made = is_whole(password).then(|| hash_with_salt(password, cost, salt).ok()).flatten();
    made.map_or_else(|| dummy(cost), |made| made.format_for_version(Version::TwoB))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verify(password: &[u8], hash: &str) -> bool {
        matches(password, hash)
    }

    /// Of the test suites of crypt_blowfish and jBCrypt; the one of `$2y$` as libxcrypt makes it.
    const KNOWN: [(&str, &str); 8] = [
        ("U*U", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"),
        ("U*U*", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK"),
        ("U*U*U", "$2a$05$XXXXXXXXXXXXXXXXXXXXXOAcXxm9kjPGEMsLznoKqmqw7tc8WCx4a"),
        ("", "$2a$06$DCq7YPn5Rq63x1Lad4cll.TV4S6ytwfsfvkgY8jIucDrjc8deX1s."),
        ("a", "$2a$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe"),
        ("abc", "$2a$06$If6bvum7DFjUnE9p2uDeDu0YHzrHM6tf.iqN8.yx.jNN1ILEf7h0i"),
        ("rasmuslerdorf", "$2y$07$BCryptRequires22Chrcte/VlQH0piJtjXl.0t1XkA8pw9dMXTpOq"),
        ("~!@#$%^&*()      ~!@#$%^&*()PNBFRD", "$2a$06$fPIsBO8qRqkjj273rfaOI.HtSV9jLDpTbZn782DC6/t7qT67P6FfO"),
    ];

    #[test]
    fn known_answers_of_other_implementations() {
        for (password, hash) in KNOWN {
            assert!(verify(password.as_bytes(), hash), "{password:?}");
            assert!(!verify(format!("{password}x").as_bytes(), hash), "{password:?}");
            let as_2b = hash.replacen("$2a$", "$2b$", 1).replacen("$2y$", "$2b$", 1);
            assert!(verify(password.as_bytes(), &as_2b), "{as_2b}");
        }
    }

    /// Bytes beyond ASCII, where a broken implementation went wrong (`$2x$`): the same text is that of another password.
    #[test]
    fn known_answers_beyond_ascii() {
        let right = "$2y$05$/OK.fbVrR/bpIqNJ5ianF.Sa7shbm4.OzKpvFnX1pQLmQW96oUlCq";
        let broken = "$2y$05$/OK.fbVrR/bpIqNJ5ianF.CE5elHaaO4EbggVDjb8P19RukzXSM3e";
        assert!(verify(b"\xa3", right) && !verify(b"\xa3", broken));
        assert!(verify(b"\xff\xff\xa3", broken));
    }

    #[test]
    fn what_is_hashed_is_2b_of_that_cost_and_salted() {
        let (one, other) = (hash(b"correct horse", 10, [1; 16]), hash(b"correct horse", 10, [2; 16]));
        assert!(one.starts_with("$2b$10$") && one.len() == 60, "{one}");
        assert_ne!(one, other);
        assert!(verify(b"correct horse", &one) && verify(b"correct horse", &other));
    }

    #[test]
    fn all_of_72_bytes_counts_and_the_73rd_is_never_cut_off() {
        let longest = [b'x'; 72];
        let mut last = longest;
        last[71] = b'y';
        let made = hash(&longest, 4, [7; 16]);
        assert!(verify(&longest, &made));
        assert!(!verify(&last, &made));
        let mut over = longest.to_vec();
        over.push(b'x');
        assert!(!verify(&over, &made), "the same 72 bytes, and one more");
        assert!(!verify(&over, &hash(&over, 4, [7; 16])), "has no hash");
    }

    #[test]
    fn a_password_is_not_cut_at_a_zero_byte() {
        let made = hash(b"abc", 4, [7; 16]);
        assert!(!verify(b"abc\0def", &made));
        assert!(!verify(b"abc\0def", &hash(b"abc\0def", 4, [7; 16])), "has no hash");
    }

    #[test]
    fn what_is_no_hash_matches_nothing() {
        let made = hash(b"abc", 4, [7; 16]);
        let x = made.replacen("$2b$", "$2x$", 1);
        let dear = made.replacen("$04$", "$17$", 1);
        let stray = format!("{}/", &made[..59]);
        let umlaut = format!("{}ä", &made[..58]);
        for bad in ["", "abc", "*", "$2b$", &made[..59], &x, &dear, &umlaut] {
            assert_eq!(cost_of(bad), None, "{bad}");
            assert!(!verify(b"abc", bad), "{bad}");
        }
        assert!(stray == made || !verify(b"abc", &stray));
        assert_eq!(cost_of(&made), Some(4));
        assert_eq!(cost_of(&dummy(12)), Some(12));
        assert!(!verify(b"", &dummy(4)) && !verify(b"abc", &dummy(4)));
    }
}
