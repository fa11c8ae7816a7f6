//! The examples of the standards: signatures that others made.

use serde_json::{Value, json};

use super::form::{Parts, Space};
use super::jwk::Origin;
use super::keys::Keys;
use super::verify::tests::{checks, reason};
use crate::config::Algorithm;
use crate::verdict::Reason;

/// Claims of RFC 7515 appendix A and RFC 7519 section 3.1.
const JOE: &str = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
/// The payload of RFC 7520 section 4.
const FRODO: &str = "\
    SXTigJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250byB0aGUg\
    cm9hZCwgYW5kIGlmIHlvdSBkb24ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hlcmUgeW91IG1pZ2h0\
    IGJlIHN3ZXB0IG9mZiB0by4";
/// The kids of RFC 7520.
const BILBO: &str = "bilbo.baggins@hobbiton.example";
const BILBOS_N: &str = "\
    n4EPtAOCc9AlkeQHPzHStgAbgs7bTZLwUBZdR8_KuKPEHLd4rHVTeT-O-\
    XV2jRojdNhxJWTDvNd7nqQ0VEiZQHz_AJmSCpMaJMRBSFKrKb2wqVwGU_NsYOYL-\
    QtiWN2lbzcEe6XC0dApr5ydQLrHqkHHig3RBordaZ6Aj-oBHqFEHYpPe7Tpe-OfVfHd1E6cS6M1FZcD1NNLYD5lFHpPI9bTwJlsd\
    e3uhGqC0ZCuEHg8lhzwOHrtIQbS0FVbb9k3-\
    tVTU4fg_3L_vniUFAKwuCLqKnS2BYwdq_mzSnbLY7h_qixoR7jig3__kRhuaxwUkRz5iaiQkqgc5gHdrNP5zw";
const A2_N: &str = "\
    ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-\
    yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-\
    bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-\
    UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-\
    DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
const A2: &str = "\
    cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-\
    0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--\
    f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqt\
    FZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77\
    Rw";
const SECTION_4_1: &str = "\
    MRjdkly7_-\
    oTPTS3AXP41iQIGKa80A0ZmTuV5MEaHoxnW2e5CZ5NlKtainoFmKZopdHM1O2U4mwzJdQx996ivp83xuglII7PNDi84wnB-\
    BDkoBwA78185hX-Es4JIwmDLJK3lfWRa-XtL0RnltuYv746iYTh_qHRD68BNt1uSNCrUCTJDt5aAE6x8wW1Kt9eRo4QPocSadnHX\
    Fxnt8Is9UzpERV0ePPQdLuW3IS_de3xyIrDaLGdjluPxUAhb6L2aXic1U12podGU0KLUQSE_oI-\
    ZnmKJ3F4uOZDnd6QZWJushZ41Axf_fcIe8u9ipH84ogoree7vjbU5y18kDquDg";
const SECTION_4_2: &str = "\
    cu22eBqkYDKgIlTpzDXGvaFfz6WGoz7fUDcfT0kkOy42miAh2qyBzk1xEsnk2IpN6-\
    tPid6VrklHkqsGqDqHCdP6O8TTB5dDDItllVo6_1OLPpcbUrhiUSMxbbXUvdvWXzg-UD8biiReQFlfz28zGWVsdiNAUf8ZnyPEgV\
    Fn442ZdNqiVJRmBqrYRXe8P_ijQ7p8Vdz0TTrxUeT3lm8d9shnr2lfJT8ImUjvAA2Xez2Mlp8cBE5awDzT0qI0n6uiP1aCN_2_jL\
    AeQTlqRHtfa64QQSUmFAAjVKPbByi7xho0uTOcbH510a6GYmJUAfmWjwZ6oD4ifKo8DYM-X72Eaw";
const SECTION_4_3: &str = "\
    AE_R_YZCChjn4791jSQCrdPZCNYqHXCTZH0-\
    JZGYNlaAjP2kqaluUIIUnC9qvbu9Plon7KRTzoNEuT4Va2cmL1eJAQy3mtPBu_u_sDDyYjnAMDxXPn7XrT0lw-\
    kvAD890jl8e2puQens_IEKBpHABlsbEPX6sFY8OcGDqoRuBomu9xQ2";

/// The second of RFC 7515 appendix A.
fn a2_key() -> Value {
    json!({"kty": "RSA", "n": A2_N, "e": "AQAB"})
}

/// The only key of a set.
fn key(jwk: &Value) -> Keys {
    let set = json!({"keys": [jwk]}).to_string();
    let (keys, left_out) = Keys::of_set(set.as_bytes(), Origin::File).expect("a set");
    assert_eq!(left_out, []);
    keys
}

/// Whether the signature of a token is good. Not all of the standards' payloads are claims.
fn is_signed(token: &str, jwk: &Value) -> bool {
    let parts = Parts::split(token).expect("three parts");
    let mut space = Space::new();
    let head = parts.head(&mut space).expect("a header");
    let algorithm = Algorithm::parse(&head.alg).expect("an algorithm");
    let keys = key(jwk);
    let candidates = keys.candidates(head.kid.as_deref(), algorithm).expect("its key");
    candidates.iter().any(|key| key.verify(algorithm, parts.signed, parts.signature) == Some(true))
}

/// The token with its signature, and not with another.
#[track_caller]
fn assert_signed(signed: &str, signature: &str, jwk: &Value) {
    assert!(is_signed(&format!("{signed}.{signature}"), jwk), "{signed}");
    let (first, rest) = signature.split_at(1);
    let other = if first == "A" { "B" } else { "A" };
    assert!(!is_signed(&format!("{signed}.{other}{rest}"), jwk), "{signed}");
}

#[test]
fn rfc_7515_appendix_a_1_hs256() {
    let k = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
    let jwk = json!({"kty": "oct", "k": k, "alg": "HS256"});
    let signed = format!("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.{JOE}");
    assert_signed(&signed, "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", &jwk);
}

#[test]
fn rfc_7515_appendix_a_2_rs256() {
    assert_signed(&format!("eyJhbGciOiJSUzI1NiJ9.{JOE}"), A2, &a2_key());
}

#[test]
fn rfc_7515_appendix_a_3_es256() {
    let (x, y) = ("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0");
    let jwk = json!({"kty": "EC", "crv": "P-256", "x": x, "y": y});
    let signature = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    assert_signed(&format!("eyJhbGciOiJFUzI1NiJ9.{JOE}"), signature, &jwk);
}

#[test]
fn rfc_7519_section_6_1_an_unsecured_token_is_refused() {
    let token = format!("eyJhbGciOiJub25lIn0.{JOE}.");
    assert_eq!(reason(&token, &key(&a2_key()), &checks()), Some(Reason::Algorithm));
}

#[test]
fn rfc_7515_appendix_a_2_as_a_whole_has_expired_long_ago() {
    let token = format!("eyJhbGciOiJSUzI1NiJ9.{JOE}.{A2}");
    assert_eq!(reason(&token, &key(&a2_key()), &checks()), Some(Reason::Expired));
}

#[test]
fn rfc_7520_section_4_rs256_ps384_and_hs256() {
    let bilbo = json!({"kty": "RSA", "kid": BILBO, "use": "sig", "n": BILBOS_N, "e": "AQAB"});
    let signed = format!("eyJhbGciOiJSUzI1NiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9.{FRODO}");
    assert_signed(&signed, SECTION_4_1, &bilbo);
    let signed = format!("eyJhbGciOiJQUzM4NCIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9.{FRODO}");
    assert_signed(&signed, SECTION_4_2, &bilbo);

    let kid = "018c0ae5-4d9b-471b-bfd6-eef314bc7037";
    let k = "hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg";
    let secret = json!({"kty": "oct", "kid": kid, "use": "sig", "alg": "HS256", "k": k});
    let header = "eyJhbGciOiJIUzI1NiIsImtpZCI6IjAxOGMwYWU1LTRkOWItNDcxYi1iZmQ2LWVlZjMxNGJjNzAzNyJ9";
    assert_signed(&format!("{header}.{FRODO}"), "s0h6KThzkfBBBkLspW1h84VsJZFTsPPqMDA7g1Md7p0", &secret);
}

#[test]
fn rfc_7515_appendix_a_4_es512() {
    let x = "AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk";
    let y = "ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2";
    let jwk = json!({"kty": "EC", "crv": "P-521", "x": x, "y": y});
    let signature = "AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn";
    assert_signed("eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA", signature, &jwk);
}

#[test]
fn rfc_7520_section_4_3_es512() {
    let x = "AHKZLLOsCOzz5cY97ewNUajB957y-C-U88c3v13nmGZx6sYl_oJXu9A5RkTKqjqvjyekWF-7ytDyRXYgCF5cj0Kt";
    let y = "AdymlHvOiLxXkEhayXQnNCvDX4h9htZaCJN34kfmC6pV5OhQHiraVySsUdaQkAgDPrwQrJmbnX9cwlGfP-HqHZR1";
    let jwk = json!({"kty": "EC", "kid": BILBO, "use": "sig", "crv": "P-521", "x": x, "y": y});
    let signed = format!("eyJhbGciOiJFUzUxMiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9.{FRODO}");
    assert_signed(&signed, SECTION_4_3, &jwk);
    // With the algorithm of another curve the key is none.
    assert_eq!(
        reason(&format!("eyJhbGciOiJFUzM4NCJ9.{JOE}.{SECTION_4_3}"), &key(&jwk), &checks()),
        Some(Reason::Algorithm)
    );
}

#[test]
fn rfc_8037_appendix_a_4_ed25519() {
    let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
    let signed = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
    let signature = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    assert_signed(signed, signature, &jwk);
}
