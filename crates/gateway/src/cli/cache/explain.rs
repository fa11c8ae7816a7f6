//! What the cache did with a URL, for people.

use serde_json::Value;

/// The answer of `/cache/explain`, in lines.
pub(super) fn told(answer: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
    let mut lines = vec![format!("{} -> {}", text(&answer["url"]), answer["status"])];
    let fields = answer["fields"].as_object();
    let status = fields.and_then(|fields| fields.get("cache-status")).map(text);
    lines.push(match &status {
        Some(status) => summary(status),
        None => "the route has no cache, or the gateway answered by itself".to_owned(),
    });
    for (name, value) in fields.into_iter().flatten() {
        lines.push(format!("  {name}: {}", text(value)));
    }
    lines.join("\n")
}

/// `Cache-Status` (RFC 9211) in words: the gateway's own entry is the last.
fn summary(status: &str) -> String {
    let own = status.rsplit(", ").next().unwrap_or(status);
    let parameters: Vec<&str> = own.split(';').skip(1).map(str::trim).collect();
    let get = |name: &str| {
        let found = parameters.iter().find_map(|parameter| parameter.strip_prefix(name)?.strip_prefix('='));
        found.map(|value| value.trim_matches('"'))
    };
    let detail = get("detail").map(|detail| format!(" ({detail})")).unwrap_or_default();
    if parameters.contains(&"hit") {
        return format!("answered from the cache; fresh for {} s{detail}", get("ttl").unwrap_or("?"));
    }
    let why = get("fwd").unwrap_or("unknown");
    match parameters.contains(&"stored") {
        true => format!("asked the upstream ({why}), and stored the answer{detail}"),
        false => format!("asked the upstream ({why}), and did not store the answer{detail}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_outcome_has_its_words() {
        let cases = [
            ("tidegate; hit; ttl=30", "answered from the cache; fresh for 30 s"),
            ("cdn; hit, tidegate; fwd=uri-miss; stored", "asked the upstream (uri-miss), and stored the answer"),
            (
                "tidegate; fwd=miss; detail=\"set-cookie\"",
                "asked the upstream (miss), and did not store the answer (set-cookie)",
            ),
        ];
        for (status, words) in cases {
            assert_eq!(summary(status), words);
        }
    }
}
