//! What serde calls things, in the words of someone who writes YAML.

use serde::de::Unexpected;

/// What a visitor expects, from what it says it expects.
pub(super) fn expected(visitor: &str) -> String {
    let number = |range: &str| format!("a whole number {range}");
    match visitor {
        "u8" => number("from 0 to 255"),
        "u16" => number("from 0 to 65535"),
        "u32" => number("from 0 to 4294967295"),
        "u64" | "u128" | "usize" => number("from 0 up"),
        "i8" => number("from -128 to 127"),
        "i16" => number("from -32768 to 32767"),
        "i32" => number("from -2147483648 to 2147483647"),
        "i64" | "i128" | "isize" => "a whole number".into(),
        "f32" | "f64" => "a number".into(),
        "a boolean" => "true or false".into(),
        "a sequence" | "a list" => "a list".into(),
        "a map" => "a map".into(),
        "unit" => "nothing".into(),
        other if other.starts_with("a nonzero ") => number("other than 0"),
        other if other.starts_with("struct ") || other.starts_with("struct variant ") => "a map".into(),
        other if other.starts_with("tuple ") || other.starts_with("a tuple ") => "a list".into(),
        other if other.starts_with("an array ") => other.replacen("an array of length", "a list of length", 1),
        other => other.to_owned(),
    }
}

/// What was found instead; `None` if nothing more than its kind may be said.
pub(super) struct Found {
    pub(super) kind: &'static str,
    pub(super) text: Option<String>,
}

/// Longer texts are cut: an error is read on a terminal.
const SHOWN: usize = 60;

pub(super) fn found(unexpected: &Unexpected<'_>) -> Found {
    let just = |kind| Found { kind, text: None };
    let with = |kind, text| Found { kind, text: Some(text) };
    match unexpected {
        Unexpected::Bool(b) => with("the value", b.to_string()),
        Unexpected::Unsigned(n) => with("the number", n.to_string()),
        Unexpected::Signed(n) => with("the number", n.to_string()),
        Unexpected::Float(n) => with("the number", format!("{n:?}")),
        Unexpected::Char(c) => with("the string", format!("{c:?}")),
        Unexpected::Str(text) => with("the string", format!("{:?}", cut(text))),
        Unexpected::Unit | Unexpected::Option => just("nothing"),
        Unexpected::Seq => just("a list"),
        Unexpected::Map => just("a map"),
        Unexpected::UnitVariant => just("only a name"),
        _ => just("something else"),
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The valid name that was probably meant by `name`.
pub(in crate::config) fn nearest<'a>(name: &str, valid: &[&'a str]) -> Option<&'a str> {
    let close = |candidate: &&'a str| {
        let similarity = strsim::jaro_winkler(&name.to_lowercase(), &candidate.to_lowercase());
        let edits = strsim::damerau_levenshtein(name, candidate);
        (similarity > 0.8 && edits <= 1 + name.chars().count() / 3).then_some((similarity, *candidate))
    };
    let best = valid.iter().filter_map(close).max_by(|(a, _), (b, _)| a.total_cmp(b));
    best.map(|(_, candidate)| candidate)
}

/// `a, b, c`, cut where it would be too long to read.
pub(in crate::config) fn list(names: &[&str]) -> String {
    const MOST: usize = 40;
    let shown = names.iter().take(MOST).copied().collect::<Vec<_>>().join(", ");
    if names.len() > MOST { format!("{shown}, …") } else { shown }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_pen_is_recognised_and_a_different_word_is_not() {
        let valid = ["ratelimit", "auth", "cache", "headers", "max_size"];
        assert_eq!(nearest("ratelimt", &valid), Some("ratelimit"));
        assert_eq!(nearest("Auth", &valid), Some("auth"));
        assert_eq!(nearest("header", &valid), Some("headers"));
        assert_eq!(nearest("maxSize", &valid), Some("max_size"));
        assert_eq!(nearest("compress", &valid), None);
        assert_eq!(nearest("", &valid), None);
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let found = found(&Unexpected::Str(&"ü".repeat(100)));
        assert_eq!(found.text.unwrap().chars().count(), SHOWN + 3);
    }
}
