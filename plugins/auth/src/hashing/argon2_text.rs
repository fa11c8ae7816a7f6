//! Argon2id (RFC 9106) in its usual text: `$argon2id$v=19$m=19456,t=2,p=1$`, salt and hash in base64 without padding.

use argon2::{Algorithm, Argon2, Block, Params, Version};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;

use crate::id::fill_random;

/// What one hash costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Effort {
    /// Memory, in KiB.
    pub(crate) memory: u32,
    pub(crate) passes: u32,
    pub(crate) lanes: u32,
}

/// The most memory of a hash that passwords are compared with, in KiB. One with more would take it from everybody: each
/// wrong password costs what the dearest hash does.
const MOST_MEMORY: u32 = 256 * 1024;
const MOST_PASSES: u32 = 16;
const MOST_LANES: u32 = 16;
/// Bytes of salt and hash that are made (RFC 9106 section 4).
const SALT: usize = 16;
const LENGTH: usize = 32;

impl Effort {
    /// Whether such hashes are made and compared with.
    pub(crate) fn is_bearable(&self) -> bool {
        (1..=MOST_LANES).contains(&self.lanes)
            && (1..=MOST_PASSES).contains(&self.passes)
            && (8 * self.lanes..=MOST_MEMORY).contains(&self.memory)
    }

    /// What its hash costs, in blocks of memory that are filled.
    pub(super) fn blocks(&self) -> u64 {
        u64::from(self.memory) * u64::from(self.passes)
    }
}

/// A hash that was read.
struct Parts {
    effort: Effort,
    salt: Vec<u8>,
    hash: Vec<u8>,
}

/// What a hash was made with; `None` if it is none that passwords are compared with here.
pub(super) fn effort_of(hash: &str) -> Option<Effort> {
    parts(hash).map(|parts| parts.effort)
}

fn parts(hash: &str) -> Option<Parts> {
    // Version 1.3 alone: what was before has known weaknesses.
    let mut fields = hash.strip_prefix("$argon2id$v=19$")?.split('$');
    let (costs, salt, made, None) = (fields.next()?, fields.next()?, fields.next()?, fields.next()) else {
        return None;
    };
    let effort = effort(costs)?;
    let (salt, made) = (BASE64.decode(salt).ok()?, BASE64.decode(made).ok()?);
    let whole = (8..=64).contains(&salt.len()) && (16..=64).contains(&made.len());
    (whole && effort.is_bearable()).then_some(Parts { effort, salt, hash: made })
}

fn effort(costs: &str) -> Option<Effort> {
    let mut costs = costs.split(',');
    let mut next = |name: &str| -> Option<u32> {
        let digits = costs.next()?.strip_prefix(name)?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
    };
    let effort = Effort { memory: next("m=")?, passes: next("t=")?, lanes: next("p=")? };
    costs.next().is_none().then_some(effort)
}

pub(super) fn matches(password: &[u8], hash: &str) -> bool {
    let Some(parts) = parts(hash) else { return false };
    let mut made = vec![0; parts.hash.len()];
    fill(password, &parts.salt, parts.effort, &mut made) && verify_slices_are_equal(&made, &parts.hash).is_ok()
}

/// The hash; one that nothing matches where there is no memory for it.
pub(super) fn hash(password: &[u8], effort: Effort, salt: [u8; SALT]) -> String {
    let mut made = [0; LENGTH];
    match fill(password, &salt, effort, &mut made) {
        true => text(effort, &salt, &made),
        false => dummy(effort),
    }
}

/// A hash that no password matches.
pub(super) fn dummy(effort: Effort) -> String {
    let (mut salt, mut made) = ([0; SALT], [0; LENGTH]);
    fill_random(&mut salt);
    fill_random(&mut made);
    text(effort, &salt, &made)
}

/// Takes the time of one hash.
pub(super) fn spend(password: &[u8], effort: Effort) {
    let mut made = [0; LENGTH];
    std::hint::black_box(fill(password, &[0; SALT], effort, &mut made));
    std::hint::black_box(made);
}

fn text(effort: Effort, salt: &[u8], made: &[u8]) -> String {
    let Effort { memory, passes, lanes } = effort;
    let (salt, made) = (BASE64.encode(salt), BASE64.encode(made));
    format!("$argon2id$v=19$m={memory},t={passes},p={lanes}${salt}${made}")
}

/// Whether it could be made.
fn fill(password: &[u8], salt: &[u8], effort: Effort, out: &mut [u8]) -> bool {
    let Effort { memory, passes, lanes } = effort;
    let Ok(params) = Params::new(memory, passes, lanes, Some(out.len())) else { return false };
    let mut blocks = Vec::new();
    // Where memory is short, a login fails, and nothing else.
    if blocks.try_reserve_exact(params.block_count()).is_err() {
        return false;
    }
    blocks.resize(params.block_count(), Block::default());
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon.hash_password_into_with_memory(password, salt, out, &mut blocks).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Effort = Effort { memory: 64, passes: 2, lanes: 1 };

    /// Of the reference implementation's own tests (`test.c` of phc-winner-argon2).
    #[test]
    fn known_answers_of_the_reference_implementation() {
        for (password, hash) in [
            ("password", "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"),
            ("password", "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc"),
            (
                "differentpassword",
                "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$C4TWUs9rDEvq7w3+J4umqA32aWKB1+DSiRuBfYxFj94",
            ),
        ] {
            assert!(matches(password.as_bytes(), hash), "{hash}");
            assert!(!matches(b"another", hash), "{hash}");
        }
    }

    #[test]
    fn what_is_made_is_salted_and_says_what_it_cost() {
        let (one, other) = (hash(b"correct horse", SMALL, [1; SALT]), hash(b"correct horse", SMALL, [2; SALT]));
        assert!(one.starts_with("$argon2id$v=19$m=64,t=2,p=1$") && one != other, "{one}");
        assert!(matches(b"correct horse", &one) && matches(b"correct horse", &other));
        assert!(!matches(b"correct horsf", &one) && !matches(b"", &dummy(SMALL)));
        assert_eq!((effort_of(&one), effort_of(&dummy(SMALL))), (Some(SMALL), Some(SMALL)));
    }

    #[test]
    fn what_is_no_hash_of_this_kind_or_costs_too_much_matches_nothing() {
        let made = hash(b"abc", SMALL, [7; SALT]);
        for bad in [
            "".to_owned(),
            made.replace("argon2id", "argon2i"),
            made.replace("v=19", "v=16"),
            made.replace("m=64,", "m=64,m=64,"),
            made.replace("m=64", "m=+64"),
            made.replace("m=64", "m=4194304"),
            made.replace("t=2", "t=0"),
            made.replace("p=1", "p=17"),
            format!("{made}$"),
            made[..made.len() - 30].to_owned(),
            "$argon2id$v=19$m=64,t=2,p=1$".to_owned(),
        ] {
            assert_eq!(effort_of(&bad), None, "{bad}");
            assert!(!matches(b"abc", &bad), "{bad}");
        }
    }
}
