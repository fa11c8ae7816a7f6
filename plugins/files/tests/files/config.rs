//! What is refused, and what is warned about.

use std::path::Path;

use crate::{Tree, builder, route};

#[track_caller]
fn assert_refused(root: &Path, more: &str, path: &str, message: &str) {
    let error = builder().check(&route("/**", root, more)).expect_err(more);
    assert!(error.contains(&format!("routing.routes[0].endpoint.files.{path}")), "no {path} in: {error}");
    assert!(error.contains(message), "no {message:?} in: {error}");
}

#[test]
fn a_root_that_is_not_there_or_no_folder_is_refused_with_its_path() {
    let tree = Tree::new(&[("a", "")]);
    assert_refused(&tree.path("nowhere"), "", "root", &tree.path("nowhere").display().to_string());
    assert_refused(&tree.path("nowhere"), "", "root", "No such file");
    assert_refused(&tree.path("a"), "", "root", "Not a directory");
}

#[test]
fn what_can_not_work_is_refused_at_its_place() {
    let tree = Tree::new(&[]);
    let root = tree.root();
    for (more, path, message) in [
        (", index: ../x", "index", "no path of a file"),
        (", index: \"\"", "index", "no path of a file"),
        (", spa_fallback: /../index.html", "spa_fallback", "no path of a file"),
        (", not_found: /", "not_found", "no path of a file"),
        (", precompressed: [gz, br, gz]", "precompressed", "named twice"),
        (", precompressed: [gzip]", "precompressed[0]", "`gz`"),
        (", types: { js: javascript }", "types.js", "not a media type"),
        (", default_type: x", "default_type", "not a media type"),
        (", cache_control: [{ path: \"[\", value: x }]", "cache_control[0].path", "not a pattern"),
        (", cache_control: [{ path: a, value: \"a\\nb\" }]", "cache_control[0].value", "not a value"),
        (", hide: [\"{a\"]", "hide[0]", "not a pattern"),
        (", hide: [\"\"]", "hide[0]", "1 to 1024"),
        (", symlinks: always", "symlinks", "never, beneath"),
        (", at: static", "at", "no path such as"),
        (", at: \"/a/**\"", "at", "no path such as"),
        (", directory: x", "directory", "unknown key"),
    ] {
        assert_refused(&root, more, path, message);
    }
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    let tree = Tree::new(&[]);
    let more = ", hide: [\"[\"], default_type: x, at: y";
    let error = builder().check(&route("/**", &tree.root(), more)).expect_err("wrong");
    for path in ["hide[0]", "default_type", "at"] {
        assert!(error.contains(&format!("files.{path}")), "no {path} in: {error}");
    }
}

#[test]
fn reads_are_bounded_and_a_route_has_no_policy() {
    let tree = Tree::new(&[]);
    let whole = |section: &str| format!("files: {section}\n{}", route("/**", &tree.root(), ""));
    builder().check(&whole("{ reads: 8 }")).expect("good");
    for reads in [0, 513] {
        assert!(
            builder().check(&whole(&format!("{{ reads: {reads} }}"))).is_err_and(|error| error.contains("1 to 512"))
        );
    }
    let policy = "routing: { routes: [{ name: a, reply: { body: a }, plugins: { files: {} } }] }\n";
    let error = builder().check(policy).expect_err("no policy");
    assert!(error.contains("endpoint: { files: "), "{error}");
}

#[tokio::test]
async fn every_part_of_the_endpoint_is_in_the_schema_and_told_of() {
    // The endpoint's own configuration is not seen by the conformance tests.
    let schema = schemars::schema_for!(tidegate_files::config::Folder).to_value();
    let properties = schema["properties"].as_object().expect("fields");
    for (name, field) in properties {
        assert!(field["description"].is_string() || field["$ref"].is_string(), "{name} says nothing of itself");
    }
    assert!(properties.len() >= 14 && schema["additionalProperties"] == false, "{schema:#}");
}
