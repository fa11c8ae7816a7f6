//! What every plugin must keep to.

tidegate_testkit::conformance!(tidegate_validation::Validation, "../README.md");
