//! What every plugin must keep to.

tidegate_testkit::conformance!(tidegate_headers::Headers, "../README.md");
