//! The examples in a README.

use std::collections::BTreeSet;

use tidegate_core::{Plugin, Router};

use crate::{GatewayBuilder, gateway};

/// Panics unless every `yaml` block of the README is a good configuration, and there is one.
pub fn readme_works<P: Plugin>(readme: &str) {
    works(readme, P::NAME, || gateway().plugin::<P>());
}

/// The same for a router's README.
pub fn readme_works_with_router<R: Router>(readme: &str) {
    works(readme, R::NAME, || gateway().router::<R>());
}

fn works(readme: &str, name: &str, gateway: impl Fn() -> GatewayBuilder) {
    let blocks = yaml_blocks(readme);
    assert!(!blocks.is_empty(), "the README shows no configuration: put an example into a ```yaml block");
    for (line, block) in blocks {
        let whole = whole(&block, name);
        if let Err(errors) = gateway().check(&whole) {
            panic!(
                "the configuration in line {line} of the README is refused:\n{errors}\n\nas it was checked:\n{whole}"
            );
        }
    }
}

/// The `yaml` blocks, each with the number of its first line.
fn yaml_blocks(readme: &str) -> Vec<(usize, String)> {
    let mut blocks = Vec::new();
    let mut current: Option<(usize, String)> = None;
    for (index, line) in readme.lines().enumerate() {
        let fence = line.trim_start().strip_prefix("```");
        match (fence, &mut current) {
            (Some(_), Some(_)) => blocks.extend(current.take()),
            (Some(language), None) if language.trim() == "yaml" => current = Some((index + 2, String::new())),
            (None, Some((_, block))) => {
                block.push_str(line);
                block.push('\n');
            }
            _ => {}
        }
    }
    blocks
}

/// The block as a whole file: one that shows a route, or some, gets the rest.
fn whole(block: &str, name: &str) -> String {
    let block = without_outside(block);
    let keys = top_level_keys(&block);
    let indented: String = block.lines().map(|line| format!("    {line}\n")).collect();
    let mut whole = if block.trim_start().starts_with("- ") {
        format!("routing:\n  routes:\n{indented}")
    } else if keys.iter().any(|key| ["match", "plugins", "upstream", "reply"].contains(&key.as_str())) {
        format!("routing:\n  routes:\n{}", indented.replacen("    ", "  - ", 1))
    } else {
        block
    };
    let keys = top_level_keys(&whole);
    if !keys.contains("routing") && name != "routing" {
        whole.push_str("routing: { routes: [{ name: example, reply: { body: example } }] }\n");
    }
    let upstreams = upstreams_named(&whole);
    if !keys.contains("upstreams") && !upstreams.is_empty() {
        let pools = upstreams.iter().map(|name| format!("{name}: {{ targets: [\"127.0.0.1:9\"] }}"));
        whole.push_str(&format!("upstreams: {{ {} }}\n", pools.collect::<Vec<_>>().join(", ")));
    }
    whole
}

fn top_level_keys(yaml: &str) -> BTreeSet<String> {
    let lines = yaml.lines().filter(|line| line.starts_with(|first: char| first.is_ascii_alphabetic()));
    lines.filter_map(|line| Some(line.split_once(':')?.0.to_owned())).collect()
}

/// What stands after each `upstream:`.
fn upstreams_named(yaml: &str) -> BTreeSet<String> {
    let names = yaml.split("upstream:").skip(1).map(|rest| {
        let name = rest.trim_start().trim_start_matches('"');
        name.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_')).next().unwrap_or_default()
    });
    names.filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// What a README takes from the environment or from files, as some text.
fn without_outside(block: &str) -> String {
    let mut whole = String::new();
    let mut rest = block;
    while let Some((before, after)) = rest.split_once("${") {
        whole.push_str(before);
        let Some((name, after)) = after.split_once('}') else {
            whole.push_str("${");
            rest = after;
            continue;
        };
        match name.split_once(":-") {
            Some((_, default)) => whole.push_str(default),
            None => whole.push_str("example-from-outside"),
        }
        rest = after;
    }
    whole.push_str(rest);
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_found_and_completed() {
        let readme = "# A\n```yaml\na: 1\n```\n```rust\nb: 2\n```\n1. c\n   ```yaml\n   - d: 3\n   ```\n";
        assert_eq!(yaml_blocks(readme), [(3, "a: 1\n".to_owned()), (10, "   - d: 3\n".to_owned())]);
        let route = whole("name: x\nupstream: users\nplugins:\n  p: { key: \"${K}-${P:-1}\" }\n", "p");
        assert_eq!(
            route,
            "routing:\n  routes:\n  - name: x\n    upstream: users\n    plugins:\n      p: { key: \"example-from-outside-1\" }\n\
             upstreams: { users: { targets: [\"127.0.0.1:9\"] } }\n"
        );
        let section = whole("p: {}\n", "p");
        assert_eq!(section, "p: {}\nrouting: { routes: [{ name: example, reply: { body: example } }] }\n");
        assert!(whole("- { upstream: a, split: [{ upstream: \"b-2\" }] }\n", "p").contains("upstreams: { a: {"));
    }
}
