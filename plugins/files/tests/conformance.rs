//! What every plugin must keep to.

tidegate_testkit::conformance!(tidegate_files::Files, "../README.md");
