//! Public keys and certificates in PEM (RFC 7468).

use std::io::Cursor;

use tidegate_core::ConfigError;
use x509_parser::certificate::X509Certificate;
use x509_parser::der_parser::oid;
use x509_parser::der_parser::oid::Oid;
use x509_parser::pem::Pem;
use x509_parser::prelude::FromDer;
use x509_parser::public_key::RSAPublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::key::Material;

/// The longest PEM, in bytes.
pub(super) const LONGEST: usize = 64 * 1024;

/// A key as DER, and what it is in.
pub(super) struct PublicPem {
    form: Form,
    der: Vec<u8>,
}

/// What DER there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// RFC 5280 section 4.1.2.7, of keys of any kind.
    Any,
    /// RFC 8017 appendix A.1.1.
    Rsa,
    /// Its key is what counts: whoever configures it vouches for it.
    Certificate,
}

impl PublicPem {
    /// The only block of a text. The error is about the text as a whole.
    pub(super) fn read(text: &[u8]) -> Result<Self, ConfigError> {
        if text.len() > LONGEST {
            return Err(ConfigError::at("", "a key of more than 64 KiB"));
        }
        let mut blocks = Vec::new();
        let mut rest = Cursor::new(text);
        while let Ok((pem, _)) = Pem::read(&mut rest) {
            blocks.push(pem);
        }
        let help =
            "a public key begins with -----BEGIN PUBLIC KEY-----, a certificate with -----BEGIN CERTIFICATE-----";
        let one: Result<[Pem; 1], _> = blocks.try_into();
        let [pem] = one.map_err(|blocks| match blocks.len() {
            0 => ConfigError::at("", "no PEM block can be read in it").help(help),
            _ => ConfigError::at("", "more than one PEM block").help("write each key as an entry of its own"),
        })?;
        let form = match pem.label.as_str() {
            "PUBLIC KEY" => Form::Any,
            "RSA PUBLIC KEY" => Form::Rsa,
            "CERTIFICATE" | "X509 CERTIFICATE" => Form::Certificate,
            label if label.ends_with("PRIVATE KEY") => {
                let error = ConfigError::at("", "a private key: a gateway that checks tokens must not have it");
                return Err(error.help("`openssl pkey -in <file> -pubout` writes its public half"));
            }
            _ => {
                return Err(
                    ConfigError::at("", "a PEM block that is neither a public key nor a certificate").help(help)
                );
            }
        };
        Ok(Self { form, der: pem.contents })
    }

    /// Hands what is in it to `with`.
    pub(super) fn material<T>(&self, with: impl FnOnce(Material<'_>) -> T) -> Result<T, ConfigError> {
        let broken = |what: &str| ConfigError::at("", format!("{what} that can't be read: its DER is broken"));
        match self.form {
            Form::Any => {
                let (rest, info) = SubjectPublicKeyInfo::from_der(&self.der).map_err(|_| broken("a public key"))?;
                if !rest.is_empty() {
                    return Err(broken("a public key"));
                }
                of_info(&info, with)
            }
            Form::Rsa => {
                let (rest, key) = RSAPublicKey::from_der(&self.der).map_err(|_| broken("an RSA key"))?;
                if !rest.is_empty() {
                    return Err(broken("an RSA key"));
                }
                Ok(with(Material::Rsa { n: key.modulus, e: key.exponent }))
            }
            Form::Certificate => {
                let (_, certificate) = X509Certificate::from_der(&self.der).map_err(|_| broken("a certificate"))?;
                of_info(certificate.public_key(), with)
            }
        }
    }
}

const RSA: Oid<'static> = oid!(1.2.840.113549.1.1.1);
const EC: Oid<'static> = oid!(1.2.840.10045.2.1);
const P256: Oid<'static> = oid!(1.2.840.10045.3.1.7);
const P384: Oid<'static> = oid!(1.3.132.0.34);
const P521: Oid<'static> = oid!(1.3.132.0.35);
const ED25519: Oid<'static> = oid!(1.3.101.112);

fn of_info<T>(info: &SubjectPublicKeyInfo<'_>, with: impl FnOnce(Material<'_>) -> T) -> Result<T, ConfigError> {
    let bytes: &[u8] = &info.subject_public_key.data;
    let curve = info.algorithm.parameters.as_ref().and_then(|parameters| parameters.as_oid().ok());
    let algorithm = &info.algorithm.algorithm;
    if *algorithm == RSA {
        let (_, key) =
            RSAPublicKey::from_der(bytes).map_err(|_| ConfigError::at("", "an RSA key that can't be read"))?;
        Ok(with(Material::Rsa { n: key.modulus, e: key.exponent }))
    } else if *algorithm == EC && curve == Some(P256) {
        Ok(with(Material::P256(bytes)))
    } else if *algorithm == EC && curve == Some(P384) {
        Ok(with(Material::P384(bytes)))
    } else if *algorithm == EC && curve == Some(P521) {
        Ok(with(Material::P521(bytes)))
    } else if *algorithm == ED25519 {
        Ok(with(Material::Ed25519(bytes)))
    } else {
        let error = ConfigError::at("", "a key of a kind that can't be used here");
        Err(error.help("RSA of at least 2048 bits, P-256, P-384, P-521 and Ed25519 can"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::algorithm::Algorithms;
    use super::super::key::{KeyError, VerifyKey};
    use super::*;

    const RSA_2048: &str = include_str!("testdata/rsa2048.pem");
    const RSA_2048_PKCS1: &str = include_str!("testdata/rsa2048-pkcs1.pem");
    const RSA_1024: &str = include_str!("testdata/rsa1024.pem");
    const P521: &str = include_str!("testdata/p521.pem");

    fn key(pem: &str) -> Result<Result<VerifyKey, KeyError>, ConfigError> {
        PublicPem::read(pem.as_bytes())?.material(|material| VerifyKey::new(None, material, None))
    }

    fn made(algorithm: &'static rcgen::SignatureAlgorithm) -> rcgen::KeyPair {
        rcgen::KeyPair::generate_for(algorithm).expect("a key")
    }

    #[test]
    fn public_keys_and_certificates_are_read() {
        for (algorithm, fits) in [
            (&rcgen::PKCS_ECDSA_P256_SHA256, Algorithms::P256),
            (&rcgen::PKCS_ECDSA_P384_SHA384, Algorithms::P384),
            (&rcgen::PKCS_ECDSA_P521_SHA512, Algorithms::P521),
            (&rcgen::PKCS_ED25519, Algorithms::ED25519),
        ] {
            let pair = made(algorithm);
            let public = key(&pair.public_key_pem()).expect("PEM").expect("a key");
            assert_eq!(public.algorithms, fits);
            let certificate = rcgen::CertificateParams::new(["a.test".to_owned()]).expect("names").self_signed(&pair);
            let of_certificate = key(&certificate.expect("signed").pem()).expect("PEM").expect("a key");
            assert_eq!(of_certificate.print(), public.print());
        }
        let rsa = key(RSA_2048).expect("PEM").expect("a key");
        assert_eq!(rsa.algorithms, Algorithms::RSA);
        assert_eq!(key(RSA_2048_PKCS1).expect("PEM").expect("a key").print(), rsa.print());
    }

    #[test]
    fn weak_and_unknown_keys_are_refused() {
        assert_eq!(key(RSA_1024).expect("PEM").err(), Some(KeyError::RsaSize(1024)));
        assert_eq!(key(P521).expect("PEM").expect("a key").algorithms, Algorithms::P521);
        let ed448 = "-----BEGIN PUBLIC KEY-----\nMEMwBQYDK2VxAzoAX9dEm1m0Yf0s54fsYWrUaibnxKVhtKkVAHTVBUhMKL1aYzZ0\nlOnTAdKgiA9F0n+TnUg/4yzJvGgA\n-----END PUBLIC KEY-----\n";
        assert!(key(ed448).is_err_and(|error| error.message.contains("can't be used here")));
    }

    #[test]
    fn private_keys_and_what_is_no_key_are_refused_with_a_hint() {
        let pair = made(&rcgen::PKCS_ED25519);
        let error = key(&pair.serialize_pem()).expect_err("a private key");
        assert!(error.message.contains("private") && error.help.is_some_and(|help| help.contains("-pubout")));
        let two = [pair.public_key_pem(), pair.public_key_pem()].concat();
        let cut = pair.public_key_pem().replace("MC", "MD");
        let request = "-----BEGIN CERTIFICATE REQUEST-----\nMAAA\n-----END CERTIFICATE REQUEST-----\n";
        for bad in ["", "ssh-ed25519 AAAA", &two, &cut, request, &"x".repeat(LONGEST + 1)] {
            assert!(key(bad).is_err(), "{}", &bad[..bad.len().min(60)]);
        }
    }
}
