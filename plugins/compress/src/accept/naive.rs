//! The same choice, made slowly and simply: what the parser is held against. Shared with the fuzz target.

/// The coding chosen of those offered, by `Accept-Encoding: <value>`.
pub(super) fn choose(value: &str, offered: &[&'static str]) -> Option<&'static str> {
    let list = read(value).unwrap_or_default();
    let said = |name: &str| {
        let weights = list.iter().filter(|(coding, _)| coding == name).map(|(_, weight)| *weight);
        weights.min()
    };
    let weight = |name: &str| said(name).or(said("*")).unwrap_or(0);
    // The last of the largest, so the other way round: the first.
    let best = offered.iter().rev().copied().filter(|name| weight(name) > 0).max_by_key(|name| weight(name))?;
    match said("identity") {
        Some(identity) if identity > weight(best) => None,
        _ => Some(best),
    }
}

/// Codings in lower case with their weights in thousandths; `None` when something is wrong anywhere.
fn read(value: &str) -> Option<Vec<(String, u32)>> {
    let blank = |c: char| c == ' ' || c == '\t';
    let mut list = Vec::new();
    for element in value.split(',') {
        let element = element.trim_matches(blank);
        if element.is_empty() {
            continue;
        }
        let parts: Vec<&str> = element.split(';').map(|part| part.trim_matches(blank)).collect();
        let weight = match parts[..] {
            [_] => 1000,
            [_, parameter] => weight(&parameter.to_lowercase())?,
            _ => return None,
        };
        let name = parts[0].to_lowercase();
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)) {
            return None;
        }
        list.push((if name == "x-gzip" { "gzip".to_owned() } else { name }, weight));
    }
    Some(list)
}

fn weight(parameter: &str) -> Option<u32> {
    let number = parameter.strip_prefix("q=")?;
    let (whole, digits) = number.split_once('.').unwrap_or((number, ""));
    if !["0", "1"].contains(&whole) || digits.len() > 3 || !digits.chars().all(|c| c.is_ascii_digit()) {
        return None;
    }
    let thousandths = format!("{whole}{digits:0<3}").parse().ok()?;
    (thousandths <= 1000).then_some(thousandths)
}
