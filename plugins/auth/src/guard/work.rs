//! Puzzles that take a machine a while and nobody else's help.
//!
//! A puzzle is `base64url(until ‖ difficulty ‖ nonce ‖ mac)`; its solution is `<puzzle>:<number>` such that the SHA-256
//! of that text begins with `difficulty` zero bits. Nothing is kept of a puzzle until it is solved.

use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tidegate_core::{ConfigError, ConfigErrors};

use super::Mac;
use super::marks::Prefix;
use crate::config::service::Challenge;
use crate::id::{Id, Millis, fill_random};
use crate::keys::NoKeys;

/// How long a client has to solve one.
const GOOD_FOR: Duration = Duration::from_secs(300);
/// For which the gateways' key signs.
const PURPOSE: &str = "puzzle";
/// Of the time, the difficulty and the nonce.
const SIGNED: usize = 8 + 1 + 16;
/// Of a puzzle as text.
const TEXT: usize = (SIGNED + 32) * 4 / 3;
/// The most digits of a number.
const DIGITS: usize = 20;

/// Makes puzzles and checks their solutions.
pub(super) struct Puzzles {
    difficulty: u8,
    mac: Mac,
}

impl Puzzles {
    /// Errors are relative to `challenge`.
    pub(super) fn build(config: &Challenge, mac: &Mac) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        if !(8..=28).contains(&config.difficulty) {
            errors.push(ConfigError::at("difficulty", format!("{} is not between 8 and 28", config.difficulty)));
        }
        let services = [
            ("site_key", config.site_key.is_some()),
            ("secret", config.secret.is_some()),
            ("url", config.url.is_some()),
        ];
        for (key, _) in services.into_iter().filter(|(_, given)| *given) {
            let error = ConfigError::at(key, "says nothing for `kind: work`");
            errors.push(error.help("leave it out, or choose turnstile, hcaptcha or recaptcha"));
        }
        let difficulty = u8::try_from(config.difficulty).unwrap_or(u8::MAX);
        errors.into_result(Self { difficulty, mac: mac.clone() })
    }

    /// A new puzzle for this client, and how to solve it. `None` while there are no keys.
    pub(super) fn ask(&self, client: &Prefix, now: Millis) -> Option<Value> {
        let mut puzzle = [0; SIGNED + 32];
        puzzle[..8].copy_from_slice(&now.plus(GOOD_FOR).0.to_be_bytes());
        puzzle[8] = self.difficulty;
        fill_random(&mut puzzle[9..SIGNED]);
        let mac = self.mac(&puzzle[..SIGNED], client).ok()?;
        puzzle[SIGNED..].copy_from_slice(&mac);
        let puzzle = URL_SAFE_NO_PAD.encode(puzzle);
        Some(json!({
            "kind": "work",
            "algorithm": "sha256",
            "puzzle": puzzle,
            "difficulty": self.difficulty,
            "expires_in": GOOD_FOR.as_secs(),
        }))
    }

    /// What stands for the puzzle if this is its solution, and until when it has to be remembered.
    pub(super) fn check(&self, solution: &str, client: &Prefix, now: Millis) -> Result<Option<(Id, Millis)>, NoKeys> {
        let Some(puzzle) = parse(solution) else { return Ok(None) };
        let (signed, mac) = puzzle.split_at(SIGNED);
        let genuine = verify_slices_are_equal(mac, &self.mac(signed, client)?).is_ok();
        let (Some((until, rest)), true) = (signed.split_first_chunk::<8>(), genuine) else { return Ok(None) };
        let until = Millis(u64::from_be_bytes(*until));
        let difficulty = rest.first().copied().unwrap_or(u8::MAX);
        let solved = until > now && zeros(&Sha256::digest(solution)) >= u32::from(difficulty);
        Ok(solved.then(|| (Id::hash(&[b"guard", b"puzzle", &puzzle]), until)))
    }

    /// With the client in it: who solves puzzles for others has to be where they are.
    fn mac(&self, signed: &[u8], client: &Prefix) -> Result<[u8; 32], NoKeys> {
        (self.mac)(PURPOSE, &[signed, client].concat())
    }
}

/// The puzzle of a solution that looks like one.
fn parse(solution: &str) -> Option<Vec<u8>> {
    let (puzzle, number) = solution.split_once(':')?;
    let digits = (1..=DIGITS).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit());
    (digits && puzzle.len() == TEXT).then(|| URL_SAFE_NO_PAD.decode(puzzle).ok()).flatten()
}

/// How many zero bits it begins with.
fn zeros(bytes: &[u8]) -> u32 {
    let whole = bytes.iter().take_while(|byte| **byte == 0).count();
    let rest = bytes.get(whole).map_or(0, |byte| byte.leading_zeros());
    u32::try_from(whole * 8).unwrap_or(u32::MAX) + rest
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const NOW: Millis = Millis(1_767_225_600_000);
    const CLIENT: Prefix = [7; 16];

    fn puzzles() -> Puzzles {
        let mac: Mac = Arc::new(|purpose, data| {
            let mut bytes = [0; 32];
            bytes[..16].copy_from_slice(&Id::hash(&[purpose.as_bytes(), data]).0);
            Ok(bytes)
        });
        Puzzles { difficulty: 8, mac }
    }

    fn asked(puzzles: &Puzzles) -> String {
        let asked = puzzles.ask(&CLIENT, NOW).expect("keys");
        asked["puzzle"].as_str().expect("a text").to_owned()
    }

    fn tried(puzzle: &str, wanted: impl Fn(u32) -> bool) -> String {
        let tries = (0..).map(|number: u64| format!("{puzzle}:{number}"));
        tries.into_iter().find(|solution| wanted(zeros(&Sha256::digest(solution)))).expect("there is always one")
    }

    #[test]
    fn a_solution_is_one_until_it_expires_for_its_client_alone() {
        let puzzles = puzzles();
        let solution = tried(&asked(&puzzles), |zeros| zeros >= 8);
        let check = |client, now| puzzles.check(&solution, client, now).expect("keys").is_some();
        assert!(check(&CLIENT, NOW) && check(&CLIENT, Millis(NOW.0 + 299_999)));
        assert!(!check(&CLIENT, NOW.plus(GOOD_FOR)));
        assert!(!check(&[8; 16], NOW));
    }

    #[test]
    fn too_few_zeros_or_a_puzzle_of_ones_own_are_no_solution() {
        let puzzles = puzzles();
        let puzzle = asked(&puzzles);
        let easier = {
            let mut bytes = URL_SAFE_NO_PAD.decode(&puzzle).expect("base64");
            bytes[8] = 0;
            URL_SAFE_NO_PAD.encode(bytes)
        };
        let short = tried(&puzzle, |zeros| zeros == 7);
        for bad in
            [short, format!("{easier}:1"), puzzle.clone(), format!("{puzzle}:"), format!("{puzzle}:x"), ":1".into()]
        {
            assert_eq!(puzzles.check(&bad, &CLIENT, NOW).expect("keys"), None, "{bad}");
        }
    }

    #[test]
    fn zeros_are_counted_in_bits() {
        for (bytes, count) in [(&[0xff_u8][..], 0), (&[0x01], 7), (&[0, 0x80], 8), (&[0, 0x10], 11), (&[0, 0], 16)] {
            assert_eq!(zeros(bytes), count, "{bytes:?}");
        }
    }
}
