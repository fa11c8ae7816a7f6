//! Names as RFC 4514 writes them.

use x509_parser::der_parser::asn1_rs::ToDer;
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

/// Section 3: the types that have a name of their own.
const TYPES: [(&str, &str); 9] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.6", "C"),
    ("2.5.4.9", "STREET"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("0.9.2342.19200300.100.1.1", "UID"),
];

/// A name, the most specific part first; `None` if a value in it can't be read.
pub(super) fn text(name: &X509Name<'_>) -> Option<String> {
    let mut text = String::new();
    let parts: Vec<_> = name.iter_rdn().collect();
    for (nth, part) in parts.into_iter().rev().enumerate() {
        for (mth, attribute) in part.iter().enumerate() {
            text.push_str(match (nth, mth) {
                (0, 0) => "",
                (_, 0) => ",",
                _ => "+",
            });
            put(attribute, &mut text)?;
        }
    }
    Some(text)
}

fn put(attribute: &AttributeTypeAndValue<'_>, text: &mut String) -> Option<()> {
    let oid = attribute.attr_type().to_id_string();
    match TYPES.iter().find(|(known, _)| *known == oid) {
        Some((_, name)) => {
            text.push_str(name);
            text.push('=');
            put_value(attribute.as_str().ok()?, text);
        }
        // Section 2.4: the value as it is encoded.
        None => {
            text.push_str(&oid);
            text.push_str("=#");
            let value = attribute.attr_value().to_der_vec().ok()?;
            value.iter().for_each(|byte| text.push_str(&format!("{byte:02x}")));
        }
    }
    Some(())
}

/// Section 2.4.
fn put_value(value: &str, text: &mut String) {
    let last = value.chars().count().saturating_sub(1);
    for (place, letter) in value.chars().enumerate() {
        let at_an_end = letter == ' ' && (place == 0 || place == last) || letter == '#' && place == 0;
        match letter {
            '\0' => text.push_str("\\00"),
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => text.extend(['\\', letter]),
            _ if at_an_end => text.extend(['\\', letter]),
            _ => text.push(letter),
        }
    }
}
