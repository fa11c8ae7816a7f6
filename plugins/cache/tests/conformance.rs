//! What every plugin must keep to.

tidegate_testkit::conformance!(tidegate_cache::Cache, "../README.md");
