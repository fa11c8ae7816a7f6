//! One key, and what it may be used with.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, ED25519, ParsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::crypto::aws_lc;

use super::algorithm::Algorithms;
use crate::config::Algorithm;
use crate::id::Id;

/// A key that signatures are checked with. It says itself with which algorithms: a token only chooses among them
/// (RFC 8725 section 3.1), so that a public key is never taken for a shared secret.
pub(crate) struct VerifyKey {
    pub(super) id: Option<Box<str>>,
    pub(super) algorithms: Algorithms,
    key: Key,
    print: Id,
}

/// A key that is ready.
enum Key {
    Library(DecodingKey),
    /// The library has no ES512.
    P521(ParsedPublicKey),
}

/// What a key is made of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Material<'a> {
    /// A shared secret.
    Secret(&'a [u8]),
    /// The modulus and the exponent, big-endian.
    Rsa {
        n: &'a [u8],
        e: &'a [u8],
    },
    /// A point in its uncompressed form (SEC 1 section 2.3.3): `04`, x, y.
    P256(&'a [u8]),
    P384(&'a [u8]),
    P521(&'a [u8]),
    Ed25519(&'a [u8]),
}

/// Why a key can't be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum KeyError {
    #[error("an RSA key must have 2048 to 8192 bits, this one has {0}")]
    RsaSize(usize),
    #[error("the modulus of an RSA key is odd")]
    RsaModulus,
    #[error("the exponent of an RSA key must be odd, and from 65537 to 33 bits")]
    RsaExponent,
    #[error("it is no point on {0}")]
    Point(&'static str),
    #[error("a shared secret for {algorithm} must have at least {least} bytes, this one has {length}")]
    ShortSecret { algorithm: &'static str, least: usize, length: usize },
    #[error("it can't be used with {algorithm}: it is {kind}")]
    Misfit { algorithm: &'static str, kind: &'static str },
    #[error("a shared secret must say what it is used with")]
    NoAlgorithm,
}

impl Material<'_> {
    /// Everything that it can be used with.
    pub(super) fn fitting(&self) -> Algorithms {
        match self {
            Material::Secret(_) => Algorithms::HMAC,
            Material::Rsa { .. } => Algorithms::RSA,
            Material::P256(_) => Algorithms::P256,
            Material::P384(_) => Algorithms::P384,
            Material::P521(_) => Algorithms::P521,
            Material::Ed25519(_) => Algorithms::ED25519,
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Material::Secret(_) => "a shared secret",
            Material::Rsa { .. } => "an RSA key",
            Material::P256(_) => "a P-256 key",
            Material::P384(_) => "a P-384 key",
            Material::P521(_) => "a P-521 key",
            Material::Ed25519(_) => "an Ed25519 key",
        }
    }

    /// Refuses what can't be a key, or is too weak to be one.
    fn check(&self) -> Result<(), KeyError> {
        let point = |good: bool, curve| if good { Ok(()) } else { Err(KeyError::Point(curve)) };
        let uncompressed = |point: &[u8]| point.first() == Some(&4);
        match *self {
            Material::Secret(_) => Ok(()),
            Material::Rsa { n, e } => check_rsa(n, e),
            Material::P256(at) => {
                let good =
                    at.len() == 65 && uncompressed(at) && ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, at).is_ok();
                point(good, "P-256")
            }
            Material::P384(at) => {
                let good =
                    at.len() == 97 && uncompressed(at) && ParsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, at).is_ok();
                point(good, "P-384")
            }
            Material::P521(at) => point(parse_p521(at).is_some(), "P-521"),
            Material::Ed25519(at) => point(at.len() == 32 && ParsedPublicKey::new(&ED25519, at).is_ok(), "Ed25519"),
        }
    }

    /// Ready to be used; `None` for what [`check`](Self::check) refuses.
    fn ready(&self) -> Option<Key> {
        Some(Key::Library(match *self {
            Material::Secret(secret) => DecodingKey::from_secret(secret),
            Material::Rsa { n, e } => DecodingKey::from_rsa_raw_components(trim(n), trim(e)),
            Material::P256(at) | Material::P384(at) => DecodingKey::from_ec_der(at),
            Material::P521(at) => return parse_p521(at).map(Key::P521),
            Material::Ed25519(at) => DecodingKey::from_ed_der(at),
        }))
    }

    fn print(&self, id: Option<&str>, algorithms: Algorithms) -> Id {
        let (one, two): (&[u8], &[u8]) = match *self {
            Material::Rsa { n, e } => (trim(n), trim(e)),
            Material::Secret(bytes)
            | Material::P256(bytes)
            | Material::P384(bytes)
            | Material::P521(bytes)
            | Material::Ed25519(bytes) => (bytes, b""),
        };
        let named = [u8::from(id.is_some())];
        let parts =
            [self.kind().as_bytes(), one, two, &named, id.unwrap_or("").as_bytes(), &algorithms.bits().to_be_bytes()];
        Id::hash(&parts)
    }
}

/// A point in its uncompressed form.
fn parse_p521(at: &[u8]) -> Option<ParsedPublicKey> {
    let whole = at.len() == 133 && at.first() == Some(&4);
    whole.then(|| ParsedPublicKey::new(&ECDSA_P521_SHA512_FIXED, at).ok())?
}

/// Exponents below 65537 are those of broken padding (FIPS 186-5 section 5.1), and the library takes none over 33 bits.
fn check_rsa(n: &[u8], e: &[u8]) -> Result<(), KeyError> {
    let (n, e) = (trim(n), trim(e));
    let bits = n.first().map_or(0, |first| n.len() * 8 - first.leading_zeros() as usize);
    if !(2048..=8192).contains(&bits) {
        return Err(KeyError::RsaSize(bits));
    }
    if n.last().is_none_or(|last| last % 2 == 0) {
        return Err(KeyError::RsaModulus);
    }
    let exponent = match e.len() {
        1..=5 => e.iter().fold(0_u64, |all, byte| all << 8 | u64::from(*byte)),
        _ => 0,
    };
    let good = exponent % 2 == 1 && (65537..1 << 33).contains(&exponent);
    if good { Ok(()) } else { Err(KeyError::RsaExponent) }
}

/// Without leading zeros: DER and some issuers write them.
fn trim(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

impl VerifyKey {
    /// `algorithms`: what it may be used with; `None` for everything that fits it.
    pub(super) fn new(
        id: Option<&str>,
        material: Material<'_>,
        algorithms: Option<Algorithms>,
    ) -> Result<Self, KeyError> {
        material.check()?;
        let fitting = material.fitting();
        let algorithms = match (algorithms, material) {
            (Some(chosen), _) => chosen,
            (None, Material::Secret(_)) => return Err(KeyError::NoAlgorithm),
            (None, _) => fitting,
        };
        if let Some(other) = algorithms.without(fitting).iter().next() {
            return Err(KeyError::Misfit { algorithm: other.as_str(), kind: material.kind() });
        }
        if let Material::Secret(secret) = material {
            long_enough(secret, algorithms)?;
        }
        // Another crate of the program may have turned on the library's other backend; then it wants to be told which.
        let _ = aws_lc::DEFAULT_PROVIDER.install_default();
        let print = material.print(id, algorithms);
        let key = material.ready().ok_or(KeyError::Point(material.kind()))?;
        Ok(Self { id: id.map(Box::from), algorithms, key, print })
    }

    /// Whether `signature` is this key's over `signed`; `None` if it is no base64url.
    pub(super) fn verify(&self, algorithm: Algorithm, signed: &str, signature: &str) -> Option<bool> {
        match &self.key {
            Key::Library(key) => {
                let algorithm = algorithm.of_library()?;
                jsonwebtoken::crypto::verify(signature, signed.as_bytes(), key, algorithm).ok()
            }
            Key::P521(key) => {
                let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
                Some(algorithm == Algorithm::ES512 && key.verify_sig(signed.as_bytes(), &signature).is_ok())
            }
        }
    }

    /// Names the key with everything that it may be used for; another key has another.
    pub(super) fn print(&self) -> Id {
        self.print
    }
}

fn long_enough(secret: &[u8], algorithms: Algorithms) -> Result<(), KeyError> {
    for algorithm in algorithms.iter() {
        let least = algorithm.secret_length().unwrap_or(0);
        if secret.len() < least {
            return Err(KeyError::ShortSecret { algorithm: algorithm.as_str(), least, length: secret.len() });
        }
    }
    Ok(())
}

impl std::fmt::Debug for VerifyKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VerifyKey").field("id", &self.id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rsa(bits: usize, e: &[u8]) -> Result<VerifyKey, KeyError> {
        let mut n = vec![0xff; bits.div_ceil(8)];
        if !bits.is_multiple_of(8) {
            n[0] >>= 8 - bits % 8;
        }
        n.insert(0, 0);
        VerifyKey::new(None, Material::Rsa { n: &n, e }, None)
    }

    #[test]
    fn rsa_keys_that_are_weak_or_odd_are_refused() {
        const F4: &[u8] = &[1, 0, 1];
        assert!(rsa(2048, F4).is_ok());
        assert!(rsa(2048, &[0, 0, 1, 0, 1]).is_ok());
        for bits in [0, 512, 1024, 2040, 2047, 8193, 16384] {
            assert_eq!(rsa(bits, F4).err(), Some(KeyError::RsaSize(bits)));
        }
        for e in [&[][..], &[0], &[1], &[3], &[17], &[1, 0, 0], &[1, 0, 2], &[2, 0, 0, 0, 1], &[1; 6]] {
            assert_eq!(rsa(2048, e).err(), Some(KeyError::RsaExponent), "{e:?}");
        }
        let even = [&[0xff; 255][..], &[0xfe]].concat();
        let key = VerifyKey::new(None, Material::Rsa { n: &even, e: F4 }, None);
        assert_eq!(key.err(), Some(KeyError::RsaModulus));
    }

    #[test]
    fn a_point_that_is_on_no_curve_is_refused() {
        let mut at = [1; 65];
        at[0] = 4;
        assert_eq!(VerifyKey::new(None, Material::P256(&at), None).err(), Some(KeyError::Point("P-256")));
        assert_eq!(VerifyKey::new(None, Material::P256(&[4]), None).err(), Some(KeyError::Point("P-256")));
        assert_eq!(VerifyKey::new(None, Material::P384(&at), None).err(), Some(KeyError::Point("P-384")));
        let mut at = [1; 133];
        at[0] = 4;
        assert_eq!(VerifyKey::new(None, Material::P521(&at), None).err(), Some(KeyError::Point("P-521")));
        assert_eq!(VerifyKey::new(None, Material::Ed25519(&[1; 31]), None).err(), Some(KeyError::Point("Ed25519")));
    }

    #[test]
    fn a_secret_is_as_long_as_its_hash_and_says_what_it_is_for() {
        let key = |length: usize, algorithm| {
            VerifyKey::new(None, Material::Secret(&vec![7; length]), Some([algorithm].into_iter().collect())).err()
        };
        for (algorithm, least) in [(Algorithm::HS256, 32), (Algorithm::HS384, 48), (Algorithm::HS512, 64)] {
            assert_eq!(key(least, algorithm), None);
            let short = KeyError::ShortSecret { algorithm: algorithm.as_str(), least, length: least - 1 };
            assert_eq!(key(least - 1, algorithm), Some(short));
        }
        assert_eq!(VerifyKey::new(None, Material::Secret(&[7; 64]), None).err(), Some(KeyError::NoAlgorithm));
        let misfit = KeyError::Misfit { algorithm: "RS256", kind: "a shared secret" };
        assert_eq!(key(64, Algorithm::RS256), Some(misfit));
    }

    #[test]
    fn a_public_key_is_never_taken_for_a_secret() {
        let n = [0xff; 256];
        let all = Material::Rsa { n: &n, e: &[1, 0, 1] };
        let key = VerifyKey::new(None, all, Some(Algorithms::ALL)).err();
        assert_eq!(key, Some(KeyError::Misfit { algorithm: "HS256", kind: "an RSA key" }));
        let key = VerifyKey::new(None, all, None).expect("a key");
        assert!(key.algorithms.and(Algorithms::HMAC).is_empty());
        assert_eq!(key.verify(Algorithm::HS256, "a.b", "c2ln"), None);
    }

    #[test]
    fn what_a_key_is_made_of_is_not_printed() {
        let secret = b"this-must-not-be-printed-anywhere";
        let key = VerifyKey::new(Some("a"), Material::Secret(secret), Some([Algorithm::HS256].into_iter().collect()));
        let text = format!("{:?}", key.expect("a key"));
        assert!(text.contains("\"a\"") && !text.contains("printed") && !text.contains("116"), "{text}");
    }
}
